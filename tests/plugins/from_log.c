/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes messages of the log and one of SPOP, and appends a line for each to the file of its option:
 *   message slot=TYPE:VALUE ... +NAME=VALUE ... set_var=STATUS
 * A message with mode=hold waits until a message `release` comes, or for stop(); "completed n=N"
 * tells of it then, read from the message, which must still be there. mode=never is not completed
 * before stop().
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

#define LINE_MAX_ 16384u
#define HELD_MAX 65536u

struct held {
    struct spoe_request *req;
    const struct spoe_message *msg;
    int never;
};

struct from_log {
    const struct spoe_host *host;
    int fd;
    pthread_mutex_t lock;
    struct held held[HELD_MAX];
    size_t n_held;
};

enum { N, MODE, TEXT, PLACE, FLAG, STATUS, BYTES, USER, HOST, TIME, PROCID, N_SLOTS };

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct from_log *fl = calloc(1, sizeof *fl);
    const struct spoe_setting *file = host->config_get(cfg, 0);

    (void)self;
    if (fl == NULL)
        return SPOE_E_NOMEM;
    fl->host = host;
    fl->fd = -1;
    if (file->raw.n != 0)
        fl->fd = open(file->raw.p, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    (void)pthread_mutex_init(&fl->lock, NULL);
    *ret_inst = fl;
    return SPOE_OK;
}

static void put(char *line, size_t *n, const char *p, size_t len)
{
    for (size_t i = 0; i < len && *n < LINE_MAX_ - 1; i++)
        line[(*n)++] = p[i];
}

static void put_value(char *line, size_t *n, const struct spoe_value *v)
{
    char text[64] = "null:";

    switch (v->type) {
    case SPOE_T_BOOL:
        (void)snprintf(text, sizeof text, "bool:%u", v->u.b);
        break;
    case SPOE_T_INT32:
        (void)snprintf(text, sizeof text, "int:%d", v->u.i32);
        break;
    case SPOE_T_UINT32:
        (void)snprintf(text, sizeof text, "int:%u", v->u.u32);
        break;
    case SPOE_T_INT64:
        (void)snprintf(text, sizeof text, "int:%" PRId64, v->u.i64);
        break;
    case SPOE_T_UINT64:
        (void)snprintf(text, sizeof text, "uint:%" PRIu64, v->u.u64);
        break;
    case SPOE_T_IPV4:
        (void)snprintf(text, sizeof text, "ip4:%u.%u.%u.%u", v->u.ip4[0], v->u.ip4[1], v->u.ip4[2],
                       v->u.ip4[3]);
        break;
    case SPOE_T_IPV6:
        (void)snprintf(text, sizeof text, "ip6:%02x..%02x", v->u.ip6[0], v->u.ip6[15]);
        break;
    case SPOE_T_STR:
    case SPOE_T_BIN:
        put(line, n, v->type == SPOE_T_STR ? "str:" : "bin:", 4);
        put(line, n, v->u.s.p, v->u.s.n);
        return;
    default:
        break;
    }
    put(line, n, text, strlen(text));
}

static void write_line(const struct from_log *fl, char *line, size_t n)
{
    line[n++] = '\n';
    if (fl->fd >= 0 && write(fl->fd, line, n) < 0)
        abort();
}

/* Writes the whole of it. */
static void tell(struct from_log *fl, struct spoe_request *req, const struct spoe_message *msg)
{
    static const char *const names[N_SLOTS] = {"n",     "mode", "text", "place", "flag",  "status",
                                               "bytes", "user", "host", "time",  "procid"};
    const struct spoe_value value = {.type = SPOE_T_BOOL, .u.b = 1};
    char line[LINE_MAX_ + 1], text[64];
    size_t n = 0;

    put(line, &n, msg->name.p, msg->name.n);
    for (uint32_t i = 0; i < msg->n_slots; i++) {
        if (msg->slot[i].type == SPOE_T_NULL)
            continue;
        put(line, &n, " ", 1);
        put(line, &n, names[i], strlen(names[i]));
        put(line, &n, "=", 1);
        put_value(line, &n, &msg->slot[i]);
    }
    for (uint32_t i = 0; i < msg->n_args; i++) {
        put(line, &n, " +", 2);
        put(line, &n, msg->args[i].name.p, msg->args[i].name.n);
        put(line, &n, "=", 1);
        put_value(line, &n, &msg->args[i].value);
    }
    (void)snprintf(text, sizeof text, " set_var=%d",
                   (int)fl->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("x"), &value));
    put(line, &n, text, strlen(text));
    write_line(fl, line, n);
}

