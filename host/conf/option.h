/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/option.h - one element of an option table: whether it makes sense, and what a text
 * means for it. Tables come from plugins, which may be older or newer than the host.
 */
#ifndef HOST_CONF_OPTION_H
#define HOST_CONF_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include <spoe/plugin.h>

#include "base/error.h"

/* A flag of options that the host adds to a plugin's: their keys may be of any form, and they are
 * shown only where they are set. */
#define OPTION_OF_HOST UINT32_C(0x40000000)

/* One of the host's own that changes with the configuration alone, not by the admin endpoint. */
#define OPTION_NOT_BY_CONTROL UINT32_C(0x20000000)

#define OPTION_KEY_MAX 64u
#define OPTION_TEXT_MAX 512u /* a longer message is cut */

/**
 * Check that an element can be used: only then may it be handed to the other functions.
 * @return 0; -1 with *reterr set
 */
int option_check(const struct spoe_option *option, struct error *reterr);

/** Whether the element has a key that is fit to be shown. */
bool option_has_key(const struct spoe_option *option);

/** Whether nobody may see its value. */
bool option_is_secret(const struct spoe_option *option);

/** Whether it names a file that has a secret. */
bool option_is_secret_file(const struct spoe_option *option);

/** Whether hosts of ABI 1.0 do not know its type. */
bool option_is_of_1_1(const struct spoe_option *option);

/** Describe what the option takes, for people: "a whole number, 1 to 64". */
void option_describe(const struct spoe_option *option, char ret[OPTION_TEXT_MAX]);

/**
 * What an option's help says first, without the ` around words: for lists such as --help.
 * @param help  NULL: there is none
 */
void option_brief(const char *help, char ret[OPTION_TEXT_MAX]);

/**
 * Parse a text as the option's type, and hold it against the option's bounds.
 *
 * @param ret     set on success only; a string is borrowed from text
 * @param reterr  set on failure only: the value, unless it is secret, and what would do
 * @return 0 or -1
 */
int option_parse(const struct spoe_option *option, const char *text, struct spoe_value *ret,
                 struct error *reterr);

/**
 * The same for a text of env_lenient[], which is read as OpenTelemetry's specification has it:
 * durations are bare numbers of milliseconds, "true" in any case switches on. What else a switch is
 * given is an error, with *ret off.
 */
int option_parse_lenient(const struct spoe_option *option, const char *text, struct spoe_value *ret,
                         struct error *reterr);

#endif
