/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/names.h - lists of header names, as options have them: "authorization,
 * cookie". A name counts in any case.
 */
#ifndef AUTH_REQUEST_NAMES_H
#define AUTH_REQUEST_NAMES_H

#include <stddef.h>

#include <spoe/plugin.h>

#define NAMES_MAX 64u
/* The host takes variables of at most 64 bytes, "header_" included. */
#define NAME_MAX_BYTES 57u
#define NAME_VARIABLE_MAX (sizeof "header_" + NAME_MAX_BYTES)

struct name {
    char text[NAME_MAX_BYTES + 1]; /* as it was written */
    size_t n;
    char variable[NAME_VARIABLE_MAX]; /* "header_x_user" of "X-User" */
};

struct names {
    size_t n;
    struct name *item; /* NULL where n is 0 */
};

/**
 * @param ret  [give: names_fini()] empty on failure
 * @return 0; -1: why has the reason
 */
int names_parse(struct names *ret, struct spoe_span list, char *why, size_t size);
void names_fini(struct names *names);

/* @return the place of the name, in any case, or -1 */
int names_find(const struct names *names, const char *p, size_t n);

#endif
