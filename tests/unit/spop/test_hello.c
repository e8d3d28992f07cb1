/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/test_hello.c - HAPROXY-HELLO with each error of SPOE.txt 3.5, and
 * HAPROXY-DISCONNECT.
 */
#include <criterion/criterion.h>

#include <spoe/util.h>

#include "lib/codec.h"
#include "bytes.h"

struct payload {
    uint8_t bytes[512];
    size_t n;
};

static void add_item(struct payload *p, const char *name, const struct spoe_value *v)
{
    p->n += codec_put_string(p->bytes + p->n, sizeof p->bytes - p->n, spoe_str(name));
    p->n += codec_put_value(p->bytes + p->n, sizeof p->bytes - p->n, v);
}

static void add_str(struct payload *p, const char *name, const char *text)
{
    const struct spoe_value v = spoe_value_str(spoe_str(text));

    add_item(p, name, &v);
}

static void add_u32(struct payload *p, const char *name, uint32_t n)
{
    const struct spoe_value v = {.type = SPOE_T_UINT32, .u.u32 = n};

    add_item(p, name, &v);
}

static int decode(const struct payload *p, struct spop_hello *ret)
{
    uint8_t *in = exact_copy(p->bytes, p->n);
    int r = spop_decode_hello(in, p->n, ret);

    ret->engine_id.p = NULL; /* it pointed into `in` */
    free(in);
    return r;
}

/* What a HELLO says, and what must be answered. An item that is NULL or of type NULL is left out.
 */
struct row {
    const char *versions, *capabilities;
    struct spoe_value size;
    int want;
};

#define SIZE(n)                                                                                    \
    {                                                                                              \
        .type = SPOE_T_UINT32, .u.u32 = (n)                                                        \
    }

static const struct row rows[] = {
    {"2.0", "pipelining", SIZE(16380), 0},
    {"2.0", "", SIZE(16380), 0}, /* health checks announce none */
    {"2.0", "pipelining,async", SIZE(SPOP_FRAME_SIZE_MIN), 0},
    {"2.0", "x", SIZE(UINT32_MAX), 0},
    /* versions: a list, spaces ignored, any 2.x will do */
    {"2.1", "", SIZE(16380), 0},
    {"2.9", "", SIZE(16380), 0},
    {"1.5, 2.0", "", SIZE(16380), 0},
    {" 2.0 , 3.0 ", "", SIZE(16380), 0},
    {"3.0,2.12,1.0", "", SIZE(16380), 0},
    {",,2.0", "", SIZE(16380), 0},
    {NULL, "", SIZE(16380), -SPOP_ERR_NO_VERSION},
    {"", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"1.0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"3.0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"12.0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"20.0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2.", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2,0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2.x", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2./", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2.:", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"2.0.0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {"v2.0", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    {" , ", "", SIZE(16380), -SPOP_ERR_BAD_VERSION},
    /* max-frame-size */
    {"2.0", "", {.type = SPOE_T_NULL}, -SPOP_ERR_NO_MAX_FRAME_SIZE},
    {"2.0", "", SIZE(0), -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", SIZE(SPOP_FRAME_SIZE_MIN - 1), -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", {.type = SPOE_T_INT32, .u.i32 = 16380}, 0}, /* any integer */
    {"2.0", "", {.type = SPOE_T_INT64, .u.i64 = 16380}, 0},
    {"2.0", "", {.type = SPOE_T_UINT64, .u.u64 = 16380}, 0},
    {"2.0", "", {.type = SPOE_T_INT32, .u.i32 = -1}, -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", {.type = SPOE_T_INT64, .u.i64 = INT64_MIN}, -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", {.type = SPOE_T_UINT64, .u.u64 = UINT64_MAX}, -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", {.type = SPOE_T_UINT64, .u.u64 = 0x100000000}, -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", {.type = SPOE_T_BOOL, .u.b = 1}, -SPOP_ERR_BAD_FRAME_SIZE},
    {"2.0", "", {.type = SPOE_T_STR, .u.s = {"16380", 5}}, -SPOP_ERR_BAD_FRAME_SIZE},
    /* capabilities */
    {"2.0", NULL, SIZE(16380), -SPOP_ERR_NO_CAPABILITIES},
    /* several wrong at once: the first in the order of the specification */
    {NULL, NULL, {.type = SPOE_T_NULL}, -SPOP_ERR_NO_VERSION},
    {"1.0", NULL, SIZE(1), -SPOP_ERR_BAD_VERSION},
    {"2.0", NULL, SIZE(1), -SPOP_ERR_BAD_FRAME_SIZE},
};

static void add_row(struct payload *p, const struct row *row)
{
    if (row->versions != NULL)
        add_str(p, "supported-versions", row->versions);
    if (row->size.type != SPOE_T_NULL)
        add_item(p, "max-frame-size", &row->size);
    if (row->capabilities != NULL)
        add_str(p, "capabilities", row->capabilities);
}

Test(spop_hello, each_demand_has_its_code, .timeout = 60)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct payload p = {.n = 0};
        struct spop_hello hello;
        int r;

        add_row(&p, &rows[i]);
        r = decode(&p, &hello);
        cr_expect_eq(r, rows[i].want, "row %zu: got %d, want %d", i, r, rows[i].want);
    }
}

