/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/option_texts.h - the types of options whose texts have a form of their own: paths,
 * URLs, addresses, prefixes, secrets. Pure.
 */
#ifndef HOST_CONF_OPTION_TEXTS_H
#define HOST_CONF_OPTION_TEXTS_H

#include <stdbool.h>

#include <spoe/plugin.h>

#define OPTION_PATH_MAX 4095u /* PATH_MAX without its NUL */
#define OPTION_NAME_MAX 255u  /* NAME_MAX */
#define OPTION_FILE "file:"   /* where a secret lies */
#define OPTION_CREDENTIAL "credential:"

/**
 * Parse one text as a type from SPOE_OPT_PATH on.
 * @param choices  of SPOE_OPT_URL
 * @param ret      set on success only; texts are borrowed
 * @return VALUE_OK or VALUE_E_SYNTAX
 */
int option_parse_text(uint32_t type, const char *const *choices, struct spoe_span text,
                      struct spoe_value *ret);

/** What would do, for people: "an address". @param many  in a list: "addresses" */
void option_describe_text(uint32_t type, const char *const *choices, bool many, char *ret,
                          size_t size);

#endif
