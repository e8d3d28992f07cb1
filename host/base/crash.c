/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/crash.c - see crash.h. What runs in the handler is async-signal-safe: no allocation, no
 * lock, no stdio; /proc/self/maps is read with read().
 */
#include "base/crash.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
    {SIGILL, "SIGILL"},   {SIGABRT, "SIGABRT"},
};
#define N_SIGNALS (sizeof signals / sizeof signals[0])
#define OTHER_MS 1000 /* for a thread that crashed first to end the process */

static struct sigaction before[N_SIGNALS];
static _Atomic pid_t crashing; /* the thread that says so; 0: none */
static _Atomic bool leaving;

/* ---- text ---------------------------------------------------------------------------------- */

struct text {
    char p[2048];
    size_t n;
};

static void add_bytes(struct text *text, const char *p, size_t n)
{
    if (n > sizeof text->p - text->n)
        n = sizeof text->p - text->n;
    memcpy(text->p + text->n, p, n);
    text->n += n;
}

static void add(struct text *text, const char *s)
{
    add_bytes(text, s, strlen(s));
}

static void add_hex(struct text *text, uintptr_t value)
{
    char digits[2 * sizeof value];
    size_t i = sizeof digits;

    do {
        digits[--i] = "0123456789abcdef"[value % 16];
        value /= 16;
    } while (value != 0);
    add(text, "0x");
    add_bytes(text, digits + i, sizeof digits - i);
}

static void add_thread_name(struct text *text)
{
    char name[THREAD_NAME_MAX + 1] = {0};

    (void)prctl(PR_GET_NAME, name);
    add(text, "thread ");
    add(text, name);
}

/* ---- the mapped file of an address ----------------------------------------------------------- */

/* A line of /proc/self/maps as it is read byte by byte: "FROM-TO perm offset dev inode   PATH". */
struct map {
    uintptr_t from, to;
    unsigned field; /* words before this one, 0 and 1 are FROM and TO */
    char path[512];
    size_t n_path;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void map_byte(struct map *map, char c)
{
    const int digit = hex_digit(c);

    if (map->field == 0 && c == '-') {
        map->field = 1;
    } else if (map->field < 2 && digit >= 0) {
        uintptr_t *value = map->field == 0 ? &map->from : &map->to;

        *value = *value << 4 | (uintptr_t)digit;
    } else if (c == ' ' && map->field < 6) {
        map->field++;
    } else if (map->field >= 6 && (c != ' ' || map->n_path != 0) &&
               map->n_path < sizeof map->path) {
        map->path[map->n_path++] = c;
    }
}

static void add_mapped_file(struct text *text, uintptr_t address)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    struct map map = {0};
    char buffer[1024];
    ssize_t n;

    while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] != '\n') {
                map_byte(&map, buffer[i]);
                continue;
            }
            if (address >= map.from && address < map.to && map.n_path != 0) {
                add(text, " in ");
                add_bytes(text, map.path, map.n_path);
                (void)close(fd);
                return;
            }
            map = (struct map){0};
        }
    }
    if (fd >= 0)
        (void)close(fd);
}

static uintptr_t program_counter(const void *context)
{
    const ucontext_t *uc = context;

#if defined __x86_64__
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined __aarch64__
    return (uintptr_t)uc->uc_mcontext.pc;
#else
    (void)uc;
    return 0;
#endif
}

/* ---- the handlers ---------------------------------------------------------------------------- */

static void describe(size_t i, const siginfo_t *info, const void *context)
{
    const uintptr_t pc = program_counter(context);
    struct text text = {.n = 0};
    size_t n;

    add(&text, signals[i].name);
    add(&text, ": ");
    n = thread_describe(thread_mine, text.p + text.n, sizeof text.p - text.n);
    text.n += n;
    if (n == 0)
        add_thread_name(&text);
    /* SI_KERNEL: a fault that the processor gives no address of, such as of one that cannot be. */
    if (info->si_code > 0 && info->si_code != SI_KERNEL && signals[i].number != SIGABRT) {
        add(&text, ", address ");
        add_hex(&text, (uintptr_t)info->si_addr);
    }
    if (pc != 0) {
        add(&text, ", at ");
        add_hex(&text, pc);
        add_mapped_file(&text, pc);
    }
    log_crash((struct spoe_span){text.p, text.n});
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    const pid_t me = gettid();
    pid_t first = 0;
    size_t i = 0;

    while (i < N_SIGNALS - 1 && signals[i].number != number)
        i++;
    /* One that crashes meanwhile lets the first have its say, which ends them all; one that crashes
     * once more, in here, dies as it would have. */
    if (atomic_compare_exchange_strong(&crashing, &first, me))
        describe(i, info, context);
    else if (first != me)
        (void)poll(NULL, 0, OTHER_MS);
    (void)sigaction(number, &before[i], NULL);
    /* A fault happens again when the instruction is run again; what was sent has to be sent. */
    if (info->si_code <= 0)
        (void)raise(number);
}

static void on_exit_call(void)
{
    struct text text = {.n = 0};
    size_t n;

    if (atomic_load(&leaving))
        return;
    n = thread_describe(thread_mine, text.p, sizeof text.p);
    text.n = n;
    if (n == 0)
        add_thread_name(&text);
    log_leave(SPOE_LOG_ERR, "host", "exit() was called: %.*s; leaving", (int)text.n, text.p);
    _exit(CRASH_EXIT_STATUS);
}

void crash_install(void)
{
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_SIGNALS; i++)
        (void)sigaction(signals[i].number, &action, &before[i]);
    (void)atexit(on_exit_call);
}

void crash_look_again(void)
{
    (void)atexit(on_exit_call);
}

void crash_leaving(void)
{
    atomic_store(&leaving, true);
}
