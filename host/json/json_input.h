/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/json/json_input.h - JSON from outside, read by jansson: within a limit that is checked
 * before anything is read, with errors that say where. No state; threads: [any].
 */
#ifndef HOST_JSON_JSON_INPUT_H
#define HOST_JSON_JSON_INPUT_H

#include <stddef.h>

#include <jansson.h>

#include <spoe/plugin.h>

#include "base/error.h"

/**
 * Read a whole text, an object or an array. No string in it has a NUL.
 * @param max    bytes of the text, at most
 * @param flags  of json_loads(): JSON_REJECT_DUPLICATES
 * @return [give: json_decref()] NULL with *reterr
 */
json_t *json_input_parse(struct spoe_span text, size_t max, size_t flags, struct error *reterr);

#endif
