/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/otlp-console/main.c - a small OTLP/gRPC collector that shows what it gets.
 *
 *   otlp-console [--listen HOST:PORT] [--json]
 *
 * The first line says where it listens. SIGTERM or SIGINT ends it, with status 0.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "traces.h"

/* How long a signal, or a trace that is quiet, may wait to be seen. */
#define STEP_NS INT64_C(100000000)
#define DEFAULT_LISTEN "127.0.0.1:4317"

static const char usage[] =
    "Usage: otlp-console [--listen HOST:PORT] [--json]\n"
    "Takes OTLP traces over gRPC and prints each as a tree.\n"
    "  --listen HOST:PORT  where to listen; port 0: any that is free (" DEFAULT_LISTEN ")\n"
    "  --json              one line of JSON for each span instead\n";

struct options {
    const char *listen;
    bool json;
};

/* @return 0: go on; else 1 + the status to exit with */
static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int c;

    *ret = (struct options){.listen = DEFAULT_LISTEN};
    while ((c = getopt_long(argc, argv, "l:jh", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            ret->listen = optarg;
            break;
        case 'j':
            ret->json = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 1;
        default:
            (void)fputs(usage, stderr);
            return 3;
        }
    }
    if (optind < argc) {
        (void)fputs(usage, stderr);
        return 3;
    }
    return 0;
}

/* gRPC's threads inherit the mask, so only this thread ever sees these signals, by asking. */
static int block_signals(sigset_t *ret)
{
    (void)sigemptyset(ret);
    (void)sigaddset(ret, SIGTERM);
    (void)sigaddset(ret, SIGINT);
    return pthread_sigmask(SIG_BLOCK, ret, NULL);
}

static bool signal_came(const sigset_t *set)
{
    const struct timespec none = {0};

    return sigtimedwait(set, NULL, &none) > 0;
}

int main(int argc, char **argv)
{
    struct options options;
    struct traces *traces;
    struct server *server;
    const char *colon;
    sigset_t signals;
    int port, rc;

    rc = parse_options(argc, argv, &options);
    if (rc != 0)
        return rc - 1;
    if (block_signals(&signals) != 0)
        return 1;
    traces = traces_create(stdout, options.json);
    if (traces == NULL)
        return 1;
    server = server_create(options.listen, traces, &port);
    if (server == NULL) {
        (void)fprintf(stderr, "otlp-console: cannot listen on %s\n", options.listen);
        traces_destroy(traces);
        return 1;
    }
    colon = strrchr(options.listen, ':');
    (void)printf("listening on %.*s:%d\n",
                 (int)(colon != NULL ? colon - options.listen : (ptrdiff_t)strlen(options.listen)),
                 options.listen, port);
    (void)fflush(stdout);
    while (!signal_came(&signals)) {
        server_run(server, server_now() + STEP_NS);
        traces_tick(traces, server_now());
    }
    server_destroy(server);
    traces_destroy(traces);
    return fflush(stdout) == 0 ? 0 : 1;
}
