/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/meter/instruments.c - see instruments.h. */
#include "meter/instruments.h"

#define NS_PER_S 1e9
#define N(array) (sizeof(array) / sizeof(array)[0])

/* X(bound in s, in ns): OpenTelemetry's advice for durations of HTTP. */
#define DURATIONS(X)                                                                               \
    X(0.005, 5000000)                                                                              \
    X(0.01, 10000000)                                                                              \
    X(0.025, 25000000)                                                                             \
    X(0.05, 50000000)                                                                              \
    X(0.075, 75000000)                                                                             \
    X(0.1, 100000000)                                                                              \
    X(0.25, 250000000)                                                                             \
    X(0.5, 500000000)                                                                              \
    X(0.75, 750000000)                                                                             \
    X(1, 1000000000)                                                                               \
    X(2.5, 2500000000)                                                                             \
    X(5, 5000000000)                                                                               \
    X(7.5, 7500000000)                                                                             \
    X(10, 10000000000)

#define SIZES(X)                                                                                   \
    X(0, 0)                                                                                        \
    X(1024, 1024)                                                                                  \
    X(4096, 4096)                                                                                  \
    X(16384, 16384)                                                                                \
    X(65536, 65536)                                                                                \
    X(262144, 262144)                                                                              \
    X(1048576, 1048576)                                                                            \
    X(4194304, 4194304)                                                                            \
    X(16777216, 16777216)                                                                          \
    X(67108864, 67108864)                                                                          \
    X(268435456, 268435456)                                                                        \
    X(1073741824, 1073741824)

#define REAL(bound, whole) bound,
#define WHOLE(bound, whole) INT64_C(whole),
static const double durations[] = {DURATIONS(REAL)};
static const int64_t whole_durations[] = {DURATIONS(WHOLE)};
static const double sizes[] = {SIZES(REAL)};
static const int64_t whole_sizes[] = {SIZES(WHOLE)};
_Static_assert(N(durations) == METER_BOUNDS_MAX && N(sizes) <= METER_BOUNDS_MAX, "they fit");

const struct meter_instrument meter_instruments[] = {
    [METER_SERVER_DURATION] = {.name = "http.server.request.duration",
                               .help = "Duration of HTTP server requests.",
                               .unit = "s",
                               .kind = METER_SERVER_SIDE,
                               .n_bounds = N(durations),
                               .bounds = durations,
                               .whole_bounds = whole_durations,
                               .per_unit = NS_PER_S},
    [METER_REQUEST_SIZE] = {.name = "http.server.request.body.size",
                            .help = "Size of HTTP server request bodies.",
                            .unit = "By",
                            .kind = METER_SERVER_SIDE,
                            .n_bounds = N(sizes),
                            .bounds = sizes,
                            .whole_bounds = whole_sizes,
                            .per_unit = 1},
    [METER_RESPONSE_SIZE] = {.name = "http.server.response.body.size",
                             .help = "Size of HTTP server response bodies.",
                             .unit = "By",
                             .kind = METER_SERVER_SIDE,
                             .n_bounds = N(sizes),
                             .bounds = sizes,
                             .whole_bounds = whole_sizes,
                             .per_unit = 1},
    [METER_CLIENT_DURATION] = {.name = "http.client.request.duration",
                               .help = "Duration of HTTP client requests.",
                               .unit = "s",
                               .kind = METER_CLIENT_SIDE,
                               .n_bounds = N(durations),
                               .bounds = durations,
                               .whole_bounds = whole_durations,
                               .per_unit = NS_PER_S},
    [METER_TERMINATIONS] = {.name = "haproxy.request.terminations",
                            .help = "Requests by how their session ended, as HAProxy's log has it.",
                            .unit = "{request}",
                            .kind = METER_END,
                            .per_unit = 1},
};

#define BUCKETS(bounds) (N(bounds) + 1)
#define CELLS(bounds) (BUCKETS(bounds) * (1 + EXEMPLAR_CELLS) + 1)

const struct meter_kind_instruments meter_kinds[] = {
    [METER_SERVER_SIDE] = {METER_SERVER_DURATION, 3, CELLS(durations) + 2 * CELLS(sizes)},
    [METER_CLIENT_SIDE] = {METER_CLIENT_DURATION, 1, CELLS(durations)},
    [METER_END] = {METER_TERMINATIONS, 1, 1},
};
