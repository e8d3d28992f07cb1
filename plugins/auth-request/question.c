/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/question.c - see question.h. */
#include "auth-request/question.h"

#include <arpa/inet.h>
#include <string.h>

#include <spoe/hdrs.h>
#include <spoe/util.h>

/*
 * Nothing is required and nothing cut: a request that cannot be asked about as it is has to be told
 * from one that HAProxy did not send, and a path or a host that is cut is another one. Nothing that
 * a client can make long is sent twice: so all that HAProxy takes fits into its frame.
 */
#define ARG(name_, expression_, types_, help_)                                                     \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        .size = sizeof(struct spoe_arg_decl), .types = (types_), .name = (name_),                  \
        .expression = (expression_), .help = (help_)                                               \
    }
static const struct spoe_arg_decl *const args[] = {
    [ARG_METHOD] = ARG("method", "method", SPOE_ACCEPT_STR, "the request's method"),
    [ARG_URI] = ARG("uri", "pathq", SPOE_ACCEPT_STR, "its path and query"),
    [ARG_SSL] = ARG("ssl", "ssl_fc", SPOE_ACCEPT_BOOL, "whether the client speaks TLS"),
    [ARG_SRC] = ARG("src", "src", SPOE_ACCEPT_IP, "the client's address"),
    [ARG_HDRS] = ARG("hdrs", "req.hdrs_bin", SPOE_ACCEPT_BIN | SPOE_ACCEPT_STR,
                     "all headers, Host among them"),
    NULL,
};
static const struct spoe_message_decl message = {
    .size = sizeof message,
    .name = "auth-request",
    .event = "on-frontend-http-request",
    .help = "a request that the service is asked about",
    .args = args,
};
const struct spoe_message_decl *const auth_messages[] = {&message, NULL};

static int add(struct question *q, struct spoe_span bytes)
{
    if (bytes.n > QUESTION_MAX - q->n)
        return -1;
    if (bytes.n > 0)
        memcpy(q->text + q->n, bytes.p, bytes.n);
    q->n += bytes.n;
    return 0;
}

/* A value that may stand in a header: no byte that ends a line, or that a server might take so. */
static int check_value(struct spoe_span value)
{
    for (size_t i = 0; i < value.n; i++) {
        const unsigned char c = (unsigned char)value.p[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return -1;
    }
    return 0;
}

static struct spoe_span trim(struct spoe_span value)
{
    while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t')) {
        value.p++;
        value.n--;
    }
    while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    return value;
}

static int add_line(struct question *q, const char *name, struct spoe_span value)
{
    static const struct spoe_span end = {"", 1}; /* its NUL */

    value = trim(value);
    if (check_value(value) != 0 || add(q, spoe_str(name)) != 0 ||
        add(q, spoe_str(value.n > 0 ? ": " : ";")) != 0 || add(q, value) != 0 || add(q, end) != 0)
        return -1;
    q->n_lines++;
    return 0;
}

static int add_both(struct question *q, const char *one, const char *other, struct spoe_span value)
{
    return add_line(q, one, value) == 0 && add_line(q, other, value) == 0 ? 0 : -1;
}

static int add_uri(struct question *q, const struct auth_conf *conf, const struct spoe_value *uri)
{
    struct spoe_span text = uri->u.s;
    const char *query;

    if ((conf->send & (SEND_URI | SEND_PATH)) == 0)
        return 0;
    if (uri->type != SPOE_T_STR || text.n == 0)
        return -1;
    query = memchr(text.p, '?', text.n);
    if ((conf->send & SEND_PATH) != 0 && query != NULL)
        text.n = (size_t)(query - text.p);
    return add_both(q, "X-Original-URI", "X-Forwarded-Uri", text);
}

/* A client without an address, of a unix socket, has no line. */
static int add_client(struct question *q, const struct spoe_value *src)
{
    char text[INET6_ADDRSTRLEN];

    if (src->type == SPOE_T_NULL)
        return 0;
    if (inet_ntop(src->type == SPOE_T_IPV4 ? AF_INET : AF_INET6, &src->u, text, sizeof text) ==
        NULL)
        return -1;
    return add_both(q, "X-Real-IP", "X-Forwarded-For", spoe_str(text));
}

/* HTTP/1.0 may have no Host; of several, HAProxy goes by the first. */
static int add_headers(struct question *q, const struct auth_conf *conf,
                       const struct spoe_value *value)
{
    struct spoe_hdrs hdrs = spoe_hdrs_of(value->u.s);
    struct spoe_span name, text;
    bool wants_host = (conf->send & SEND_HOST) != 0;

    if (conf->to_service.n == 0 && !wants_host)
        return 0;
    if (value->type == SPOE_T_NULL)
        return -1;
    while (spoe_hdrs_next(&hdrs, &name, &text)) {
        const int place = names_find(&conf->to_service, name.p, name.n);

        if (place >= 0 && add_line(q, conf->to_service.item[place].text, text) != 0)
            return -1;
        if (!wants_host || !spoe_span_is(name, "host"))
            continue;
        if (add_line(q, "X-Forwarded-Host", text) != 0)
            return -1;
        wants_host = false;
    }
    return hdrs.cut != 0 ? -1 : 0;
}

int question_make(struct question *q, const struct auth_conf *conf, const struct spoe_message *msg)
{
    const struct spoe_value *slot = msg->slot;

    q->n = q->n_lines = 0;
    if ((conf->send & SEND_METHOD) != 0 &&
        (slot[ARG_METHOD].type != SPOE_T_STR || slot[ARG_METHOD].u.s.n == 0 ||
         add_both(q, "X-Original-Method", "X-Forwarded-Method", slot[ARG_METHOD].u.s) != 0))
        return -1;
    if (add_uri(q, conf, &slot[ARG_URI]) != 0)
        return -1;
    if ((conf->send & SEND_PROTO) != 0 &&
        (slot[ARG_SSL].type != SPOE_T_BOOL ||
         add_line(q, "X-Forwarded-Proto", spoe_str(slot[ARG_SSL].u.b ? "https" : "http")) != 0))
        return -1;
    if ((conf->send & SEND_CLIENT) != 0 && add_client(q, &slot[ARG_SRC]) != 0)
        return -1;
    return add_headers(q, conf, &slot[ARG_HDRS]);
}
