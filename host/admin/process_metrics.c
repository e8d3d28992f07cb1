/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/process_metrics.c - what the kernel says of the process, by the names that Prometheus'
 * own client libraries have made usual. They are not in the registry: it counts in whole numbers,
 * and these are nobody's to change. What cannot be read is left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "conf/value.h"
#include "admin/view.h"

struct page {
    FILE *out;
    enum metrics_format format;
};

static void put_whole(const struct page *page, const char *name, const char *help, int64_t value)
{
    metrics_write_head(page->out, page->format, SPOE_METRIC_GAUGE, name, help);
    (void)fprintf(page->out, "%s %" PRId64 "\n", name, value);
}

static void put_seconds(const struct page *page, const char *name, uint32_t type, const char *help,
                        int64_t us)
{
    metrics_write_head(page->out, page->format, type, name, help);
    (void)fprintf(page->out, "%s %" PRId64 ".%06" PRId64 "\n", name, us / 1000000, us % 1000000);
}

/* Of this process; -1: cannot be told. */
static int64_t count_open_files(int64_t max)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    int64_t n = -1; /* this one */

    if (dir == NULL)
        return errno == EMFILE ? max : -1;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            n++;
    }
    (void)closedir(dir);
    return n;
}

/* The first two numbers of /proc/self/statm: pages of the address space, and of them in memory. */
static bool read_pages(int64_t ret[2])
{
    char text[256], *p = text;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        (void)close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    for (size_t i = 0; i < 2; i++) {
        char *space = strchr(p, ' ');

        if (space == NULL)
            return false;
        *space = '\0';
        if (value_parse_int(p, &ret[i]) != VALUE_OK)
            return false;
        p = space + 1;
    }
    return true;
}

void process_metrics_write(const void *arg, enum metrics_format format, FILE *out)
{
    const struct view *view = arg;
    const struct page page = {out, format};
    const int64_t page_bytes = sysconf(_SC_PAGESIZE);
    struct rlimit limit = {0};
    struct timespec cpu;
    int64_t pages[2], open_files;
    bool has_pages = read_pages(pages);

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        put_seconds(&page, "process_cpu_seconds_total", SPOE_METRIC_COUNTER,
                    "User and system time of all threads.",
                    cpu.tv_sec * INT64_C(1000000) + cpu.tv_nsec / 1000);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_whole(&page, "process_max_fds", "Descriptors that the process may have.",
                  (int64_t)limit.rlim_cur);
    open_files = count_open_files((int64_t)limit.rlim_cur);
    if (open_files >= 0)
        put_whole(&page, "process_open_fds", "Descriptors that are open.", open_files);
    if (has_pages)
        put_whole(&page, "process_resident_memory_bytes", "Memory that is in use.",
                  pages[1] * page_bytes);
    put_seconds(&page, "process_start_time_seconds", SPOE_METRIC_GAUGE,
                "When the process started, Unix time.", view->start_unix_ns / 1000);
    if (has_pages)
        put_whole(&page, "process_virtual_memory_bytes", "Size of the address space.",
                  pages[0] * page_bytes);
}
