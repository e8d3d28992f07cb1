/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/net/test_no_memory.c - workers and connections when memory runs out: the n-th
 * allocation fails, for every n until none does (1.6). The linker leads the allocating calls of the
 * layers here (--wrap, see CMakeLists.txt). A connection may be lost, which is counted; nothing
 * crashes, nothing hangs, no place and no descriptor stays taken, and under ASan nothing leaks.
 */
#include "rig.h"

#include <dirent.h>

#include "base/log.h"
#include "net/listener.h"
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
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);

char *__wrap_strdup(const char *s)
{
    if (!fails())
        return __real_strdup(s);
    errno = ENOMEM;
    return NULL;
}

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

#define N_PEERS 4u

static struct peer *peers[N_PEERS]; /* the first one has to go for the third */

/* The test's own allocations do not fail. */
static void connect_peers(void)
{
    const unsigned saved = fail_at;

    for (size_t i = 0; i < N_PEERS; i++) {
        int ends[2];

        fail_at = 0;
        peers[i] = calloc(1, sizeof *peers[i]);
        cr_assert_not_null(peers[i]);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        peers[i]->fd = ends[1];
        calls--; /* that one does not count */
        fail_at = saved;
        worker_adopt(&rig.worker[i % RIG_WORKERS], ends[0], "peer",
                     i == 2 ? WORKER_EVICTS : WORKER_EVICTS_NONE);
    }
}

/* What a peer may not be told any more, as its connection was lost. */
static void send_if_there(struct peer *peer, const void *data, size_t n)
{
    (void)!send(peer->fd, data, n, MSG_NOSIGNAL);
}

static void talk(struct peer *peer)
{
    static uint8_t payload[100000] = {1, 'm', 0}, frame[100100];
    uint8_t hello[300];
    const struct spoe_value versions = text_value("2.0"), capabilities = text_value("pipelining"),
                            engine = text_value("engine"),
                            size = {.type = SPOE_T_UINT32, .u.u32 = 1 << 20};
    size_t n = put_item(payload, "supported-versions", &versions);

    n += put_item(payload + n, "max-frame-size", &size);
    n += put_item(payload + n, "capabilities", &capabilities);
    n += put_item(payload + n, "engine-id", &engine);
    send_if_there(peer, hello, put_frame(hello, SPOP_HAPROXY_HELLO, 1, 0, payload, n));
    rig_turn();
    for (uint64_t id = 1; id <= 60; id++)
        send_if_there(peer, frame, put_notify(frame, id));
    for (unsigned i = 0; i < 20; i++) { /* read what comes, so that all can come */
        rig_turn();
        while (recv(peer->fd, peer->in, sizeof peer->in, 0) > 0)
            ;
    }
    n = put_frame(frame, 50, 1, 1, payload, sizeof payload); /* needs a large buffer */
    for (size_t at = 0; at < n; at += 20000) {
        send_if_there(peer, frame + at, n - at < 20000 ? n - at : 20000);
        rig_turn();
    }
}

/* @return whether all of it came about */
static bool scenario(void)
{
    bool started = rig_try_start(40), whole;
    uint64_t acks, lost;

    if (!started) {
        rig_stop();
        return false;
    }
    rig.plugin.answer_bytes = 16000; /* more than fits the socket: output grows */
    connect_peers();
    rig_turn();
    talk(peers[3]);
    rig.plugin.pend = true;
    rig.plugin.answer_bytes = 100;
    talk(peers[1]);
    talk(peers[2]);
    while (rig.plugin.n_pending > 0) {
        rig_complete(rig.plugin.n_pending);
        rig_turn();
    }
    cr_assert_eq(rig.shared.n_pending, 0, "call %u", fail_at);
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        cr_assert_eq(rig.worker[i].core.n_outstanding, 0);
        worker_drain(&rig.worker[i]);
    }
    rig_turn();
    for (size_t i = 0; i < N_PEERS; i++)
        peer_free(peers[i]);
    rig_turn();
    acks = COUNTED(acks);
    lost = COUNTED(resource_errors);
    whole = acks == 3 * 60 && lost == 0 && calls < fail_at;
    if (COUNTED(connections) == N_PEERS) /* all came in: what was lost then is counted */
        cr_assert(acks == 3 * 60 || lost > 0, "call %u: nobody is told", fail_at);
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        cr_assert_eq(rig.worker[i].n_conns, 0, "call %u: a place stays taken", fail_at);
        cr_assert(TAILQ_EMPTY(&rig.worker[i].conns));
        cr_assert(TAILQ_EMPTY(&rig.worker[i].paused));
    }
    rig_stop();
    return whole;
}