Test(spop_hello, values_of_another_type_are_not_found, .timeout = 60)
{
    const struct spoe_value number = {.type = SPOE_T_UINT32, .u.u32 = 2};
    struct payload p = {.n = 0};
    struct spop_hello hello;

    add_item(&p, "supported-versions", &number);
    add_u32(&p, "max-frame-size", 16380);
    add_str(&p, "capabilities", "");
    cr_expect_eq(decode(&p, &hello), -SPOP_ERR_NO_VERSION);

    p.n = 0;
    add_str(&p, "supported-versions", "2.0");
    add_u32(&p, "max-frame-size", 16380);
    add_item(&p, "capabilities", &number);
    cr_expect_eq(decode(&p, &hello), -SPOP_ERR_NO_CAPABILITIES);
}

Test(spop_hello, every_item_is_read_in_any_order, .timeout = 60)
{
    const struct spoe_value yes = spoe_value_bool(1), none = {.type = SPOE_T_NULL};
    struct payload p = {.n = 0};
    struct spop_hello hello;

    add_str(&p, "engine-id", "E-1");
    add_item(&p, "healthcheck", &yes);
    add_item(&p, "unknown", &none);
    add_str(&p, "capabilities", " async , pipelining ");
    add_u32(&p, "max-frame-size", 4096);
    add_str(&p, "supported-versions", "2.0");
    cr_assert_eq(spop_decode_hello(p.bytes, p.n, &hello), 0);
    cr_expect_eq(hello.max_frame_size, 4096u);
    cr_expect(hello.healthcheck);
    cr_expect(hello.pipelining);
    cr_expect(spoe_span_is(hello.engine_id, "E-1"));
}

Test(spop_hello, optional_items_are_off_where_absent_or_of_another_type, .timeout = 60)
{
    struct payload p = {.n = 0};
    struct spop_hello hello;

    add_row(&p, &rows[1]);
    cr_assert_eq(spop_decode_hello(p.bytes, p.n, &hello), 0);
    cr_expect_not(hello.healthcheck);
    cr_expect_not(hello.pipelining);
    cr_expect_eq(hello.engine_id.n, 0u);

    add_u32(&p, "healthcheck", 1);
    add_u32(&p, "engine-id", 1);
    cr_assert_eq(spop_decode_hello(p.bytes, p.n, &hello), 0);
    cr_expect_not(hello.healthcheck);
    cr_expect_eq(hello.engine_id.n, 0u);
}

/* 9.1 */
Test(spop_hello, a_healthcheck_says_true, .timeout = 60)
{
    for (uint8_t yes = 0; yes < 2; yes++) {
        const struct spoe_value check = spoe_value_bool(yes);
        struct payload p = {.n = 0};
        struct spop_hello hello;

        add_row(&p, &rows[0]);
        add_item(&p, "healthcheck", &check);
        cr_assert_eq(spop_decode_hello(p.bytes, p.n, &hello), 0);
        cr_expect_eq(hello.healthcheck, yes != 0);
    }
}

Test(spop_hello, pipelining_is_a_whole_item, .timeout = 60)
{
    static const char *const lists[] = {"pipelining2", "xpipelining", "pipe", "Pipelining"};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct row row = rows[0];
        struct payload p = {.n = 0};
        struct spop_hello hello;

        row.capabilities = lists[i];
        add_row(&p, &row);
        cr_assert_eq(decode(&p, &hello), 0);
        cr_expect_not(hello.pipelining, "%s", lists[i]);
    }
}

