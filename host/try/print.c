/* SPDX-License-Identifier: Apache-2.0 */
/* host/try/print.c - see print.h. */
#include "try/print.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/describe.h"
#include "spop/wire.h"

#define BYTES_SHOWN 64u /* of binary values in an answer */

static void print_hex(FILE *out, struct spoe_span bytes, size_t most)
{
    for (size_t i = 0; i < bytes.n && i < most; i++)
        (void)fprintf(out, "%02x", (unsigned char)bytes.p[i]);
}

/* Whether it can stand without quotes. */
static bool is_plain(struct spoe_span text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] >= 0x80 || text.p[i] <= ' ' || text.p[i] == 0x7f ||
            text.p[i] == '"' || text.p[i] == '\\')
            return false;
    }
    return text.n > 0;
}

static void print_quoted(FILE *out, struct spoe_span text)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < text.n;) {
        const unsigned char *c = (const unsigned char *)text.p + i;
        size_t len = text_utf8_len(c, text.n - i);

        if (*c == '"' || *c == '\\')
            (void)fprintf(out, "\\%c", *c);
        else if (*c < ' ' || *c == 0x7f || len == 0)
            (void)fprintf(out, "\\x%02x", *c);
        else
            (void)fwrite(c, 1, len, out);
        i += len > 0 ? len : 1;
    }
    (void)fputc('"', out);
}

/* Without type. */
static void print_number(FILE *out, const struct spoe_value *value)
{
    char text[INET6_ADDRSTRLEN];

    switch (value->type) {
    case SPOE_T_BOOL:
        (void)fputs(value->u.b ? "true" : "false", out);
        break;
    case SPOE_T_INT32:
        (void)fprintf(out, "%" PRId32, value->u.i32);
        break;
    case SPOE_T_UINT32:
        (void)fprintf(out, "%" PRIu32, value->u.u32);
        break;
    case SPOE_T_INT64:
        (void)fprintf(out, "%" PRId64, value->u.i64);
        break;
    case SPOE_T_UINT64:
        (void)fprintf(out, "%" PRIu64, value->u.u64);
        break;
    case SPOE_T_IPV4:
        (void)fputs(inet_ntop(AF_INET, value->u.ip4, text, sizeof text), out);
        break;
    case SPOE_T_IPV6:
        (void)fputs(inet_ntop(AF_INET6, value->u.ip6, text, sizeof text), out);
        break;
    default:
        break;
    }
}

/* ---- what was asked ---- */

static bool is_declared(const struct route *route, struct spoe_span name)
{
    for (uint32_t t = 0; route != NULL && t < route->n_targets; t++) {
        for (uint32_t i = 0; i < route->targets[t].n_slots; i++) {
            const char *declared = route->targets[t].decl->args[i]->name;

            if (strlen(declared) == name.n && memcmp(declared, name.p, name.n) == 0)
                return true;
        }
    }
    return false;
}

static const char *type_word(uint32_t type)
{
    switch (type) {
    case SPOE_T_BOOL:
        return ":bool";
    case SPOE_T_IPV4:
    case SPOE_T_IPV6:
        return ":ip";
    case SPOE_T_STR:
        return "";
    default:
        return ":int";
    }
}

static void print_argument(FILE *out, const struct route *route, const struct spoe_arg *arg)
{
    const struct spoe_span text = arg->value.u.s;
    const bool declared = is_declared(route, arg->name);

    if (arg->value.type == SPOE_T_NULL)
        return; /* as if it was not there */
    (void)fprintf(out, " %.*s", (int)arg->name.n, arg->name.p);
    if (arg->value.type == SPOE_T_BIN && !declared) {
        (void)fputs(":hex=", out);
        print_hex(out, text, text.n);
        return;
    }
    (void)fprintf(out, "%s=", declared ? "" : type_word(arg->value.type));
    if (arg->value.type != SPOE_T_STR && arg->value.type != SPOE_T_BIN)
        print_number(out, &arg->value);
    else if (is_plain(text))
        (void)fwrite(text.p, 1, text.n, out);
    else
        print_quoted(out, text);
}

void print_message(FILE *out, const struct route *route, struct spoe_span name,
                   const struct spoe_arg *args, uint32_t n)
{
    (void)fprintf(out, "%.*s", (int)name.n, name.p);
    for (uint32_t i = 0; i < n; i++)
        print_argument(out, route, &args[i]);
    (void)fputc('\n', out);
}

int print_frame(FILE *out, const struct route_table *routes, const struct script_line *line,
                struct error *reterr)
{
    const uint8_t *const end = line->frame + line->frame_len;
    struct spop_frame frame;
    const uint8_t *p;