Test(net_no_memory, costs_a_connection_at_most, .timeout = 120)
{
    size_t descriptors = 0;
    unsigned n;
    bool whole = false;

    for (n = 1; n < 1000 && !whole; n++) {
        calls = 0;
        fail_at = n;
        whole = scenario();
        fail_at = 0;
        if (n == 1)
            descriptors = count_descriptors();
        cr_assert_eq(count_descriptors(), descriptors, "call %u", n);
    }
    cr_expect_gt(n, 40, "%u allocations only", n);
    cr_expect(whole);
}

/* 9.2: then the shutdown's deadline ends the process, and that is why. */
Test(net_no_memory, an_order_that_cannot_be_sent_is_told, .timeout = 30)
{
    static char got[4096];
    struct capture cap;

    rig_start(1);
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    calls = 0;
    fail_at = 1;
    worker_drain(&rig.worker[1]);
    fail_at = 0;
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(strstr(got, " level=error component=host msg=\"worker 1: out of memory at "
                                   "shutdown\"\n"),
                       "%s", got);
    rig_turn();
    cr_assert_eq(worker_get_phase(&rig.worker[1]), WORKER_RUNNING);
    rig_stop();
}

/* 9.1: a start that fails for it says so. */
Test(net_no_memory, an_address_that_cannot_be_opened_is_told, .timeout = 30)
{
    static char folder[] = "/tmp/spoe-no-memory-XXXXXX", path[64], text[] = "unix:path", got[4096];
    struct host_conf conf = {.listen = {{.text = text, .path = path}}, .n_listen = 1};
    struct listeners *listeners = NULL;
    unsigned n = 0;

    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    while (listeners == NULL && n < 10) {
        struct capture cap;

        capture_begin(&cap);
        calls = 0;
        fail_at = ++n;
        listeners = listeners_open(&conf);
        fail_at = 0;
        (void)capture_end(&cap, got, sizeof got);
        cr_assert_eq(strstr(got, " level=error component=listener ") != NULL, listeners == NULL,
                     "allocation %u: %s", n, got);
    }
    cr_assert_gt(n, 2);
    listeners_close(listeners);
    (void)unlink(path);
    cr_assert_eq(rmdir(folder), 0);
}

static void *event_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

static void *event_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

/* 9.2: a worker that says that it can start has all that it needs: libevent's memory counts too. */
Test(net_no_memory, a_worker_is_whole_or_not_there, .timeout = 60)
{
    unsigned n = 0, n_failed = 0;
    struct capture cap;
    char lines[65536];

    event_set_mem_functions(event_malloc, event_realloc, free);
    rig_start(1); /* whose workers are not the one that is tried */
    capture_begin(&cap);
    do {
        struct worker *worker = aligned_alloc(64, (sizeof *worker + 63) / 64 * 64);

        cr_assert_not_null(worker);
        memset(worker, 0, sizeof *worker);
        calls = 0;
        fail_at = ++n;
        if (worker_init(worker, &rig.shared, 2) == 0) {
            fail_at = 0;
            cr_assert(worker->close_timer != NULL && worker->due_timer != NULL &&
                      worker->room_timer != NULL);
            cr_assert(event_pending(&worker->mail_event, EV_READ, NULL));
            cr_assert(event_pending(&worker->pending_event, EV_READ, NULL));
        } else {
            fail_at = 0;
            n_failed++;
        }
        worker_fini(worker);
        free(worker);
    } while (calls >= n);
    (void)capture_end(&cap, lines, sizeof lines);
    cr_assert_gt(n_failed, 5);
    rig_stop();
}
