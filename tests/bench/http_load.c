/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/http_load.c - HTTP requests at a fixed rate over connections that stay open, for the
 * bench through HAProxy. Every answer must be a 200 with a Content-Length. A latency counts from
 * the moment at which the request was due. Prints one JSON object. SIGTERM ends it before all
 * requests are made: those under way are waited for.
 *
 *   http-load --connect 127.0.0.1:PORT [--connections 16] [--requests 10000] [--rate 2000]
 *             [--burst 1]         so many are due at the same moment
 *             [--count HEADER]    count the answers that have this header
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024u
#define ANSWER_MAX 16384u

struct connection {
    int fd;
    bool busy;
    int64_t due_ns;
    size_t len;
    char in[ANSWER_MAX + 1];
};

static struct {
    char host[64];
    uint16_t port;
    unsigned connections;
    uint64_t requests;
    uint64_t burst;
    double rate;
    char header[64]; /* with its colon; empty: count none */
} opt = {.connections = 16, .requests = 10000, .burst = 1, .rate = 2000};

static struct connection *conns;
static uint64_t started, finished, counted;
static volatile sig_atomic_t stopped;
static uint32_t *latencies_us;
static int64_t begin_ns;

static void die(const char *what)
{
    (void)fprintf(stderr, "http-load: %s%s%s\n", what, errno != 0 ? ": " : "",
                  errno != 0 ? strerror(errno) : "");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t due(uint64_t n)
{
    return begin_ns + (int64_t)((double)(n - n % opt.burst) * 1e9 / opt.rate);
}

static void send_request(struct connection *c)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "GET /api/v1/items/%" PRIu64 " HTTP/1.1\r\nHost: shop.example.org\r\n"
                     "User-Agent: http-load\r\nAccept: */*\r\n\r\n",
                     started % 10000);

    c->due_ns = due(started++);
    c->busy = true;
    c->len = 0;
    if (write(c->fd, text, (size_t)n) != n)
        die("write");
}

static void on_term(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* @return what follows a header's name in the head that ends at `end`, or NULL */
static const char *find_header(const struct connection *c, const char *end, const char *name)
{
    const char *line = c->in;

    while ((line = strstr(line, "\r\n")) != NULL && line < end) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0)
            return line + strlen(name);
    }
    return NULL;
}

/* @return bytes of the whole answer, 0: the head is not there yet */
static size_t answer_size(const struct connection *c)
{
    const char *end = strstr(c->in, "\r\n\r\n");
    const char *length;

    if (end == NULL)
        return 0;
    if (strncmp(c->in, "HTTP/1.1 200 ", 13) != 0)
        die(c->in);
    length = find_header(c, end, "content-length:");
    if (length == NULL)
        die("an answer without Content-Length");
    return (size_t)(end + 4 - c->in) + strtoul(length, NULL, 10);
}

static void read_answer(struct connection *c)
{
    ssize_t n = read(c->fd, c->in + c->len, ANSWER_MAX - c->len);
    size_t size;

    if (n <= 0 || !c->busy)
        die("HAProxy closed a connection");
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    size = answer_size(c);
    if (size == 0 || c->len < size)
        return;
    if (c->len > size)
        die("more than an answer");
    if (opt.header[0] != '\0' && find_header(c, strstr(c->in, "\r\n\r\n"), opt.header) != NULL)
        counted++;
    latencies_us[finished++] = (uint32_t)((now_ns() - c->due_ns) / 1000);
    c->busy = false;
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
    const int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || inet_pton(AF_INET, opt.host, &address.sin_addr) != 1 ||
        connect(c->fd, (struct sockaddr *)(void *)&address, sizeof address) != 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void start_due(void)
{
    static unsigned next; /* round robin */

    for (unsigned tried = 0; tried < opt.connections; tried++) {
        struct connection *c = &conns[next];

        if (started == opt.requests || due(started) > now_ns())
            return;
        next = (next + 1) % opt.connections;
        if (!c->busy)
            send_request(c);
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
    while (finished < opt.requests) {
        int64_t wait = started < opt.requests ? due(started) - now_ns() : 1000000000;
        struct timespec ts = {0, 0};
        int n;

        if (wait <= 0) /* all connections are busy */
            wait = started - finished == opt.connections ? 1000000 : 0;
        ts.tv_sec = wait / 1000000000;
        ts.tv_nsec = wait % 1000000000;
        n = epoll_pwait2(epoll, events, 64, &ts, NULL);
        for (int i = 0; i < n; i++)
            read_answer(events[i].data.ptr);
        if (stopped)
            opt.requests = started;
        start_due();
    }
    (void)close(epoll);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        const char *colon = strchr(value, ':');

        if (strcmp(name, "--connect") == 0 && colon != NULL &&
            (size_t)(colon - value) < sizeof opt.host) {
            (void)snprintf(opt.host, sizeof opt.host, "%.*s", (int)(colon - value), value);
            opt.port = (uint16_t)strtoul(colon + 1, NULL, 10);
        } else if (strcmp(name, "--connections") == 0) {
            opt.connections = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--requests") == 0) {
            opt.requests = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            opt.rate = strtod(value, NULL);
        } else if (strcmp(name, "--burst") == 0) {
            opt.burst = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--count") == 0 && strlen(value) < sizeof opt.header - 1) {
            (void)snprintf(opt.header, sizeof opt.header, "%s:", value);
        } else {
            die("unknown option (see the top of http_load.c)");
        }
    }
    if (opt.port == 0 || opt.connections == 0 || opt.connections > CONNECTIONS_MAX ||
        opt.requests == 0 || opt.burst == 0 || opt.rate <= 0)
        die("bad or missing options (see the top of http_load.c)");
}

int main(int argc, char **argv)
{
    const struct sigaction term = {.sa_handler = on_term};
    double seconds;

    errno = 0;
    parse(argc, argv);
    if (sigaction(SIGTERM, &term, NULL) != 0)
        die("sigaction");
    conns = calloc(opt.connections, sizeof *conns);
    latencies_us = calloc(opt.requests, sizeof *latencies_us);
    if (conns == NULL || latencies_us == NULL)
        die("memory");
    for (unsigned i = 0; i < opt.connections; i++)
        open_connection(&conns[i]);
    errno = 0;
    run();
    seconds = (double)(now_ns() - begin_ns) / 1e9;
    qsort(latencies_us, finished, sizeof *latencies_us, by_value);
    (void)printf("{\"requests\": %" PRIu64 ", \"requests_per_second\": %.0f, \"p50_us\": %u, "
                 "\"p99_us\": %u, \"counted\": %" PRIu64 "}\n",
                 finished, (double)finished / seconds, latencies_us[finished / 2],
                 latencies_us[finished * 99 / 100], counted);
    return 0;
}
