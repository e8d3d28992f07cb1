/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/long/spop_storm.c - an SPOP peer that sends an agent recorded frames, changed at random.
 *
 * The same seed sends the same bytes. Most changes keep a frame readable, so that what is changed
 * reaches the plugins: arguments left out, doubled, of other types, sizes and bytes, other ids. One
 * in some twenty frames has any of its bytes changed, its length too, or is cut; the agent may then
 * end the connection. Whatever it answers is read and thrown away, but it has to end each
 * connection whose peer has no more to say. Prints one JSON object.
 *
 *   spop-storm --unix PATH --seed N --frames N CAPTURE...
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <spoe/util.h>

#include "lib/codec.h"

#define RECORDED_MAX 256u
#define FRAME_MAX 16380u
#define FRAMES_PER_CONNECTION 96u
#define OUT_MAX (FRAMES_PER_CONNECTION * (FRAME_MAX + SPOP_LENGTH_BYTES))
#define IDS 512u          /* of requests: few enough that messages meet */
#define TEXT_MAX 6000u    /* longer than any limit of a field */
#define ANSWER_SECONDS 60 /* after which the agent counts as hung */

struct recorded {
    uint8_t type;
    bool healthcheck; /* a HELLO after which the agent may close */
    size_t len;       /* of the payload */
    uint8_t payload[1024];
};

static struct recorded recorded[RECORDED_MAX];
static size_t n_recorded;
static uint64_t state, sent, connections, refused;
static uint8_t out[OUT_MAX];

static void die(const char *what)
{
    (void)fprintf(stderr, "spop-storm: %s%s%s\n", what, errno != 0 ? ": " : "",
                  errno != 0 ? strerror(errno) : "");
    exit(1);
}

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
    return draw() % n;
}

/* ---- the captures ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "CONNECTION DIRECTION HEX" */
static void read_line(const char *line)
{
    static uint8_t bytes[2048];
    const char *hex = strstr(line, "haproxy->agent ");
    struct recorded *one = &recorded[n_recorded];
    struct spop_frame frame;
    struct spop_hello hello;
    size_t n = 0;

    if (hex == NULL || line[0] == '#')
        return;
    for (hex += strlen("haproxy->agent "); n < sizeof bytes && digit(hex[0]) >= 0; hex += 2)
        bytes[n++] = (uint8_t)(digit(hex[0]) * 16 + digit(hex[1]));
    if (n < SPOP_LENGTH_BYTES || n_recorded == RECORDED_MAX ||
        wire_frame_decode(bytes + SPOP_LENGTH_BYTES, n - SPOP_LENGTH_BYTES, &frame) != 0 ||
        frame.payload_len > sizeof one->payload)
        die("a capture cannot be used");
    *one = (struct recorded){.type = frame.type, .len = frame.payload_len};
    one->healthcheck = frame.type == SPOP_HAPROXY_HELLO &&
                       spop_decode_hello(frame.payload, frame.payload_len, &hello) == 0 &&
                       hello.healthcheck;
    memcpy(one->payload, frame.payload, frame.payload_len);
    n_recorded++;
}

static void read_capture(const char *path)
{
    static char line[8192];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        die(path);
    while (fgets(line, sizeof line, file) != NULL)
        read_line(line);
    (void)fclose(file);
}

static const struct recorded *pick(uint8_t type)
{
    for (;;) {
        const struct recorded *one = &recorded[below(n_recorded)];

        if (one->type == type && (!one->healthcheck || below(32) == 0))
            return one;
    }
}

/* ---- changes ---- */

static struct spoe_span random_text(void)
{
    static char text[TEXT_MAX];
    size_t n = below(16) == 0 ? below(TEXT_MAX) : below(80);
    const bool any = below(4) == 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t r = below(256);

        text[i] = (char)(any ? r : 32 + r % 95);
    }
    return (struct spoe_span){text, n};
}

/* The value of a request's id, of a pool. */
static struct spoe_span id_text(void)
{
    static char text[40];

