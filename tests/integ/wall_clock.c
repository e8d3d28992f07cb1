/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/integ/wall_clock.c - preloaded into a host: its wall clock, as the administrator or NTP may
 * set it, is as many nanoseconds ahead as a file says that the test writes. Other clocks stay.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

static const _Atomic int64_t *ahead_ns;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("SPOE_TEST_WALL_CLOCK_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page;

    if (fd < 0)
        return;
    page = mmap(NULL, sizeof *ahead_ns, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page != MAP_FAILED)
        ahead_ns = page;
}

/* Not by the next library's: a sanitizer's may not be ready yet. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);
    int64_t ns;

    if (rc != 0 || id != CLOCK_REALTIME || ahead_ns == NULL)
        return rc;
    ns = (int64_t)ts->tv_sec * NS_PER_S + ts->tv_nsec + atomic_load(ahead_ns);
    ts->tv_sec = (time_t)(ns / NS_PER_S);
    ts->tv_nsec = (long)(ns % NS_PER_S);
    return 0;
}
