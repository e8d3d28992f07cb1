/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/inherited.c, and what sockets.c makes of it: sockets by the protocol of
 * sd_listen_fds(3). (13.2) How a whole host takes them: tests/integ/test_inherited.py.
 */
#include <linux/netlink.h>

#include "conf/listen.h"
#include "inherited_rig.h"
#include "net/inherited.h"
#include "net/sockets.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

static struct error error;

static void take_by_name_and_kind(void)
{
    const int fds[] = {rig_socket(SOCK_DGRAM, false), rig_socket(SOCK_STREAM, true),
                       rig_socket(SOCK_STREAM, true), rig_socket(SOCK_DGRAM, false)};

    rig_hand_over(fds, N(fds), "log:spop:log:log");
    CHECK(inherited_open(&error) == 0);
    CHECK(inherited_take("lo", SOCK_DGRAM, &error) == -1);
    CHECK(inherited_take("logs", SOCK_DGRAM, &error) == -1);
    CHECK(inherited_take("log", SOCK_DGRAM, &error) == 3);
    CHECK(inherited_take("log", SOCK_DGRAM, &error) == 6);
    CHECK(inherited_take("log", SOCK_DGRAM, &error) == -1);
    CHECK(inherited_take("log", SOCK_STREAM, &error) == 5);
    CHECK(inherited_take("log", SOCK_STREAM, &error) == -1);
    CHECK(inherited_take("spop", SOCK_STREAM, &error) == 4);
    for (int fd = 3; fd <= 6; fd++) {
        CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    }
    inherited_close_rest();
    CHECK(rig_is_open(3) && rig_is_open(4) && rig_is_open(5) && rig_is_open(6));
    CHECK(rig_logged()[0] == '\0');
}

/* Several of a name, each once. */
Test(inherited, by_name_and_kind, .timeout = 30)
{
    rig_run(take_by_name_and_kind);
}

