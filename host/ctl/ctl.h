/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/ctl.h - `spoe-host ctl`: the command line of the admin endpoint of a host that runs.
 *
 * Exit status: CTL_OK; CTL_REFUSED: the host says no, or the command line is wrong, or what was
 * waited for did not come; CTL_UNREACHED: nobody answers.
 */
#ifndef HOST_CTL_CTL_H
#define HOST_CTL_CTL_H

#include <stdint.h>

#include <jansson.h>

#include <spoe/plugin.h>

#include "ctl/client.h"

#define CTL_TIMEOUT_NS INT64_C(10000000000) /* for an answer, from the lookup of a name on */

enum { CTL_OK = 0, CTL_REFUSED = 1, CTL_UNREACHED = 2 };

/** @param argv  of the command line, from "ctl" on @return the exit status */
int ctl_main(int argc, char **argv);

/* ---- for the commands ---- */

/**
 * Ask, and say what is wrong. A host that is busy (503 with Retry-After) is asked again while there
 * is time.
 * @return CTL_OK with *ret, its status 200; else nothing to free
 */
int ctl_ask(const struct client *client, const char *target, const char *body,
            struct client_answer *ret);
/** The same, of a page of JSON. @param ret  [give: json_decref()] */
int ctl_ask_json(const struct client *client, const char *target, const char *body, json_t **ret);
/** `status`. @return the exit status */
int ctl_status(const struct client *client);
/** `trace`. @return the exit status */
int ctl_trace(const struct client *client);

#endif