    (void)snprintf(text, sizeof text, "storm-%04" PRIu64, below(IDS));
    return (struct spoe_span){text, strlen(text)};
}

static struct spoe_value random_value(void)
{
    static const uint8_t types[] = {SPOE_T_NULL,  SPOE_T_BOOL,   SPOE_T_INT32, SPOE_T_UINT32,
                                    SPOE_T_INT64, SPOE_T_UINT64, SPOE_T_IPV4,  SPOE_T_IPV6,
                                    SPOE_T_STR,   SPOE_T_BIN};
    struct spoe_value v = {.type = types[below(sizeof types)]};
    const uint64_t number = draw() >> below(64);

    if (v.type == SPOE_T_STR || v.type == SPOE_T_BIN)
        v.u.s = random_text();
    else if (v.type == SPOE_T_BOOL)
        v.u.b = number & 1;
    else
        for (size_t i = 0; i < sizeof v.u.ip6; i++)
            v.u.ip6[i] = (uint8_t)(number >> (i % 8 * 8));
    return v;
}

/* A text with some of its bytes changed. */
static struct spoe_span changed_text(struct spoe_span s)
{
    static char text[1024];
    size_t n = s.n < sizeof text ? s.n : sizeof text;

    memcpy(text, s.p, n);
    for (uint64_t i = below(4); i > 0 && n > 0; i--)
        text[below(n)] = (char)draw();
    return (struct spoe_span){text, n};
}

/* One argument, as it is or changed, none or several times. @return bytes written */
static size_t put_argument(uint8_t *p, size_t cap, struct spoe_arg arg, unsigned *ret_times)
{
    size_t n = 0;
    unsigned times = 1;

    if (spoe_span_is(arg.name, "unique-id") && below(16) != 0) {
        arg.value.u.s = id_text();
    } else {
        const uint64_t how = below(12);

        times = how == 0 ? 0 : how == 1 ? 2 : 1;
        if (how >= 2 && how <= 3)
            arg.value = random_value();
        else if (how == 4)
            arg.name = random_text();
        else if (how <= 7 && (arg.value.type == SPOE_T_STR || arg.value.type == SPOE_T_BIN))
            arg.value.u.s = changed_text(arg.value.u.s);
    }
    for (*ret_times = 0; *ret_times < times; (*ret_times)++) {
        size_t name = codec_put_string(p + n, cap - n, arg.name);
        size_t value = name != 0 ? codec_put_value(p + n + name, cap - n - name, &arg.value) : 0;

        if (value == 0)
            break;
        n += name + value;
    }
    return n;
}

