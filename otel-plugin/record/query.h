/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/query.h - take secrets out of queries and URLs: values become REDACTED,
 * keys stay (semantic conventions, registry of url.query and url.full).
 */
#ifndef OTEL_RECORD_QUERY_H
#define OTEL_RECORD_QUERY_H

#include <stddef.h>

#include <spoe/plugin.h>

#define QUERY_REDACTED "REDACTED"
/* What the conventions name at least; case counts. */
#define QUERY_SENSITIVE_KEYS                                                                       \
    "AWSAccessKeyId,Signature,sig,X-Amz-Signature,X-Amz-Credential,X-Amz-Security-Token,"          \
    "X-Goog-Signature"

/**
 * Redact a query, without its '?'.
 * @param keys  comma-separated keys whose values go; "*": all; NULL: none
 * @param ret   max bytes
 * @return bytes written; what does not fit is cut
 */
size_t query_redact(const char *keys, struct spoe_span query, char *ret, size_t max);

/**
 * The same for the query of a URL, absolute or not. Credentials before its host go whatever the
 * keys are.
 */
size_t query_redact_url(const char *keys, struct spoe_span url, char *ret, size_t max);

#endif