/* Cut inside an item: invalid. Cut between two: the first item that is missing. */
Test(spop_hello, cut_at_every_byte, .timeout = 60)
{
    struct payload whole = {.n = 0};
    size_t versions, size;

    add_str(&whole, "supported-versions", "2.0");
    versions = whole.n;
    add_u32(&whole, "max-frame-size", 16380);
    size = whole.n;
    add_str(&whole, "capabilities", "pipelining");

    for (size_t n = 0; n <= whole.n; n++) {
        struct payload cut = whole;
        struct spop_hello hello;
        int want = n == 0          ? -SPOP_ERR_NO_VERSION
                   : n == versions ? -SPOP_ERR_NO_MAX_FRAME_SIZE
                   : n == size     ? -SPOP_ERR_NO_CAPABILITIES
                   : n == whole.n  ? 0
                                   : -SPOP_ERR_INVALID;
        int r;

        cut.n = n;
        r = decode(&cut, &hello);
        cr_expect_eq(r, want, "%zu bytes: got %d, want %d", n, r, want);
    }
}

Test(spop_disconnect, status_and_message_are_read, .timeout = 60)
{
    struct payload p = {.n = 0};
    struct spoe_span message;
    uint32_t status;

    add_str(&p, "message", "a timeout occurred");
    add_str(&p, "other", "x");
    add_u32(&p, "status-code", 2);
    cr_assert_eq(spop_decode_disconnect(p.bytes, p.n, &status, &message), 0);
    cr_expect_eq(status, 2u);
    cr_expect(spoe_span_is(message, "a timeout occurred"));
}

Test(spop_disconnect, message_may_be_missing, .timeout = 60)
{
    struct payload p = {.n = 0};
    struct spoe_span message = {"x", 1};
    uint32_t status = 9;

    add_u32(&p, "status-code", UINT32_MAX);
    cr_assert_eq(spop_decode_disconnect(p.bytes, p.n, &status, &message), 0);
    cr_expect_eq(status, UINT32_MAX);
    cr_expect_eq(message.n, 0u);
}

Test(spop_disconnect, without_a_status_is_invalid, .timeout = 60)
{
    const struct spoe_value negative = {.type = SPOE_T_INT32, .u.i32 = -1};
    struct payload p = {.n = 0};
    struct spoe_span message;
    uint32_t status = 77;

    cr_expect_eq(spop_decode_disconnect(p.bytes, 0, &status, &message), -SPOP_ERR_INVALID);
    add_str(&p, "message", "normal");
    cr_expect_eq(spop_decode_disconnect(p.bytes, p.n, &status, &message), -SPOP_ERR_INVALID);
    add_str(&p, "status-code", "0");
    cr_expect_eq(spop_decode_disconnect(p.bytes, p.n, &status, &message), -SPOP_ERR_INVALID);
    p.n = 0;
    add_item(&p, "status-code", &negative);
    cr_expect_eq(spop_decode_disconnect(p.bytes, p.n, &status, &message), -SPOP_ERR_INVALID);
    cr_expect_eq(status, 77u, "the result was touched");
}

Test(spop_disconnect, cut_inside_an_item_is_invalid, .timeout = 60)
{
    struct payload p = {.n = 0};
    size_t status_end;

    add_u32(&p, "status-code", 300);
    status_end = p.n;
    add_str(&p, "message", "normal");
    for (size_t n = 0; n < p.n; n++) {
        uint8_t *in = exact_copy(p.bytes, n);
        struct spoe_span message;
        uint32_t status;

        cr_expect_eq(spop_decode_disconnect(in, n, &status, &message),
                     n == status_end ? 0 : -SPOP_ERR_INVALID, "%zu bytes", n);
        free(in);
    }
}

Test(spop_status, every_code_has_its_text, .timeout = 60)
{
    for (int status = SPOP_OK; status <= SPOP_ERR_RESOURCE; status++) {
        cr_expect_str_neq(spop_status_text(status), spop_status_text(SPOP_ERR_UNKNOWN));
        for (int other = SPOP_OK; other < status; other++)
            cr_expect_str_neq(spop_status_text(status), spop_status_text(other));
    }
    cr_expect_str_eq(spop_status_text(-4), spop_status_text(SPOP_ERR_UNKNOWN));
    cr_expect_str_eq(spop_status_text(4711), spop_status_text(SPOP_ERR_UNKNOWN));
}
