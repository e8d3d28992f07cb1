/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/spop_load.c - plays HAProxy against an SPOP agent and measures.
 *
 * N connections with Q requests in flight on each; a request is the three messages of the tracing
 * configuration, one after the other, with realistic arguments. Every ACK is checked: its ids, and
 * a well-formed traceparent where one is due. Unbounded, or at a fixed rate of requests, where a
 * latency counts from the moment at which the message was due. Prints one JSON object.
 *
 *   spop-load --connect 127.0.0.1:PORT [--connections 4] [--inflight 16] [--requests 100000]
 *             [--rate REQUESTS_PER_SECOND] [--first 1] [--pid AGENT] [--open-only]
 *             [--no-traceparent]
 *
 * --pid adds the agent's CPU time per message (/proc/PID/stat) and its RSS; --open-only sends the
 * first message of each request only, so that the agent's store fills. --first is the number of the
 * first request, from which its ids are made: it keeps runs against one agent apart.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <spoe/util.h>

#include "lib/codec.h"

#define CONNECTIONS_MAX 1024u
#define INFLIGHT_MAX 1024u
#define BUFFER_SIZE (1024u * 1024u)
#define FRAME_MAX 2048u
#define STAGES 3u
#define TRACEPARENT_LEN 55u

/* One request in flight. */
struct slot {
    unsigned stage;   /* the message whose ACK is awaited */
    uint64_t request; /* its number; 0: idle */
    uint64_t frame_id;
    int64_t due_ns;
};

struct connection {
    int fd;
    size_t in_len, out_len;
    uint8_t *in, *out;
    struct slot slots[INFLIGHT_MAX];
    uint64_t next_frame_id;
};

struct options {
    const char *host;
    uint16_t port;
    unsigned connections, inflight;
    uint64_t requests, first;
    double rate;
    long pid;
    bool open_only, no_traceparent;
};

static struct options opt = {.connections = 4, .inflight = 16, .requests = 100000, .first = 1};
static struct connection *conns;
static uint64_t started, finished, n_messages;
static uint32_t *latencies_ns;
static int64_t begin_ns;

