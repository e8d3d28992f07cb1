/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/requests.h - the page /requests: the last finished requests (core/recent.h) as JSON.
 *
 *   GET                   those that are kept; none unless somebody looks
 *   POST {"after": N}     a look: begins to keep them, or goes on for ten minutes more, and has
 * those that came after number N
 *
 *   POST {"trace": ID}    likewise, and the request of that trace, 32 hexadecimal digits, is kept
 *                         however many come after it
 *
 *   {"on": true, "ends_in_seconds": 599, "max": 200, "missed": 0, "requests": [...], "last": N}
 *
 * Its elements: core/recent_json.h. Threads: the admin thread's.
 */
#ifndef HOST_ADMIN_REQUESTS_H
#define HOST_ADMIN_REQUESTS_H

#include "admin/http.h"

/** As admin_page_fn and admin_post_fn; arg is a struct view. */
int requests_page(void *arg, FILE *out);
int requests_post(void *arg, const struct admin_post *post, FILE *out);

#endif
