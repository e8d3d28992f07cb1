/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/log_floor.c - the least that a receiver of log lines can do: it reads datagrams, many
 * with one call, counts them, and looks again some time after something came. What it costs is the
 * floor against which spoe-host is measured; it does not look at a byte.
 *
 *   log-floor [--delay-ms 10] [--receive-buffer 4194304]    prints "listening on 127.0.0.1:PORT"
 *
 * SIGUSR1: prints "lines N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64u
#define LINE_MAX_SIZE 65536u

static uint8_t lines[BATCH][LINE_MAX_SIZE]; /* pages that nobody uses cost nothing */
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static uint64_t count;
static volatile sig_atomic_t asked;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void on_usr1(int signal_number)
{
    (void)signal_number;
    asked = 1;
}

static int open_socket(int receive_buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&address, &len) != 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    (void)printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    return fd;
}

static void read_all(int fd)
{
    int n;

    do {
        n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        if (n > 0)
            count += (uint64_t)n;
    } while (n == (int)BATCH);
}

int main(int argc, char **argv)
{
    const struct sigaction usr1 = {.sa_handler = on_usr1};
    struct timespec delay = {.tv_nsec = 10000000};
    int receive_buffer = 4 << 20;
    struct pollfd polled = {.events = POLLIN};

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--delay-ms") == 0)
            delay.tv_nsec = strtol(argv[i + 1], NULL, 10) * 1000000;
        else if (strcmp(argv[i], "--receive-buffer") == 0)
            receive_buffer = (int)strtol(argv[i + 1], NULL, 10);
        else
            return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){lines[i], LINE_MAX_SIZE};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    if (sigaction(SIGUSR1, &usr1, NULL) != 0)
        die("sigaction");
    polled.fd = open_socket(receive_buffer);
    for (;;) {
        if (poll(&polled, 1, asked ? 0 : -1) < 0 && errno != EINTR)
            die("poll");
        if (asked) {
            asked = 0;
            read_all(polled.fd);
            (void)printf("lines %" PRIu64 "\n", count);
            continue;
        }
        if (delay.tv_nsec > 0)
            (void)nanosleep(&delay, NULL);
        read_all(polled.fd);
    }
}