static void die(const char *what)
{
    const int error = errno; /* 0 where nothing failed that sets it */

    (void)fprintf(stderr, "spop-load: %s%s%s\n", what, error != 0 ? ": " : "",
                  error != 0 ? strerror(error) : "");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- messages ---- */

static size_t put_str_arg(uint8_t *p, size_t cap, const char *name, const char *value)
{
    const struct spoe_value v = {.type = SPOE_T_STR, .u.s = spoe_str(value)};
    size_t n = codec_put_string(p, cap, spoe_str(name));

    return n + codec_put_value(p + n, cap - n, &v);
}

static size_t put_int_arg(uint8_t *p, size_t cap, const char *name, int32_t value)
{
    const struct spoe_value v = {.type = SPOE_T_INT32, .u.i32 = value};
    size_t n = codec_put_string(p, cap, spoe_str(name));

    return n + codec_put_value(p + n, cap - n, &v);
}

/* The payload of one message; `request` makes unique-id and path. */
static size_t put_payload(uint8_t *p, size_t cap, unsigned stage, uint64_t request)
{
    static const char *const names[STAGES] = {"on-http-request", "on-backend-http-request",
                                              "on-http-response"};
    static const uint8_t n_args[STAGES] = {8, 3, 5};
    const struct spoe_value src = {.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 17}};
    char id[40], path[64];
    size_t n = codec_put_string(p, cap, spoe_str(names[stage]));

    (void)snprintf(id, sizeof id, "%08" PRIx32 "-5fe5-441b-bd4a-%012" PRIx64,
                   (uint32_t)(request * 2654435761u), request);
    (void)snprintf(path, sizeof path, "/api/v1/items/%" PRIu64, request % 10000);
    p[n++] = n_args[stage];
    n += put_str_arg(p + n, cap - n, "unique-id", id);
    if (stage == 0) {
        n += codec_put_string(p + n, cap - n, spoe_str("src"));
        n += codec_put_value(p + n, cap - n, &src);
    }
    if (stage < 2) {
        n += put_str_arg(p + n, cap - n, "method", "GET");
        n += put_str_arg(p + n, cap - n, "path", path);
    }
    if (stage == 0) {
        n += put_str_arg(p + n, cap - n, "host", "shop.example.org");
        n += put_str_arg(p + n, cap - n, "fe_name", "http_front");
        n += put_int_arg(p + n, cap - n, "fe_port", 8080);
        n += put_str_arg(p + n, cap - n, "traceparent",
                         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    } else if (stage == 2) {
        n += put_int_arg(p + n, cap - n, "status", request % 50 == 0 ? 503 : 200);
        n += put_str_arg(p + n, cap - n, "be_name", "http_back");
        n += put_str_arg(p + n, cap - n, "srv_name", "app1");
        n += put_str_arg(p + n, cap - n, "custom_attrs",
                         "environment=production;datacenter=eu-west-1");
    }
    return n;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* A whole frame: length, type, flags, ids, payload. */
static size_t put_frame(uint8_t *p, size_t cap, uint8_t type, uint64_t stream, uint64_t frame,
                        const uint8_t *payload, size_t len)
{
    size_t n = SPOP_LENGTH_BYTES;

    p[n++] = type;
    put_be32(p + n, SPOP_FLAG_FIN);
    n += 4;
    n += codec_put_varint(p + n, cap - n, stream);
    n += codec_put_varint(p + n, cap - n, frame);
    if (cap - n < len)
        die("frame does not fit");
    memcpy(p + n, payload, len);
    n += len;
    put_be32(p, (uint32_t)(n - SPOP_LENGTH_BYTES));
    return n;
}

static void send_message(struct connection *c, unsigned slot, int64_t due_ns)
{
    struct slot *s = &c->slots[slot];
    uint8_t payload[FRAME_MAX];
    size_t len = put_payload(payload, sizeof payload, s->stage, s->request);

    s->frame_id = ++c->next_frame_id;
    s->due_ns = due_ns;
    if (BUFFER_SIZE - c->out_len < FRAME_MAX)
        die("output buffer is full");
    c->out_len += put_frame(c->out + c->out_len, BUFFER_SIZE - c->out_len, SPOP_NOTIFY, slot + 1,
                            s->frame_id, payload, len);
}

/* ---- requests ---- */

/* When request number n is due. */
static int64_t due(uint64_t n)
{
    return opt.rate > 0 ? begin_ns + (int64_t)((double)n * 1e9 / opt.rate) : now_ns();
}

/* Start the next request on a slot if it is due. @return false: not yet, or none is left */
static bool start_request(struct connection *c, unsigned slot, int64_t now)
{
    int64_t at;

    if (started == opt.requests)
        return false;
    at = due(started);
    if (opt.rate > 0 && at > now)
        return false;
    c->slots[slot].request = opt.first + started++;
    c->slots[slot].stage = 0;
    send_message(c, slot, at);
    return true;
}

static bool is_hex(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'f'))
            return false;
    }
    return true;
}

/* set-var txn.traceparent with a well-formed value. */
static void check_traceparent(const struct spop_frame *f)
{
    struct spop_cursor c = {f->payload, f->payload + f->payload_len};
    struct spoe_span name;
    struct spoe_value v;

    if (f->payload_len < 3 || c.p[0] != 1 || c.p[2] != SPOE_SCOPE_TXN)
        die("ACK without set-var txn");
    c.p += 3;
    if (codec_get_string(&c, &name) != 0 || !spoe_span_is(name, "traceparent") ||
        codec_get_value(&c, &v) != 0 || v.type != SPOE_T_STR || v.u.s.n != TRACEPARENT_LEN ||
        memcmp(v.u.s.p, "00-", 3) != 0 || !is_hex(v.u.s.p + 3, 32) || v.u.s.p[35] != '-' ||
        !is_hex(v.u.s.p + 36, 16) || v.u.s.p[52] != '-' || !is_hex(v.u.s.p + 53, 2))
        die("ACK without a well-formed traceparent");
}

static void on_ack(struct connection *c, const struct spop_frame *f, int64_t now)
{
    struct slot *s;
    uint64_t slot = f->stream_id - 1;

    if (f->type != SPOP_ACK || slot >= opt.inflight)
        die("not an ACK of ours");
    s = &c->slots[slot];
    if (s->request == 0 || s->frame_id != f->frame_id)
        die("an ACK for nothing in flight");
    if (f->payload_len == 0)
        die("an empty ACK");
    if (!opt.no_traceparent && s->stage < 2)
        check_traceparent(f);
    latencies_ns[n_messages++] = (uint32_t)(now - s->due_ns);
    if (!opt.open_only && ++s->stage < STAGES) {
        send_message(c, (unsigned)slot, now);
        return;
    }
    finished++;
    s->request = 0;
    (void)start_request(c, (unsigned)slot, now);
}