/* Complete what is held. */
static void release(struct from_log *fl, int all)
{
    size_t kept = 0;

    pthread_mutex_lock(&fl->lock);
    for (size_t i = 0; i < fl->n_held; i++) {
        const struct held h = fl->held[i];
        char line[128] = "completed ";
        size_t n = strlen(line);

        if (h.never && !all) {
            fl->held[kept++] = h;
            continue;
        }
        put_value(line, &n, &h.msg->slot[N]);
        write_line(fl, line, n);
        fl->host->complete(h.req, SPOE_OK);
    }
    fl->n_held = kept;
    pthread_mutex_unlock(&fl->lock);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct from_log *fl = wctx;
    int never, hold;

    if (fl->fd >= 0)
        tell(fl, req, msg);
    if (msg->index == 1) {
        release(fl, 0);
        return SPOE_OK;
    }
    if (msg->index != 0 || msg->slot[MODE].type != SPOE_T_STR)
        return SPOE_OK;
    never = spoe_span_is(msg->slot[MODE].u.s, "never");
    hold = spoe_span_is(msg->slot[MODE].u.s, "hold");
    if (!never && !hold)
        return spoe_span_is(msg->slot[MODE].u.s, "fail") ? SPOE_E_INTERNAL : SPOE_OK;
    pthread_mutex_lock(&fl->lock);
    if (fl->n_held == HELD_MAX)
        abort();
    fl->held[fl->n_held++] = (struct held){req, msg, never};
    pthread_mutex_unlock(&fl->lock);
    return SPOE_PENDING;
}

static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    struct from_log *fl = wctx;
    char line[64];
    int n = snprintf(line, sizeof line, "cancelled why=%d", (int)why);

    (void)req;
    write_line(fl, line, (size_t)n);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    (void)deadline_mono_ns;
    release(inst, 1);
}

static void destroy(void *inst)
{
    struct from_log *fl = inst;

    if (fl->fd >= 0)
        (void)close(fl->fd);
    (void)pthread_mutex_destroy(&fl->lock);
    free(fl);
}

#define ARG(id, name, types, expression)                                                           \
    static const struct spoe_arg_decl arg_##id = {                                                 \
        sizeof(struct spoe_arg_decl), types, 0, 0, name, expression, "told"}
ARG(n, "n", SPOE_ACCEPT_INT, "%rt");
ARG(mode, "mode", SPOE_ACCEPT_STR, "%[var(txn.mode)]");
ARG(text, "text", SPOE_ACCEPT_STR, "%{+Q,+E}[var(txn.text)]");
ARG(place, "place", SPOE_ACCEPT_IP | SPOE_ACCEPT_STR, "%ci");
ARG(flag, "flag", SPOE_ACCEPT_BOOL, "%[ssl_fc]");
ARG(status, "status", SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "%ST");
ARG(bytes, "bytes", SPOE_ACCEPT_BIN, "%[var(txn.bytes)]");
ARG(user, SPOE_LOG_MESSAGE, SPOE_ACCEPT_STR, "-");
ARG(host, SPOE_LOG_HOSTNAME, SPOE_ACCEPT_STR, "-");
ARG(time, SPOE_LOG_TIMESTAMP, SPOE_ACCEPT_STR, "-");
ARG(procid, SPOE_LOG_PROCID, SPOE_ACCEPT_INT | SPOE_ACCEPT_STR, "-");
static const struct spoe_arg_decl *const args[] = {&arg_n,    &arg_mode,   &arg_text,   &arg_place,
                                                   &arg_flag, &arg_status, &arg_bytes,  &arg_user,
                                                   &arg_host, &arg_time,   &arg_procid, NULL};
static const struct spoe_message_decl log_message = {
    sizeof log_message, SPOE_MESSAGE_FROM_LOG, "on-http-log", "on-http-response", "told", args};
static const struct spoe_message_decl release_message = {
    sizeof release_message, SPOE_MESSAGE_FROM_LOG,    "release",
    "on-http-response",     "completes what is held", NULL};
static const struct spoe_message_decl spop_message = {
    sizeof spop_message, 0, "over-spop", "on-frontend-http-request", "told, and answered", args};
static const struct spoe_message_decl *const messages[] = {&log_message, &release_message,
                                                           &spop_message, NULL};
static const struct spoe_option file = {
    .size = sizeof file, .type = SPOE_OPT_STRING, .key = "file", .help = "what is told goes there"};
static const struct spoe_option *const options[] = {&file, NULL};

static const struct spoe_plugin plugin = {
    .magic = SPOE_PLUGIN_MAGIC,
    .size = sizeof plugin,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .needs_minor = 0,
    .id = "from-log",
    .version = "1.0",
    .messages = messages,
    .options = options,
    .configure = configure,
    .handle = handle,
    .cancel = cancel,
    .stop = stop,
    .destroy = destroy,
};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    return &plugin;
}
