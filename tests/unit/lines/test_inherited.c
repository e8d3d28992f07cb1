/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/lines.c: inherited sockets as addresses of log-listen, fd:NAME and fd+octet:NAME.
 * (13.2)
 */
#include "conf/listen.h"
#include "conf/log_listen.h"
#include "lines/lines.h"
#include "net/inherited.h"
#include "unit/net/inherited_rig.h"

#define N(array) (sizeof(array) / sizeof(array)[0])
#define BUFFER 4096

static struct host_conf conf = {.workers = 1, .log_receive_buffer = BUFFER};

/* Take these names, as the option has them. */
static bool takes(const char *first, const char *second)
{
    struct error error;
    struct lines *lines;

    CHECK(log_listen_parse(first, &conf.log_listen[0], &error) == 0);
    conf.n_log_listen = 1;
    if (second != NULL) {
        CHECK(log_listen_parse(second, &conf.log_listen[1], &error) == 0);
        conf.n_log_listen = 2;
    }
    CHECK(inherited_open(&error) == 0);
    lines = lines_open(&conf);
    for (size_t i = 0; i < conf.n_log_listen; i++)
        listen_fini(&conf.log_listen[i].at);
    if (lines == NULL)
        return false;
    inherited_close_rest();
    lines_close(lines);
    return true;
}

/* Both kinds have one name. */
static void hand_over_both(void)
{
    const int fds[] = {rig_socket(SOCK_STREAM, true), rig_socket(SOCK_DGRAM, false),
                       rig_socket(SOCK_DGRAM, false)};

    rig_hand_over(fds, N(fds), "log:log:log");
}

static void all_of_a_name(void)
{
    hand_over_both();
    CHECK(takes("fd:log", NULL));
    CHECK(rig_logged()[0] == '\0');
    CHECK(!rig_is_open(3) && !rig_is_open(4) && !rig_is_open(5));
}

static void streams_with_octets_alone(void)
{
    hand_over_both();
    CHECK(takes("fd+octet:log", NULL));
    CHECK(strstr(rig_logged(), "the name log, and no option takes it") != NULL);
    hand_over_both();
    CHECK(takes("fd+octet:log", "fd:log"));
    CHECK(rig_logged()[0] == '\0');
}

static void hand_over_odd(void)
{
    const int fds[] = {rig_socket(SOCK_DGRAM, false), rig_socket(SOCK_STREAM, false)};

    rig_hand_over(fds, N(fds), "datagrams:quiet");
}

static void what_does_not_fit(void)
{
    hand_over_odd();
    CHECK(!takes("fd+octet:datagrams", NULL));
    CHECK(strstr(rig_logged(),
                 "cannot listen on fd+octet:datagrams: the socket of that name is not of "
                 "the kind that this option takes") != NULL);
    hand_over_odd();
    CHECK(!takes("fd:quiet", NULL));
    CHECK(strstr(rig_logged(), "fd:quiet: descriptor 4 does not listen") != NULL);
    hand_over_odd();
    CHECK(!takes("fd:other", NULL));
    CHECK(strstr(rig_logged(), "no socket of that name") != NULL);
    hand_over_odd();
    CHECK(!takes("fd:datagrams", "fd:datagrams"));
    CHECK(strstr(rig_logged(), "are taken by another option") != NULL);
}

static int receive_buffer(int fd)
{
    int got = 0;
    socklen_t len = sizeof got;

    CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0);
    return got / 2; /* the kernel doubles it */
}

static void keep_a_larger_buffer(void)
{
    const int more = 4 * BUFFER, fd = rig_socket(SOCK_DGRAM, false);
    int held;

    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &more, sizeof more) == 0);
    held = fcntl(fd, F_DUPFD_CLOEXEC, RIG_HIGH);
    rig_hand_over(&fd, 1, "log");
    CHECK(takes("fd:log", NULL));
    CHECK(receive_buffer(held) == more);
    CHECK(rig_logged()[0] == '\0');
}

Test(lines_inherited, all_of_a_name, .timeout = 30)
{
    rig_run(all_of_a_name);
}

Test(lines_inherited, streams_with_octets_alone, .timeout = 30)
{
    rig_run(streams_with_octets_alone);
}

Test(lines_inherited, what_does_not_fit, .timeout = 30)
{
    rig_run(what_does_not_fit);
}

/* ReceiveBuffer= of the unit is not made less by log-receive-buffer. */
Test(lines_inherited, a_larger_buffer_stays, .timeout = 30)
{
    rig_run(keep_a_larger_buffer);
}