/* ---- connections ---- */

static void read_acks(struct connection *c)
{
    size_t start = 0, size;
    ssize_t n = read(c->fd, c->in + c->in_len, BUFFER_SIZE - c->in_len);
    int64_t now = now_ns();

    if (n <= 0)
        die("the agent closed a connection");
    c->in_len += (size_t)n;
    while (wire_frame_find(c->in + start, c->in_len - start, BUFFER_SIZE - 4, &size) == 1) {
        struct spop_frame f;

        if (wire_frame_decode(c->in + start + 4, size - 4, &f) != 0)
            die("a malformed frame");
        on_ack(c, &f, now);
        start += size;
    }
    memmove(c->in, c->in + start, c->in_len - start);
    c->in_len -= start;
}

static void flush(struct connection *c)
{
    size_t done = 0;

    while (done < c->out_len) { /* blocking: the agent reads */
        ssize_t n = write(c->fd, c->out + done, c->out_len - done);

        if (n <= 0)
            die("write");
        done += (size_t)n;
    }
    c->out_len = 0;
}

static void hello(struct connection *c)
{
    static const char *const keys[] = {"supported-versions", "max-frame-size", "capabilities"};
    const struct spoe_value values[] = {{.type = SPOE_T_STR, .u.s = spoe_str("2.0")},
                                        {.type = SPOE_T_UINT32, .u.u32 = 16380},
                                        {.type = SPOE_T_STR, .u.s = spoe_str("pipelining")}};
    uint8_t payload[256], frame[512];
    size_t n = 0, size = 0;
    struct spop_frame f;
    int found;

    for (size_t i = 0; i < 3; i++) {
        n += codec_put_string(payload + n, sizeof payload - n, spoe_str(keys[i]));
        n += codec_put_value(payload + n, sizeof payload - n, &values[i]);
    }
    n = put_frame(frame, sizeof frame, SPOP_HAPROXY_HELLO, 0, 0, payload, n);
    if (write(c->fd, frame, n) != (ssize_t)n)
        die("write HELLO");
    while ((found = wire_frame_find(c->in, c->in_len, BUFFER_SIZE - 4, &size)) == 0) {
        ssize_t got = read(c->fd, c->in + c->in_len, BUFFER_SIZE - c->in_len);

        if (got <= 0)
            die("no AGENT-HELLO");
        c->in_len += (size_t)got;
    }
    if (found < 0 || wire_frame_decode(c->in + 4, size - 4, &f) != 0 || f.type != SPOP_AGENT_HELLO)
        die("not an AGENT-HELLO");
    c->in_len = 0;
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
    const int on = 1;

    c->in = calloc(1, BUFFER_SIZE);
    c->in_len = 0;
    c->out = malloc(BUFFER_SIZE);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->in == NULL || c->out == NULL || c->fd < 0 ||
        inet_pton(AF_INET, opt.host, &address.sin_addr) != 1 ||
        connect(c->fd, (struct sockaddr *)(void *)&address, sizeof address) != 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    hello(c);
}

/* Start what is due on idle slots, at a fixed rate; round robin over the connections. */
static void start_due(void)
{
    int64_t now = now_ns();

    for (unsigned s = 0; s < opt.inflight; s++) {
        for (unsigned i = 0; i < opt.connections; i++) {
            if (conns[i].slots[s].request != 0)
                continue;
            if (!start_request(&conns[i], s, now))
                return;
            flush(&conns[i]);
        }
    }
}

static void run(void)
{
    struct epoll_event events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < opt.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event) != 0)
            die("epoll");
    }
    begin_ns = now_ns();
    for (unsigned i = 0; i < opt.connections && opt.rate <= 0; i++) {
        for (unsigned s = 0; s < opt.inflight; s++)
            (void)start_request(&conns[i], s, begin_ns);
        flush(&conns[i]);
    }
    while (finished < opt.requests) {
        int64_t wait =
            opt.rate > 0 && started < opt.requests ? due(started) - now_ns() : 1000000000;
        struct timespec ts = {wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0};
        int n = epoll_pwait2(epoll, events, 64, &ts, NULL);

        for (int i = 0; i < n; i++) {
            read_acks(events[i].data.ptr);
            flush(events[i].data.ptr);
        }
        if (opt.rate > 0)
            start_due();
    }
    (void)close(epoll);
}