/* A NOTIFY's payload with its arguments changed. */
static size_t put_notify(uint8_t *p, size_t cap, const struct recorded *one)
{
    struct spop_cursor c = {one->payload, one->payload + one->len};
    struct spoe_span name;
    uint32_t n_args;
    size_t n = 0;

    while (codec_next_message(&c, &name, &n_args) == 1) {
        size_t head = codec_put_string(p + n, cap - n, below(50) == 0 ? changed_text(name) : name);
        unsigned total = 0;
        uint8_t *count = p + n + head;

        if (head == 0 || cap - n - head < 1)
            return n;
        n += head + 1;
        for (uint32_t i = 0; i < n_args; i++) {
            struct spoe_arg arg;
            unsigned times;

            if (spop_get_arg(&c, &arg) != 0)
                die("a recorded argument cannot be read");
            n += put_argument(p + n, cap - n, arg, &times);
            total += times;
        }
        *count = (uint8_t)total;
    }
    return n;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Any byte of the frame, its length among them; or its end. */
static size_t damage(uint8_t *p, size_t n)
{
    static const uint8_t interesting[] = {0x00, 0x01, 0x7f, 0x80, 0xef, 0xf0, 0xff};

    for (uint64_t i = 1 + below(4); i > 0; i--) {
        const size_t at = (below(8) == 0 ? 0 : SPOP_LENGTH_BYTES) + below(n - SPOP_LENGTH_BYTES);

        p[at] = below(2) == 0 ? interesting[below(sizeof interesting)] : (uint8_t)draw();
    }
    if (below(4) == 0) {
        n -= below(n - SPOP_LENGTH_BYTES);
        put_be32(p, (uint32_t)(n - SPOP_LENGTH_BYTES)); /* a payload that ends too early */
    }
    return n;
}

/* A frame, changed; `whole`: one that opens the connection. @return its size */
static size_t put_frame(uint8_t *p, const struct recorded *one, bool whole)
{
    const size_t cap = FRAME_MAX + SPOP_LENGTH_BYTES;
    size_t n = SPOP_LENGTH_BYTES;

    p[n++] = one->type;
    put_be32(p + n, SPOP_FLAG_FIN);
    n += 4;
    n += codec_put_varint(p + n, cap - n, one->type == SPOP_NOTIFY ? draw() >> below(64) : 0);
    n += codec_put_varint(p + n, cap - n, one->type == SPOP_NOTIFY ? draw() >> below(64) : 0);
    if (one->type == SPOP_NOTIFY) {
        n += put_notify(p + n, cap - n, one);
    } else {
        memcpy(p + n, one->payload, one->len);
        n += one->len;
    }
    put_be32(p, (uint32_t)(n - SPOP_LENGTH_BYTES));
    return whole || below(20) != 0 ? n : damage(p, n);
}

/* All that one connection sends. */
static size_t fill(uint64_t most)
{
    uint64_t frames = 1 + below(FRAMES_PER_CONNECTION);
    size_t n = 0;

    frames = frames < most ? frames : most;
    for (uint64_t i = 0; i < frames; i++) {
        uint8_t type = SPOP_NOTIFY;

        if (i == 0 && below(64) != 0)
            type = SPOP_HAPROXY_HELLO;
        else if (below(400) == 0)
            type = below(2) == 0 ? SPOP_HAPROXY_HELLO : SPOP_HAPROXY_DISCONNECT;
        n += put_frame(out + n, pick(type), i == 0 && below(64) != 0);
    }
    sent += frames;
    return n;
}

/* ---- the wire ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof addr.sun_path)
        die("the socket's name is too long");
    memcpy(addr.sun_path, path, strlen(path));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0)
        die("connect");
    return fd;
}

/* Send all and read until the agent ends the connection. */
static void exchange(int fd, size_t n)
{
    static uint8_t in[65536];
    size_t at = 0;
    bool writing = true;

    for (;;) {
        struct pollfd ready = {.fd = fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0))};

        if (poll(&ready, 1, ANSWER_SECONDS * 1000) <= 0) {
            errno = 0;
            die("the agent neither reads, answers nor closes");
        }
        if (writing && (ready.revents & POLLOUT) != 0) {
            ssize_t r = send(fd, out + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);

            if (r > 0)
                at += (size_t)r;
            if (at == n || (r < 0 && errno != EAGAIN)) {
                refused += at != n;
                writing = false;
                (void)shutdown(fd, SHUT_WR);
            }
        }
        if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            ssize_t r = recv(fd, in, sizeof in, MSG_DONTWAIT);

            if (r == 0 || (r < 0 && errno != EAGAIN))
                return;
        }
    }
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    uint64_t frames = 0;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--unix") == 0)
            path = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            state = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--frames") == 0)
            frames = strtoull(argv[++i], NULL, 10);
        else
            read_capture(argv[i]);
    }
    if (path == NULL || n_recorded == 0)
        die("usage: spop-storm --unix PATH --seed N --frames N CAPTURE...");
    state *= 0x2545f4914f6cdd1du; /* seeds that follow each other give unlike streams */
    while (sent < frames) {
        int fd = connect_to(path);

        exchange(fd, fill(frames - sent));
        (void)close(fd);
        connections++;
    }
    (void)printf("{\"frames\": %" PRIu64 ", \"connections\": %" PRIu64 ", \"cut_short\": %" PRIu64
                 "}\n",
                 sent, connections, refused);
    return 0;
}