    if (line->frame_len < SPOP_LENGTH_BYTES ||
        wire_frame_decode(line->frame + SPOP_LENGTH_BYTES, line->frame_len - SPOP_LENGTH_BYTES,
                          &frame) != 0)
        return error_set(reterr, "what was recorded is no frame");
    for (p = frame.payload; p != end;) {
        struct spoe_arg args[SCRIPT_WORDS_MAX];
        struct spoe_span name;
        uint32_t n;

        p = wire_read_message(p, end, &name, &n);
        for (uint32_t i = 0; p != NULL && i < n; i++) {
            p = wire_read_string(p, end, &args[i].name);
            if (p != NULL)
                p = wire_read_value(p, end, &args[i].value);
        }
        if (p == NULL)
            return error_set(reterr, "what was recorded is no NOTIFY that is in order");
        print_message(out, route_find(routes, name), name, args, n);
    }
    return 0;
}

/* ---- what was answered ---- */

static void print_value(FILE *out, const struct spoe_value *value)
{
    const struct spoe_span text = value->u.s;
    char type[DESCRIBE_TYPES_MAX];

    if (value->type == SPOE_T_NULL) {
        (void)fputs("null", out);
        return;
    }
    (void)fprintf(out, "%s ", describe_types(SPOE_MASK(value->type), type));
    if (value->type == SPOE_T_STR) {
        print_quoted(out, text);
    } else if (value->type == SPOE_T_BIN) {
        print_hex(out, text, BYTES_SHOWN);
        (void)fprintf(out, "%s (%zu bytes)", text.n > BYTES_SHOWN ? "..." : "", text.n);
    } else {
        print_number(out, value);
    }
}

/* What the host writes where there is nothing: HAProxy takes no notice of it. */
static bool is_filler(const struct spop_frame *ack)
{
    uint8_t filler[SPOP_FILLER_MAX];

    return ack->payload_len == spop_put_filler(filler, sizeof filler) &&
           memcmp(ack->payload, filler, ack->payload_len) == 0;
}

/* Whether a later action is about the same variable: HAProxy does one after the other. */
static bool is_replaced(const uint8_t *p, const uint8_t *end, const struct frame_action *action)
{
    struct frame_action later;

    while (frame_next_action(&p, end, &later) > 0) {
        if (later.scope == action->scope && later.name.n == action->name.n &&
            memcmp(later.name.p, action->name.p, later.name.n) == 0)
            return true;
    }
    return false;
}

/* @return false: the ACK cannot be read */
static bool print_variables(FILE *out, const struct spop_frame *ack, const char *prefix)
{
    static const char *const scopes[] = {"proc", "sess", "txn", "req", "res"};
    const uint8_t *p = ack->payload, *const end = ack->payload + ack->payload_len;
    struct frame_action action;
    int result;

    if (is_filler(ack)) {
        (void)fputs("    no variable\n", out);
        return true;
    }
    while ((result = frame_next_action(&p, end, &action)) > 0) {
        if (is_replaced(p, end, &action))
            continue;
        (void)fprintf(out, "    %s.%s.%.*s ", scopes[action.scope], prefix, (int)action.name.n,
                      action.name.p);
        if (action.unset) {
            (void)fputs("is unset\n", out);
            continue;
        }
        (void)fputs("= ", out);
        print_value(out, &action.value);
        (void)fputc('\n', out);
    }
    return result == 0;
}

bool print_answer(FILE *out, const struct call *call, const char *prefix, int64_t timeout_ns)
{
    bool good = call->answered;

    if (call->answered && !call->silent && !print_variables(out, &call->ack, prefix)) {
        (void)fputs("    what was answered is no list of actions\n", out);
        good = false;
    }
    for (unsigned i = 0; i < N_CALL_FAULTS; i++) {
        if (call->faults[i] == 0)
            continue;
        (void)fprintf(out, "    %s\n", call_fault_text((enum call_fault)i));
        good = good && i == CALL_unknown_messages;
    }
    if (!call->answered)
        (void)fprintf(out, "    no answer after %.3f ms\n", (double)call->ns / 1e6);
    else
        (void)fprintf(out, "    %s in %.3f ms\n", call->silent ? "taken" : "answered",
                      (double)call->ns / 1e6);
    if (call->answered && call->ns > timeout_ns)
        (void)fprintf(out,
                      "    later than processing-timeout, %.3f ms: HAProxy would have gone on "
                      "without\n",
                      (double)timeout_ns / 1e6);
    return good;
}