/* ---- the agent's cost ---- */

/* CPU time of a process in seconds: fields 14 and 15 of /proc/PID/stat, in clock ticks. */
static double cpu_seconds(void)
{
    char path[64], text[1024];
    char *p;
    unsigned long ticks;
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", opt.pid);
    f = fopen(path, "r");
    if (f == NULL)
        die("/proc/PID/stat");
    n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    p = strrchr(text, ')'); /* of field 2, which may hold anything */
    for (int field = 2; p != NULL && field < 14; field++) {
        p = strchr(p, ' ');
        p = p != NULL ? p + 1 : NULL;
    }
    if (p == NULL)
        die("/proc/PID/stat");
    ticks = strtoul(p, &p, 10);
    ticks += strtoul(p, NULL, 10);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static long rss_kib(void)
{
    char path[64], line[256];
    long kib = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%ld/status", opt.pid);
    f = fopen(path, "r");
    if (f == NULL)
        die("/proc/PID/status");
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    (void)fclose(f);
    return kib;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile(double p)
{
    return (double)latencies_ns[(uint64_t)(p * (double)(n_messages - 1))] / 1000.0;
}

static void report(double seconds, double cpu)
{
    qsort(latencies_ns, n_messages, sizeof *latencies_ns, by_value);
    (void)printf("{\"connections\": %u, \"inflight\": %u, \"messages\": %" PRIu64
                 ", \"seconds\": %.3f, \"messages_per_second\": %.0f, \"p50_us\": %.1f, "
                 "\"p99_us\": %.1f, \"p999_us\": %.1f",
                 opt.connections, opt.inflight, n_messages, seconds, (double)n_messages / seconds,
                 percentile(0.5), percentile(0.99), percentile(0.999));
    if (opt.pid > 0)
        (void)printf(", \"cpu_us_per_message\": %.3f, \"rss_kib\": %ld",
                     cpu * 1e6 / (double)n_messages, rss_kib());
    (void)printf("}\n");
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(name, "--open-only") == 0) {
            opt.open_only = true;
            continue;
        }
        if (strcmp(name, "--no-traceparent") == 0) {
            opt.no_traceparent = true;
            continue;
        }
        i++;
        if (strcmp(name, "--connect") == 0) {
            static char host[64];
            const char *colon = strchr(value, ':');

            if (colon == NULL || (size_t)(colon - value) >= sizeof host)
                die("--connect HOST:PORT");
            (void)snprintf(host, sizeof host, "%.*s", (int)(colon - value), value);
            opt.host = host;
            opt.port = (uint16_t)strtoul(colon + 1, NULL, 10);
        } else if (strcmp(name, "--connections") == 0) {
            opt.connections = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--inflight") == 0) {
            opt.inflight = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--requests") == 0) {
            opt.requests = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--first") == 0) {
            opt.first = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            opt.rate = strtod(value, NULL);
        } else if (strcmp(name, "--pid") == 0) {
            opt.pid = strtol(value, NULL, 10);
        } else {
            die("unknown option (see the top of spop_load.c)");
        }
    }
    if (opt.host == NULL || opt.connections == 0 || opt.connections > CONNECTIONS_MAX ||
        opt.inflight == 0 || opt.inflight > INFLIGHT_MAX || opt.requests == 0 || opt.first == 0)
        die("bad or missing options (see the top of spop_load.c)");
}

int main(int argc, char **argv)
{
    double cpu = 0;
    int64_t end_ns;

    errno = 0;
    parse(argc, argv);
    conns = calloc(opt.connections, sizeof *conns);
    latencies_ns = malloc(opt.requests * STAGES * sizeof *latencies_ns);
    if (conns == NULL || latencies_ns == NULL)
        die("memory");
    for (unsigned i = 0; i < opt.connections; i++)
        open_connection(&conns[i]);
    errno = 0;
    if (opt.pid > 0)
        cpu = cpu_seconds();
    run();
    end_ns = now_ns();
    if (opt.pid > 0)
        cpu = cpu_seconds() - cpu;
    report((double)(end_ns - begin_ns) / 1e9, cpu);
    return 0;
}
