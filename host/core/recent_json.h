/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/recent_json.h - one finished request as JSON, in a bounded number of bytes. No state;
 * threads: [any].
 *
 *   {"n":7,"plugin":"otel","trace":"4bf9...","start":ns,"end":ns,"status":200,"sampled":true,
 *    "incomplete":false,"method":"GET","target":"/","client":"::1","frontend":"web","backend":"app",
 *    "server":"s1","termination":"--",
 *    "parts":[{"kind":"server","name":"GET","id":"00f0...","parent":"","start":ns,"end":ns,
 *              "error":false}],
 *    "attributes":[[part,"key","value"]],"cut":0}
 *
 * Times are texts, since ns since 1970 are more than a JSON number holds in a browser. "cut" counts
 * texts that are cut, which end with an ellipsis, and parts and attributes that are left out.
 */
#ifndef HOST_CORE_RECENT_JSON_H
#define HOST_CORE_RECENT_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <spoe/ext/recent.h>

#define RECENT_NAME_MAX 128u /* bytes of a name, as written; of others SPOE_RECENT_VALUE_MAX */

/** @return bytes written */
size_t recent_json(uint64_t number, const char *plugin, const struct spoe_recent_request *request,
                   char ret[SPOE_RECENT_BYTES_MAX]);

#endif
