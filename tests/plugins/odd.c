/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole plugin of which one field is odd: which one is chosen when it is built (ODD, 1 to 15),
 * one file for each.
 */
#include <spoe/plugin.h>

#ifndef ODD
#define ODD 0
#endif
#define IS(n, odd, even) (ODD == (n) ? (odd) : (even))

static const struct spoe_arg_decl arg = {
    sizeof arg,
    IS(1, UINT32_C(0x40000002), SPOE_ACCEPT_STR),
    IS(2, UINT32_C(0x40), IS(15, UINT32_C(0x80000000), 0)),
    IS(3, UINT32_C(0xdead), 0),
    "arg",
    IS(4, "str(a b)", IS(5, "str(a\t)", "str(a)")),
    IS(6, "two\nlines", "one line"),
};
static const struct spoe_arg_decl *const args[] = {&arg, NULL};
static const struct spoe_message_decl message = {sizeof message,
                                                 IS(7, UINT32_C(0x1000), 0),
                                                 "odd-message",
                                                 "on-frontend-http-request",
                                                 IS(8, "a\rb", "one line"),
                                                 args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};
static const char *const env[] = {IS(9, "A=B", "ODD_KEY"), NULL};
static const struct spoe_option option = {
    .size = sizeof option,
    .type = SPOE_OPT_STRING,
    .flags = IS(10, UINT32_C(0x800), 0),
    .reserved = IS(11, UINT32_C(1), 0),
    .key = "key",
    .help = IS(12, "help\n", "help"),
    .env = env,
};
static const struct spoe_option *const options[] = {&option, NULL};

#define PLUGIN_ID "odd"
#define PLUGIN_MESSAGES messages
#define PLUGIN_OPTIONS options
#define PLUGIN_RESERVED IS(13, 0xdead, 0)
#define PLUGIN_HELP IS(14, "he\x7flp", "a plugin of the tests")
#if ODD_NEWER
#define PLUGIN_MINOR (SPOE_ABI_MINOR + 1)
#endif
#include "base.h"
