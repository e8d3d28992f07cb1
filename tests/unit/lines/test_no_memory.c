/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/lines/test_no_memory.c - log lines when memory runs out: the n-th allocation fails,
 * for every n until none does (1.7). The linker leads the allocating calls of the layers here
 * (--wrap). A start may fail, a connection or a line be lost and counted; nothing crashes, no
 * descriptor stays open, and under ASan nothing leaks.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lines/lines.h"
#include "lines_rig.h"
#include "unit/core/capture.h"

static volatile unsigned calls, fail_at; /* 0: none fails */

static bool fails(void)
{
    return ++calls == fail_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* ---- a plugin that keeps every other message ---- */

#define N_WORKERS 2u
#define N_LINES 100u /* over each of three sockets */

static struct spoe_request *pending[4 * N_LINES];
static size_t n_pending, n_calls;

static spoe_status handle(void *wctx, struct spoe_request *request, const struct spoe_message *msg)
{
    (void)wctx;
    (void)msg;
    if (n_calls++ % 2 == 0)
        return SPOE_OK;
    pending[n_pending++] = request;
    return SPOE_PENDING;
}

/* ---- the host, without threads ---- */

static struct worker workers[N_WORKERS];
static struct event_base *base;
static struct lines *lines;

static struct host_log_listen address(const char *text, bool datagram, bool octets)
{
    static char host[] = "127.0.0.1", port[] = "0";
    union {
        const char *in;
        char *out;
    } cast = {text};

    return (struct host_log_listen){
        .at = {.text = cast.out, .host = host, .port = port, .datagram = datagram},
        .octets = octets};
}

/* @return whether it came about */
static bool start(void)
{
    conf = (struct host_conf){
        .idle_timeout_ns = 3600 * NS_PER_S, .log_receive_buffer = 1 << 20, .n_log_listen = 3};
    rig_configure(N_WORKERS, 1000);
    conf.log_listen[0] = address("udp:127.0.0.1:0", true, false);
    conf.log_listen[1] = address("tcp:127.0.0.1:0", false, false);
    conf.log_listen[2] = address("tcp+octet:127.0.0.1:0", false, true);
    if (!rig_start_workers(workers))
        return false;
    lines = lines_open(&conf);
    return lines != NULL && lines_start(lines, base, workers, N_WORKERS, 10) == 0;
}

static void turn(void)
{
    for (unsigned round = 0; round < 12; round++) {
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
        for (uint32_t i = 0; i < shared.n_workers; i++) {
            if (workers[i].base != NULL)
                (void)event_base_loop(workers[i].base, EVLOOP_NONBLOCK);
        }
    }
}

/* What the kernel hands on when it likes. */
#define TURN_UNTIL(condition)                                                                      \
    for (const int64_t limit = clock_mono_ns() + 20 * NS_PER_S;                                    \
         !(condition) && clock_mono_ns() < limit;)                                                 \
    turn()

static void stop(void)
{
    lines_drain(lines);
    turn();
    lines_stop(lines);
    turn();
    rig_stop_workers(workers);
    lines_close(lines);
    lines = NULL;
    route_table_free(&routes);
}

static uint64_t counted(size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < N_WORKERS; i++)
        sum += *(_Atomic uint64_t *)(void *)((char *)&workers[i].core.counters + offset);
    return sum;
}
#define COUNTED(name) counted(offsetof(struct counters, name))

/* ---- the sender ---- */

/* The ports, as the log has them. */
static int connect_to(const char *log, const char *kind)
{
    const char *at = strstr(log, kind);
    struct sockaddr_in in = {.sin_family = AF_INET};
    const bool udp = strncmp(kind, "udp", 3) == 0;
    int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

    cr_assert(at != NULL && fd >= 0);
    in.sin_port = htons((uint16_t)strtoul(at + strlen(kind) + strlen("127.0.0.1:"), NULL, 10));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(fd, (struct sockaddr *)(void *)&in, sizeof in), 0);
    return fd;
}

static void send_lines(int udp, int tcp, int octets)
{
    static char longest[40000];
    char line[64], frame[80];

    for (unsigned i = 0; i < N_LINES; i++) {
        const int n = snprintf(line, sizeof line, "v=1 n=%u u=undeclared\n", i);

        (void)!send(udp, line, (size_t)n, MSG_NOSIGNAL);
        (void)!send(tcp, line, (size_t)n, MSG_NOSIGNAL);
        (void)!send(octets, frame, (size_t)snprintf(frame, sizeof frame, "%d %s", n, line),
                    MSG_NOSIGNAL);
        if (i % 10 == 0)
            turn();
    }
    memset(longest, 'x', sizeof longest); /* needs blocks of its own */
    memcpy(longest, "v=1 u=", 6);
    longest[sizeof longest - 1] = '\n';
    (void)!send(udp, longest, sizeof longest, MSG_NOSIGNAL);
    (void)!send(tcp, longest, sizeof longest, MSG_NOSIGNAL);
    turn();
}

static size_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* @return whether all of it came about */
static bool scenario(void)
{
    static char log[65536];
    struct capture cap;
    const uint64_t sent = 3 * N_LINES + 2;
    uint64_t taken, lost;
    unsigned saved;
    bool whole;
    int udp, tcp, octets;

    n_pending = n_calls = 0;
    capture_begin(&cap);
    whole = start();
    saved = fail_at;
    fail_at = 0;
    (void)capture_end(&cap, log, sizeof log);
    fail_at = saved;
    if (!whole) {
        stop();
        return false;
    }
    udp = connect_to(log, "udp:");
    tcp = connect_to(log, "tcp:");
    octets = connect_to(log, "tcp+octet:");
    turn();
    send_lines(udp, tcp, octets);
    TURN_UNTIL(COUNTED(log_lines) == sent || COUNTED(resource_errors) > 0 ||
               COUNTED(log_connections) < 2 || atomic_load(&shared.n_refused) > 0);
    do { /* what comes late is held, too */
        while (n_pending > 0)
            request_complete(pending[--n_pending], SPOE_OK);
        turn();
    } while (n_pending > 0);
    cr_assert_eq(shared.n_pending, 0, "call %u", fail_at);
    taken = COUNTED(log_lines);
    lost = COUNTED(resource_errors);
    whole = taken == sent && lost == 0 && calls < fail_at;
    cr_assert(taken == sent || lost > 0 || COUNTED(log_connections) < 2 ||
                  atomic_load(&shared.n_refused) > 0,
              "call %u: %zu of %zu, and nobody is told", fail_at, (size_t)taken, (size_t)sent);
    (void)close(udp);
    (void)close(tcp);
    (void)close(octets);
    TURN_UNTIL(lines_connections(lines) == 0);
    cr_assert_eq(lines_connections(lines), 0, "call %u: a place stays taken", fail_at);
    stop();
    return whole;
}

Test(lines_no_memory, costs_a_line_or_a_connection, .timeout = 240)
{
    size_t descriptors = 0;
    unsigned n;
    bool whole = false;

    base = event_base_new();
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    for (n = 1; n < 1000 && !whole; n++) {
        calls = 0;
        fail_at = n;
        whole = scenario();
        fail_at = 0;
        if (n == 1)
            descriptors = count_descriptors();
        cr_assert_eq(count_descriptors(), descriptors, "call %u", n);
    }
    cr_expect_gt(n, 30, "%u allocations only", n);
    cr_expect(whole);
    event_base_free(base);
}
