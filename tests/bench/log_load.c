/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/log_load.c - log lines in HAProxy's place, as haproxy/otel-log.cfg has it write them,
 * over UDP: as fast as it can, or evenly spaced. Each has ids of its own. Prints one JSON object.
 *
 *   log-load --connect 127.0.0.1:PORT [--lines 100000] [--rate LINES_PER_SECOND] [--first 1]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32u
#define LINE_SIZE 1024u

static struct {
    char host[64];
    uint16_t port;
    uint64_t lines, first;
    double rate; /* 0: as fast as it can */
} opt = {.lines = 100000, .first = 1};

static char lines[BATCH][LINE_SIZE];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void die(const char *what)
{
    (void)fprintf(stderr, "log-load: %s%s%s\n", what, errno != 0 ? ": " : "",
                  errno != 0 ? strerror(errno) : "");
    exit(1);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* One request in fifty fails, as spop-load's do; every id is used once. */
static size_t write_line(char *line, uint64_t number, int64_t now_us)
{
    const uint64_t a = number * UINT64_C(0x9e3779b97f4a7c15), b = a ^ (a >> 29) ^ number;
    int n = snprintf(
        line, LINE_SIZE,
        "v=1 tp=00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-01 t0=%" PRId64 " t1=%" PRId64
        " t2=%" PRId64 " te=%" PRId64
        " st=%d ts=---- rc=0 th=0 tR=0 tw=0 tc=1 tr=7 ta=12 bi=210 bo=1837 m=GET hv=HTTP/1.1 tls=- "
        "ci=192.0.2.%u cp=%u fi=192.0.2.1 fp=443 si=192.0.2.200 sp=8080 fe=http_front be=http_back "
        "srv=app1 in=- tracestate=- a=\"environment=production;datacenter=eu-west-1\" "
        "h=\"shop.example.org\" ua=\"Mozilla/5.0 (X11; Linux x86_64)\" u=\"/api/v1/items/%" PRIu64
        "?page=2\"\n",
        a, number, b | 1, now_us - 12000, now_us - 12000, now_us - 3000, now_us,
        number % 50 == 0 ? 503 : 200, (unsigned)(number % 250), (unsigned)(1024 + number % 60000),
        number % 10000);

    if (n < 0 || (size_t)n >= LINE_SIZE)
        die("a line does not fit");
    return (size_t)n;
}

static void send_batch(int fd, uint64_t number, unsigned n)
{
    const int64_t now_us = clock_ns(CLOCK_REALTIME) / 1000;
    unsigned sent = 0;

    for (unsigned i = 0; i < n; i++)
        vectors[i].iov_len = write_line(lines[i], number + i, now_us);
    while (sent < n) {
        int done = sendmmsg(fd, messages + sent, n - sent, 0);

        if (done <= 0)
            die("sendmmsg");
        sent += (unsigned)done;
    }
}

static void run(int fd, int64_t begin)
{
    uint64_t sent = 0;

    while (sent < opt.lines) {
        uint64_t due = opt.lines;
        unsigned n;

        if (opt.rate > 0) {
            due = (uint64_t)((double)(clock_ns(CLOCK_MONOTONIC) - begin) * opt.rate / 1e9);
            if (due <= sent) {
                const struct timespec step = {.tv_nsec = 200000};

                (void)nanosleep(&step, NULL);
                continue;
            }
            due = due < opt.lines ? due : opt.lines;
        }
        n = due - sent < BATCH ? (unsigned)(due - sent) : BATCH;
        send_batch(fd, opt.first + sent, n);
        sent += n;
    }
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
        } else if (strcmp(name, "--lines") == 0) {
            opt.lines = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--first") == 0) {
            opt.first = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            opt.rate = strtod(value, NULL);
        } else {
            die("unknown option (see the top of log_load.c)");
        }
    }
    if (opt.port == 0 || opt.lines == 0 || opt.first == 0 || opt.rate < 0)
        die("bad or missing options (see the top of log_load.c)");
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int64_t begin;
    double seconds;
    int fd;

    errno = 0;
    parse(argc, argv);
    for (unsigned i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){lines[i], 0};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    address.sin_port = htons(opt.port);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, opt.host, &address.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0)
        die("connect");
    begin = clock_ns(CLOCK_MONOTONIC);
    run(fd, begin);
    seconds = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9;
    (void)printf("{\"lines\": %" PRIu64 ", \"seconds\": %.3f, \"lines_per_second\": %.0f}\n",
                 opt.lines, seconds, (double)opt.lines / seconds);
    return 0;
}