static void take_by_address(void)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr *const sa6 = (const struct sockaddr *)(const void *)&in6;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr *const sa_un = (const struct sockaddr *)(const void *)&un;
    struct sockaddr_in in = {.sin_family = AF_INET};
    const struct sockaddr *const sa = (const struct sockaddr *)(const void *)&in;
    const int fds[] = {rig_socket(SOCK_STREAM, true), rig_socket(SOCK_STREAM, false),
                       socket(AF_INET6, SOCK_DGRAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0),
                       open("/dev/null", O_RDWR)};
    socklen_t len = sizeof in6;

    CHECK(bind(fds[3], sa_un, sizeof un.sun_family) == 0); /* an abstract one, by the kernel */
    CHECK(bind(fds[2], sa6, sizeof in6) == 0 &&
          getsockname(fds[2], (struct sockaddr *)&in6, &len) == 0);
    rig_hand_over(fds, N(fds), "a:b:c:d:e");
    CHECK(inherited_open(&error) == 0);
    CHECK(inherited_take_bound(sa_un, SOCK_DGRAM, &error) == -1 &&
          inherited_holder(sa_un, SOCK_DGRAM) == NULL);
    len = sizeof in;
    CHECK(getsockname(3, (struct sockaddr *)&in, &len) == 0);
    CHECK(inherited_take_bound(sa, SOCK_DGRAM, &error) == -1 &&
          inherited_holder(sa, SOCK_DGRAM) == NULL);
    in.sin_addr.s_addr = htonl(INADDR_ANY); /* another address of its port */
    CHECK(inherited_take_bound(sa, SOCK_STREAM, &error) == -1);
    CHECK(strcmp(inherited_holder(sa, SOCK_STREAM), "a") == 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(inherited_take_bound(sa, SOCK_STREAM, &error) == 3);
    CHECK((fcntl(3, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(inherited_take_bound(sa, SOCK_STREAM, &error) == -1);
    CHECK(getsockname(4, (struct sockaddr *)&in, &len) == 0);
    CHECK(inherited_take_bound(sa, SOCK_STREAM, &error) == -2);
    CHECK(strcmp(error.text, "descriptor 4 does not listen (Accept=no in its unit)") == 0);
    CHECK(inherited_take_bound(sa6, SOCK_STREAM, &error) == -1);
    in6.sin6_addr = in6addr_any;
    CHECK(inherited_take_bound(sa6, SOCK_DGRAM, &error) == -1);
    CHECK(strcmp(inherited_holder(sa6, SOCK_DGRAM), "c") == 0);
    in6.sin6_addr = in6addr_loopback;
    CHECK(inherited_take_bound(sa6, SOCK_DGRAM, &error) == 5);
    in.sin_port = 0; /* any port: nobody has it */
    CHECK(inherited_take_bound(sa, SOCK_STREAM, &error) == -1 &&
          inherited_holder(sa, SOCK_STREAM) == NULL);
}

/* Whatever their names are. */
Test(inherited, by_address, .timeout = 30)
{
    rig_run(take_by_address);
}

/* Nothing is taken, closed or complained of: they are somebody else's. */
static void leave_all(void)
{
    CHECK(inherited_open(&error) == 0);
    CHECK(inherited_take("x", SOCK_STREAM, &error) == -1);
    inherited_explain("x", &error);
    CHECK(strstr(error.text, "no socket of that name") != NULL);
    CHECK(strstr(error.text, "but none at all") != NULL);
    inherited_close_rest();
    CHECK(rig_is_open(3) && (fcntl(3, F_GETFD) & FD_CLOEXEC) == 0);
    CHECK(rig_logged()[0] == '\0');
}

static void of_another_process(void)
{
    static const char *const pids[] = {"1", "", "x", "-1", "99999999999999999999"};
    const int fd = rig_socket(SOCK_STREAM, true);
    char text[32];

    rig_hand_over(&fd, 1, "x");
    for (size_t i = 0; i < N(pids); i++) {
        CHECK(setenv("LISTEN_PID", pids[i], 1) == 0);
        leave_all();
    }
    (void)snprintf(text, sizeof text, "%dx", (int)getpid());
    CHECK(setenv("LISTEN_PID", text, 1) == 0);
    leave_all();
    CHECK(unsetenv("LISTEN_PID") == 0);
    leave_all();
    rig_say("1", "x");
    CHECK(unsetenv("LISTEN_FDS") == 0);
    leave_all();
}

Test(inherited, another_process_has_its_own, .timeout = 30)
{
    rig_run(of_another_process);
}

static void count_wrongly(void)
{
    static const char *const counts[] = {
        "65", "-1", "many", "", "1 ", "0x1", "99999999999999999999"};
    const int fd = rig_socket(SOCK_STREAM, true);

    rig_hand_over(&fd, 1, NULL);
    for (size_t i = 0; i < N(counts); i++) {
        rig_say(counts[i], NULL);
        CHECK(inherited_open(&error) == -1);
        CHECK(strstr(error.text, "LISTEN_FDS: expected a number from 0 to 64") != NULL);
        CHECK(inherited_take("unknown", SOCK_STREAM, &error) == -1);
    }
    rig_say("0", NULL);
    CHECK(inherited_open(&error) == 0 && rig_logged()[0] == '\0');
    rig_say("0", "");
    CHECK(inherited_open(&error) == 0 && rig_logged()[0] == '\0');
}

Test(inherited, a_count_that_is_none, .timeout = 30)
{
    rig_run(count_wrongly);
}

static void as_many_as_there_can_be(void)
{
    int fds[INHERITED_MAX];
    char names[INHERITED_MAX * 2] = "";

    fds[0] = rig_socket(SOCK_STREAM, true);
    for (size_t i = 0; i < N(fds); i++) {
        fds[i] = fds[0];
        (void)memcpy(names + 2 * i, i + 1 < N(fds) ? "a:" : "b", 2);
    }
    rig_hand_over(fds, N(fds), names);
    CHECK(inherited_open(&error) == 0);
    for (size_t i = 0; i + 1 < N(fds); i++)
        CHECK(inherited_take("a", SOCK_STREAM, &error) == RIG_FIRST + (int)i);
    CHECK(inherited_take("a", SOCK_STREAM, &error) == -1);
    CHECK(inherited_take("b", SOCK_STREAM, &error) == RIG_FIRST + (int)N(fds) - 1);
}

Test(inherited, as_many_as_there_can_be, .timeout = 30)
{
    rig_run(as_many_as_there_can_be);
}

static void name_wrongly(void)
{
    const int fds[] = {rig_socket(SOCK_STREAM, true), rig_socket(SOCK_STREAM, true)};

    rig_hand_over(fds, N(fds), "one");
    CHECK(inherited_open(&error) == -1);
    CHECK(strstr(error.text, "LISTEN_FDNAMES has 1 names, LISTEN_FDS says 2") != NULL);
    rig_say("2", "one:two:three");
    CHECK(inherited_open(&error) == -1);
    CHECK(strstr(error.text, "LISTEN_FDNAMES has 3 names, LISTEN_FDS says 2") != NULL);
    rig_say("2", ":two");
    CHECK(inherited_open(&error) == 0);
    CHECK(inherited_take("two", SOCK_STREAM, &error) == 4);
    /* Without names, and with an empty list of them, which is none. */
    for (int i = 0; i < 2; i++) {
        rig_say("2", i == 0 ? NULL : "");
        CHECK(inherited_open(&error) == 0);
        CHECK(inherited_take("unknown", SOCK_STREAM, &error) == 3);
        CHECK(inherited_take("unknown", SOCK_STREAM, &error) == 4);
        CHECK(rig_logged()[0] == '\0');
    }
}

Test(inherited, names_that_are_missing, .timeout = 30)
{
    rig_run(name_wrongly);
}

/* The reasons: those of the names, however long they are, are cut. */
static void name_at_length(void)
{
    int fds[40];
    char name[251] = {0}, names[40 * 251] = "";

    memset(name, 'x', sizeof name - 1);
    fds[0] = rig_socket(SOCK_STREAM, true);
    for (size_t i = 0; i < N(fds); i++) {
        fds[i] = fds[0];
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                       i > 0 ? ":" : "", name);
    }
    rig_hand_over(fds, N(fds), names);
    CHECK(inherited_open(&error) == 0);
    inherited_explain("y", &error);
    CHECK(strstr(error.text, ", but xxx") != NULL);
    CHECK(inherited_take(name, SOCK_STREAM, &error) == 3);
}

Test(inherited, long_names, .timeout = 30)
{
    rig_run(name_at_length);
}

static void close_one(void)
{
    const int fds[] = {rig_socket(SOCK_STREAM, true), rig_socket(SOCK_STREAM, true)};

    rig_hand_over(fds, N(fds), "one:two");
    CHECK(close(4) == 0);
    CHECK(inherited_open(&error) == -1);
    CHECK(strstr(error.text, "descriptor 4 of LISTEN_FDS=2: Bad file descriptor") != NULL);
    CHECK(inherited_take("one", SOCK_STREAM, &error) == -1);
}

Test(inherited, a_descriptor_that_is_closed, .timeout = 30)
{
    rig_run(close_one);
}

static void bring_others(void)
{
    static const struct {
        const char *name, *said;
    } cases[] = {
        {"file", "descriptor 3 is no socket"},
        {"netlink", "descriptor 4 is neither of IP nor a unix socket"},
        {"packets", "descriptor 5 is neither a stream nor of datagrams"},
        {"quiet", "descriptor 6 does not listen (Accept=no in its unit)"},
        {"connected", "descriptor 7 does not listen (Accept=no in its unit)"},
    };
    int pair[2];
    const int made = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    const int fds[] = {open("/dev/null", O_RDWR), socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
                       socket(AF_UNIX, SOCK_SEQPACKET, 0), rig_socket(SOCK_STREAM, false), pair[0]};

    CHECK(made == 0);
    rig_hand_over(fds, N(fds), "file:netlink:packets:quiet:connected");
    CHECK(inherited_open(&error) == 0);
    for (size_t i = 0; i < N(cases); i++) {
        CHECK(inherited_take(cases[i].name, SOCK_STREAM, &error) == -2);
        CHECK(strcmp(error.text, cases[i].said) == 0);
        CHECK(inherited_take(cases[i].name, SOCK_DGRAM, &error) == -2);
    }
}

Test(inherited, what_is_no_socket_of_ours, .timeout = 30)
{
    rig_run(bring_others);
}

static void close_what_nobody_takes(void)
{
    const int fds[] = {rig_socket(SOCK_STREAM, true), rig_socket(SOCK_DGRAM, false)};

    rig_hand_over(fds, N(fds), "spop:log");
    CHECK(inherited_open(&error) == 0);
    CHECK(inherited_take("log", SOCK_STREAM, &error) == -1);
    inherited_explain("log", &error);
    CHECK(strcmp(error.text, "the socket of that name is not of the kind that this option takes") ==
          0);
    CHECK(inherited_take("spop", SOCK_STREAM, &error) == 3);
    CHECK(inherited_take("spop", SOCK_STREAM, &error) == -1);
    inherited_explain("spop", &error);
    CHECK(strcmp(error.text, "the sockets of that name are taken by another option") == 0);
    inherited_explain("other", &error);
    CHECK(strstr(error.text, "that is started), but spop, log") != NULL);
    inherited_close_rest();
    CHECK(strstr(rig_logged(), "a socket with the name log, and no option takes it") != NULL);
    CHECK(rig_is_open(3) && !rig_is_open(4));
    CHECK(inherited_take("log", SOCK_DGRAM, &error) == -1);
}

Test(inherited, the_rest_is_closed, .timeout = 30)
{
    rig_run(close_what_nobody_takes);
}

/* ---- as addresses of an option ---- */

static const struct host_conf conf = {.workers = 1};
static struct sockets sockets;

/* @return of sockets_open() */
static int open_address(const char *text)
{
    static struct host_listen listen;

    CHECK(listen_parse(text, &listen, &error) == 0);
    return sockets_open(&sockets, &listen);
}

static void open_as_addresses(void)
{
    const struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0spoe-host-unit"};
    struct sockaddr_in in = {.sin_family = AF_INET};
    const int fds[] = {rig_socket(SOCK_STREAM, true), socket(AF_INET, SOCK_STREAM, 0),
                       socket(AF_UNIX, SOCK_STREAM, 0), rig_socket(SOCK_DGRAM, false)};

    CHECK(bind(fds[1], (struct sockaddr *)(void *)&in, sizeof in) == 0 && listen(fds[1], 1) == 0);
    CHECK(bind(fds[2], (const struct sockaddr *)(const void *)&un, sizeof(sa_family_t) + 1) == 0);
    CHECK(listen(fds[2], 1) == 0);
    rig_hand_over(fds, N(fds), "spop:spop:spop:spop");
    CHECK(inherited_open(&error) == 0);
    sockets = (struct sockets){.conf = &conf, .component = "listener", .hint = ""};
    CHECK(open_address("fd:spop") == 0);
    CHECK(sockets.n == 3 && sockets.socket[0].fd == 3 && sockets.socket[2].fd == 5);
    CHECK(strncmp(sockets.socket[0].name, "127.0.0.1:", 10) == 0 && !sockets.socket[0].exposed);
    CHECK(strncmp(sockets.socket[1].name, "0.0.0.0:", 8) == 0 && sockets.socket[1].exposed);
    CHECK(strcmp(sockets.socket[2].name, "unix:@") == 0 && sockets.socket[2].is_unix);
    CHECK(rig_logged()[0] == '\0');
    CHECK(open_address("fd:spop") == -1);
    CHECK(strstr(rig_logged(), "component=listener msg=\"cannot listen on fd:spop: the sockets of "
                               "that name are taken by another option\"") != NULL);
    CHECK(open_address("fd:other") == -1);
    CHECK(strstr(rig_logged(),
                 "cannot listen on fd:other: the service manager has handed over no") != NULL);
    sockets_close(&sockets);
    CHECK(!rig_is_open(3) && !rig_is_open(5) && rig_is_open(6));
}

Test(inherited, as_addresses, .timeout = 30)
{
    rig_run(open_as_addresses);
}

/* A socket file is whoever's who made it: it stays. */
static void keep_the_file(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/inherited-XXXXXX";
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char name[sizeof un.sun_path + 8];

    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s/s", folder);
    CHECK(bind(fd, (struct sockaddr *)(void *)&un, sizeof un) == 0 && listen(fd, 1) == 0);
    rig_hand_over(&fd, 1, "spop");
    CHECK(inherited_open(&error) == 0);
    sockets = (struct sockets){.conf = &conf, .component = "listener", .hint = ""};
    CHECK(open_address("fd:spop") == 0);
    (void)snprintf(name, sizeof name, "unix:%s", un.sun_path);
    CHECK(strcmp(sockets.socket[0].name, name) == 0 && sockets.socket[0].path == NULL);
    sockets_close(&sockets);
    CHECK(access(un.sun_path, F_OK) == 0);
    CHECK(unlink(un.sun_path) == 0 && rmdir(folder) == 0);
}

Test(inherited, the_file_stays, .timeout = 30)
{
    rig_run(keep_the_file);
}

static void want_more_than_fit(void)
{
    int fds[INHERITED_MAX];
    char names[INHERITED_MAX * 2] = "";

    fds[0] = rig_socket(SOCK_STREAM, true);
    for (size_t i = 0; i < N(fds); i++) {
        fds[i] = fds[0];
        (void)memcpy(names + 2 * i, i + 1 < N(fds) ? "a:" : "a", 2);
    }
    rig_hand_over(fds, N(fds), names);
    CHECK(inherited_open(&error) == 0);
    sockets = (struct sockets){.conf = &conf, .component = "listener", .hint = ""};
    CHECK(open_address("127.0.0.1:0") == 0);
    CHECK(open_address("fd:a") == -1);
    CHECK(strstr(rig_logged(), "more than 64 listening sockets") != NULL);
    sockets_close(&sockets);
}

Test(inherited, more_than_fit, .timeout = 30)
{
    rig_run(want_more_than_fit);
}
