/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/declare.h - a plugin's tables by the names of their fields, in C11 and later. No part of the
 * ABI. spoe/util.h includes it. In C++ there is spoe/plugin.hpp instead. Since 1.1.
 *
 *     enum { PATH, SRC };
 *
 *     SPOE_PLUGIN("mine", .version = "1.0", .help = "checks paths",
 *         .messages = SPOE_MESSAGES(
 *             SPOE_MESSAGE("check-path", .event = "on-frontend-http-request", .help = "a request",
 *                 .args = SPOE_ARGS(
 *                     [PATH] = SPOE_ARG("path", .types = SPOE_ACCEPT_STR, .expression = "path"),
 *                     [SRC] = SPOE_ARG("src", .types = SPOE_ACCEPT_IP, .expression = "src")))),
 *         .configure = configure, .handle = handle);
 *
 * An element's index is its slot, so that the order of the lines does not matter: read it as
 * spoe_slot(msg, SRC), an option as spoe_config_size(host, cfg, LONGEST). A place that is left out
 * between others does not compile, one that is filled twice is a warning (-Wextra). All of this
 * stands outside functions, where what it makes lives as long as the process. At most 64 elements a
 * table; for more, write the array.
 */
#ifndef SPOE_DECLARE_H
#define SPOE_DECLARE_H

#include <spoe/plugin.h>

#ifndef __cplusplus

/* How many arguments, 1 to 64. What stands in parentheses counts as one. */
#define SPOE_COUNT(...)                                                                            \
    SPOE_COUNT_(__VA_ARGS__, 64, 63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48,   \
                47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28,    \
                27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,   \
                6, 5, 4, 3, 2, 1, 0)
#define SPOE_COUNT_(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17,    \
                    _18, _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32,     \
                    _33, _34, _35, _36, _37, _38, _39, _40, _41, _42, _43, _44, _45, _46, _47,     \
                    _48, _49, _50, _51, _52, _53, _54, _55, _56, _57, _58, _59, _60, _61, _62,     \
                    _63, _64, n, ...)                                                              \
    n

/* An array of pointers that ends with NULL. The size in its brackets adds nothing: it is there
 * since it does not compile where an index is past the number of elements. */
#define SPOE_TABLE_(type, ...)                                                                     \
    ((const type *const[SPOE_COUNT(__VA_ARGS__) + 1 +                                              \
                        0 *sizeof((const type *const[SPOE_COUNT(__VA_ARGS__)]){__VA_ARGS__})]){    \
        __VA_ARGS__})
#define SPOE_ELEMENT_(type, ...) (&(const type){.size = sizeof(type), __VA_ARGS__})

/* Tables for .args, .messages, .options and .variables; texts for .env, .env_lenient and .choices.
 */
#define SPOE_ARGS(...) SPOE_TABLE_(struct spoe_arg_decl, __VA_ARGS__)
#define SPOE_MESSAGES(...) SPOE_TABLE_(struct spoe_message_decl, __VA_ARGS__)
#define SPOE_OPTIONS(...) SPOE_TABLE_(struct spoe_option, __VA_ARGS__)
#define SPOE_VARIABLES(...) SPOE_TABLE_(struct spoe_variable_decl, __VA_ARGS__)
#define SPOE_TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Their elements: fields of struct spoe_arg_decl, spoe_message_decl, spoe_option and
 * spoe_variable_decl. A variable has its scope first, SPOE_SCOPE_TXN mostly. */
#define SPOE_ARG(name_, ...) SPOE_ELEMENT_(struct spoe_arg_decl, .name = (name_), __VA_ARGS__)
#define SPOE_MESSAGE(name_, ...)                                                                   \
    SPOE_ELEMENT_(struct spoe_message_decl, .name = (name_), __VA_ARGS__)
#define SPOE_OPTION(key_, ...) SPOE_ELEMENT_(struct spoe_option, .key = (key_), __VA_ARGS__)
#define SPOE_VARIABLE(scope_, name_, ...)                                                          \
    SPOE_ELEMENT_(struct spoe_variable_decl, .scope = (scope_), .name = (name_), __VA_ARGS__)

/* The plugin's descriptor and its entry: fields of struct spoe_plugin. Once in a plugin. */
#define SPOE_PLUGIN(id_, ...)                                                                      \
    static const struct spoe_plugin spoe_plugin_descriptor;                                        \
    SPOE_EXPORT const struct spoe_plugin *spoe_plugin_entry_v1(void)                               \
    {                                                                                              \
        return &spoe_plugin_descriptor;                                                            \
    }                                                                                              \
    static const struct spoe_plugin spoe_plugin_descriptor = {.magic = SPOE_PLUGIN_MAGIC,          \
                                                              .size = sizeof(struct spoe_plugin),  \
                                                              .abi_major = SPOE_ABI_MAJOR,         \
                                                              .abi_minor = SPOE_ABI_MINOR,         \
                                                              .id = (id_),                         \
                                                              __VA_ARGS__}

#endif
#endif
