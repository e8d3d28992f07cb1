/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/crash.h - a last line for a process that dies of an error in its code, or in a
 * plugin's.
 *
 * A crash (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) writes one line to standard error: the signal,
 * the plugin and function that the thread is in and its file, the thread's name, and the mapped
 * file of the program counter. Then the disposition from before is back and the process dies by the
 * same signal, so that core dumps, and the handlers of a sanitizer, are what they were.
 *
 * exit() while the host runs is a plugin's: it is named too, and the status is CRASH_EXIT_STATUS.
 */
#ifndef HOST_BASE_CRASH_H
#define HOST_BASE_CRASH_H

#define CRASH_EXIT_STATUS 70 /* EX_SOFTWARE of sysexits.h */

/** Install both. [main], before other threads run */
void crash_install(void);
/** A plugin was loaded: what it has registered for exit() must not run before we have looked. */
void crash_look_again(void);
/** From here on exit() is ours: main() returns. */
void crash_leaving(void);

#endif
