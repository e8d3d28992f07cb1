/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/plugin.h - the ABI between an SPOE host and its handler plugins.
 *
 * A plugin is one shared object that exports one function, spoe_plugin_entry_v1(), which returns
 * a constant descriptor: who it is, which HAProxy messages it takes, which options it has, and
 * the functions that the host calls. The host answers with a table of its own functions. No other
 * symbol crosses in either direction.
 *
 * Words used on every function and member:
 *   threads   [entry]  while the file is being loaded; no state yet
 *             [main]   the host's main thread
 *             [worker] one event loop's thread; never two calls at once for one worker context,
 *                      concurrent with calls for other workers
 *             [any]    any thread, concurrently
 *   lifetime  [borrow] valid until the call returns
 *             [pin]    valid until handle() returns or, if it returned SPOE_PENDING, until
 *                      complete() is called
 *             [const]  valid for the life of the process
 *
 * What the ABI promises: structs that begin with their own size grow at their end only; structs
 * marked "frozen" never change; numbers are never reused; every function added after 1.0 is
 * optional. Read a member of the other side's table only where SPOE_HAS() is true, or where it is
 * listed as mandatory in version 1.0.
 *
 * A plugin must not call exit(), abort() or longjmp(), nor throw an exception across the
 * boundary. Plugins are trusted code in the host's address space: the host guards against
 * mistakes, not against malice.
 *
 * Versions: 1.0 first stable version. 1.1 open_count(), quiesce(), reconfigure(),
 * check(), try_out(), config_effective(), request_commit(), request_set_data(), request_data(),
 * config_timeout_ns(), SPOE_OPTION_RELOADABLE, SPOE_OPTION_LIST, SPOE_OPT_PATH to SPOE_OPT_SECRET,
 * SPOE_ARG_BY_NAME, SPOE_MESSAGE_FROM_LOG, SPOE_PLUGIN_INSTANCES, variables, facets spoe.haproxy/1,
 * spoe.health/1, spoe.loop/1, spoe.recent/1, spoe.reload/1.
 */
#ifndef SPOE_PLUGIN_H
#define SPOE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_ABI_MAJOR 1
#define SPOE_ABI_MINOR 1
#define SPOE_PLUGIN_MAGIC UINT32_C(0x53504f31) /* "SPO1" */
#define SPOE_PLUGIN_ENTRY "spoe_plugin_entry_v1"

#define SPOE_EXPORT __attribute__((visibility("default")))

/* True where the table `tab` is long enough to hold `member`, and holds it. */
#define SPOE_HAS(tab, member)                                                                      \
    ((tab)->size >= offsetof(__typeof__(*(tab)), member) + sizeof((tab)->member) &&                \
     (tab)->member != NULL)

/*
 * Results. 0 is success, 1 is "not yet", negative is an error. A number that a side does not know
 * means SPOE_E_INTERNAL. Since 1.0.
 */
typedef int32_t spoe_status;
enum {
    SPOE_OK = 0,
    SPOE_PENDING = 1,        /* handle() only: complete() will follow */
    SPOE_E_INVAL = -1,       /* an argument is outside what the function takes */
    SPOE_E_NOMEM = -2,       /* out of memory; nothing was changed */
    SPOE_E_CONFIG = -3,      /* configure(), reconfigure(): reported through config_error() */
    SPOE_E_TOOBIG = -4,      /* the ACK would pass the negotiated frame size; nothing was added */
    SPOE_E_STALE = -5,       /* the request is already completed, or its deadline has passed */
    SPOE_E_STOPPING = -6,    /* the host or the worker is stopping */
    SPOE_E_UNSUPPORTED = -7, /* this host or plugin does not have it */
    SPOE_E_LIMIT = -8,       /* a named limit was reached */
    SPOE_E_INTERNAL = -9
};

/* Types of a value: the wire ids of SPOP (HAProxy doc/SPOE.txt 3.1). Since 1.0. */
enum {
    SPOE_T_NULL = 0,
    SPOE_T_BOOL = 1,
    SPOE_T_INT32 = 2,
    SPOE_T_UINT32 = 3,
    SPOE_T_INT64 = 4,
    SPOE_T_UINT64 = 5,
    SPOE_T_IPV4 = 6,
    SPOE_T_IPV6 = 7,
    SPOE_T_STR = 8,
    SPOE_T_BIN = 9
};

/* Sets of types, for spoe_arg_decl.types. HAProxy sends every integer as INT32 .. UINT64. */
#define SPOE_MASK(type) (UINT32_C(1) << (type))
#define SPOE_ACCEPT_BOOL SPOE_MASK(SPOE_T_BOOL)
#define SPOE_ACCEPT_INT                                                                            \
    (SPOE_MASK(SPOE_T_INT32) | SPOE_MASK(SPOE_T_UINT32) | SPOE_MASK(SPOE_T_INT64) |                \
     SPOE_MASK(SPOE_T_UINT64))
#define SPOE_ACCEPT_IP (SPOE_MASK(SPOE_T_IPV4) | SPOE_MASK(SPOE_T_IPV6))
#define SPOE_ACCEPT_STR SPOE_MASK(SPOE_T_STR)
#define SPOE_ACCEPT_BIN SPOE_MASK(SPOE_T_BIN)
#define SPOE_ACCEPT_ANY UINT32_C(0x3fe) /* all but NULL */

/* Scopes of a variable: the wire ids of SPOP (SPOE.txt 3.4). Since 1.0. */
enum {
    SPOE_SCOPE_PROC = 0,
    SPOE_SCOPE_SESS = 1,
    SPOE_SCOPE_TXN = 2,
    SPOE_SCOPE_REQ = 3,
    SPOE_SCOPE_RES = 4
};

/* Why cancel() is called. Since 1.0. */
enum {
    SPOE_CANCEL_CONN_CLOSED = 1, /* the connection that asked is gone */
    SPOE_CANCEL_DEADLINE = 2,    /* processing-timeout passed; the ACK left without this answer */
    SPOE_CANCEL_DRAIN = 3        /* the host is stopping */
};

/* Log levels, as syslog's. Since 1.0. */
enum {
    SPOE_LOG_ERR = 3,
    SPOE_LOG_WARNING = 4,
    SPOE_LOG_NOTICE = 5,
    SPOE_LOG_INFO = 6,
    SPOE_LOG_DEBUG = 7
};

/* Frozen: a run of bytes. Not NUL-terminated, may hold NULs; p may be NULL where n is 0. */
struct spoe_span {
    const char *p;
    size_t n;
};

/*
 * Frozen, 24 bytes on LP64: one typed value. `type` says which member of `u` counts; flags is 0.
 * A bool is 0 or 1 in u.b. Addresses are in network byte order. u.s serves STR and BIN.
 */
struct spoe_value {
    uint32_t type;
    uint32_t flags;
    union {
        uint8_t b;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        uint8_t ip4[4];
        uint8_t ip6[16];
        struct spoe_span s;
    } u;
};

/* Frozen: one argument by name. */
struct spoe_arg {
    struct spoe_span name;
    struct spoe_value value;
};

/* ---- what a plugin declares ------------------------------------------------------------- */

/*
 * Flags, in each table: a bit that a host does not know is refused, for it may change what the
 * plugin relies on; but one of this half is ignored where the plugin was built for a newer ABI than
 * the host's. Since 1.1.
 */
#define SPOE_FLAGS_OPTIONAL UINT32_C(0xffff0000)

/* spoe_arg_decl.flags */
#define SPOE_ARG_REQUIRED UINT32_C(1) /* without it the message is not handed over, but counted */
/* Since 1.1: declared so that --print-spoe-config writes it; it comes among args[], of whatever
 * type, as if it were not declared, and its slot stays SPOE_T_NULL: not with SPOE_ARG_REQUIRED. */
#define SPOE_ARG_BY_NAME UINT32_C(2)

/*
 * spoe_message_decl.flags, since 1.1: the message comes from a line of HAProxy's log, not over
 * SPOP. The name is that of `msg=` in the line, on-http-log where a line has none; an argument's
 * name is the key of a pair, and its expression what fills it in HAProxy's log-format. The text is
 * turned into the first of IPV4 or IPV6, an integer, BOOL, STR and BIN (its bytes) that is declared
 * and that it is a value of. There is no answer: set_var() and unset_var() give SPOE_E_UNSUPPORTED,
 * and the completion of a SPOE_PENDING only gives back its place among what may be pending. `event`
 * has to be one of HAProxy's all the same, and says when the line is about; hosts of 1.0 check it.
 * Optional: a host that does not know the bit takes it for a message that HAProxy never sends.
 */
#define SPOE_MESSAGE_FROM_LOG UINT32_C(0x10000)
/* Arguments of such a message that are no pairs, but parts of an RFC 5424 line. No pair of a line
 * can have a name that begins so. The free text is the user's own log line. */
#define SPOE_LOG_MESSAGE "syslog.message"
#define SPOE_LOG_HOSTNAME "syslog.hostname"
#define SPOE_LOG_TIMESTAMP "syslog.timestamp"
#define SPOE_LOG_PROCID "syslog.procid"

/*
 * One argument of a message. Its place in the table is its slot. Since 1.0.
 *
 * Two plugins may declare the same message; where they name the same argument, their expressions
 * must be equal.
 */
struct spoe_arg_decl {
    uint32_t size;          /* sizeof(struct spoe_arg_decl) */
    uint32_t types;         /* accepted types, SPOE_ACCEPT_*; any other counts as absent */
    uint32_t flags;         /* SPOE_ARG_* */
    uint32_t reserved;      /* 0 */
    const char *name;       /* [const] the argument's name on the wire, 1 to 64 bytes */
    const char *expression; /* [const] HAProxy sample expression that fills it */
    const char *help;       /* [const] one line */
};

/* One message. Since 1.0. */
struct spoe_message_decl {
    uint32_t size;                           /* sizeof(struct spoe_message_decl) */
    uint32_t flags;                          /* SPOE_MESSAGE_* */
    const char *name;                        /* [const] 1 to 64 bytes, [A-Za-z0-9_.-] */
    const char *event;                       /* [const] HAProxy event, SPOE.txt 3.3 */
    const char *help;                        /* [const] one line */
    const struct spoe_arg_decl *const *args; /* [const] ends with NULL; at most 64 */
};

/*
 * One variable that a plugin sets, so that HAProxy's side can be written, and read, without a look
 * at its code. HAProxy puts its prefix before the name: that of the plugin's own section is the
 * plugin's id with _ for -. Since 1.1.
 */
struct spoe_variable_decl {
    uint32_t size;    /* sizeof(struct spoe_variable_decl) */
    uint32_t scope;   /* SPOE_SCOPE_* */
    uint32_t types;   /* what it is set to, SPOE_ACCEPT_* */
    uint32_t flags;   /* none so far: 0 */
    const char *name; /* [const] 1 to 64 bytes, [A-Za-z0-9_.]; with "*" at its end: all that begin
                         so, whose rest the configuration says */
    const char *help; /* [const] one line */
};
/* Names that begin so are HAProxy's own, by the section that the host writes; set_var() refuses
 * them from plugins of 1.1 on, and so does the host at load where one is declared. */
#define SPOE_VARIABLE_RESERVED "spoe."
#define SPOE_VARIABLE_STATUS "spoe.status" /* option set-on-error */

/* spoe_option.type: how the text is parsed, and which value the plugin is handed. */
enum {
    SPOE_OPT_BOOL = 1,     /* on/off, true/false, yes/no, 1/0           -> SPOE_T_BOOL  */
    SPOE_OPT_INT = 2,      /* decimal                                   -> SPOE_T_INT64 */
    SPOE_OPT_DURATION = 3, /* as HAProxy: us ms s m h d; bare number ms -> SPOE_T_INT64, ns */
    SPOE_OPT_SIZE = 4,     /* bytes, or with k, m or g                  -> SPOE_T_UINT64 */
    SPOE_OPT_STRING = 5,   /*                                           -> SPOE_T_STR   */
    SPOE_OPT_ENUM = 6,     /* one of choices[]                          -> SPOE_T_UINT32, index */
    /* Since 1.1; with spoe_plugin.needs_minor 1 only, for hosts of 1.0 refuse the plugin. Texts are
     * taken apart by spoe/options.h. */
    SPOE_OPT_PATH = 7,    /* of a file, absolute, below 4096 bytes     -> SPOE_T_STR   */
    SPOE_OPT_URL = 8,     /* its scheme one of choices[], which may be
                             NULL: http or https                       -> SPOE_T_STR   */
    SPOE_OPT_ADDRESS = 9, /* IPv4 or IPv6                    -> SPOE_T_IPV4, SPOE_T_IPV6 */
    SPOE_OPT_PREFIX = 10, /* 10.0.0.0/8, or an address                 -> SPOE_T_STR   */
    /* file:PATH, credential:NAME (a file of $CREDENTIALS_DIRECTORY, as systemd has it), or else the
     * secret itself; as if with SPOE_OPTION_SECRET. Of a file at most 64 KiB without NUL count, and
     * one line end at its end does not. It is read anew with the configuration.
     *                                       -> SPOE_T_STR, the secret; setting.raw is the text */
    SPOE_OPT_SECRET = 11
};
/* spoe_option.flags */
#define SPOE_OPTION_REQUIRED UINT32_C(1) /* must be set somewhere */
#define SPOE_OPTION_SECRET UINT32_C(2)   /* its value is never logged nor shown */
/* Its value can change while the host runs, by reconfigure(). Since 1.1. */
#define SPOE_OPTION_RELOADABLE UINT32_C(4)
/* Any number of them, with commas between: each is of the option's type, which is STRING, PATH,
 * URL, ADDRESS or PREFIX. The value is the text, SPOE_T_STR, for spoe_list_next() of
 * spoe/options.h. With spoe_plugin.needs_minor 1 only. Since 1.1. */
#define SPOE_OPTION_LIST UINT32_C(8)
/* It names a file with a secret: the host warns where every user may read it, at each load of the
 * configuration. STRING or PATH, no list. Since 1.1; of SPOE_FLAGS_OPTIONAL. */
#define SPOE_OPTION_SECRET_FILE UINT32_C(0x10000)

/*
 * One option. It is set, in this order of preference, by `--set ID.KEY=VALUE`, by the first
 * environment variable of env[] that is set and not empty, by the first one of env_lenient[] whose
 * value will do, by `KEY = VALUE` in section [ID] of the configuration file, or by default_text.
 * Since 1.0.
 *
 * A value that does not parse or is out of bounds stops the start, but for one of env_lenient[]:
 * those are the variables that many programs share, OTEL_*, and they are read as OpenTelemetry's
 * specification has it. A duration is a bare number of milliseconds, a choice counts in any case,
 * a switch is on for "true" in any case. A value that will not do is a warning and counts as not
 * set; a switch is off then.
 */
struct spoe_option {
    uint32_t size;                  /* sizeof(struct spoe_option) */
    uint32_t type;                  /* SPOE_OPT_* */
    uint32_t flags;                 /* SPOE_OPTION_* */
    uint32_t reserved;              /* 0 */
    const char *key;                /* [const] [a-z0-9-], 1 to 64 bytes */
    const char *default_text;       /* [const] parsed as the others are; NULL: none */
    const char *help;               /* [const] one line */
    const char *const *env;         /* [const] ends with NULL; may be NULL */
    const char *const *choices;     /* [const] SPOE_OPT_ENUM, SPOE_OPT_URL; ends with NULL */
    int64_t min, max;               /* INT, DURATION (ns), SIZE (bytes); both 0: no bounds */
    const char *const *env_lenient; /* [const] ends with NULL; may be NULL */
};

/* ---- what the host hands over ------------------------------------------------------------ */

struct spoe_request;  /* one message being handled by one plugin; a handle, never dereferenced */
struct spoe_config;   /* the options of one plugin, during configure() and reconfigure() */
struct spoe_instance; /* one configured plugin */
struct spoe_worker;   /* one event loop's thread; valid until destroy() has returned, see post() */

/* spoe_setting.flags */
#define SPOE_SETTING_DEFAULT UINT32_C(1) /* the value is the option's default */
#define SPOE_SETTING_LENIENT UINT32_C(2) /* it is of env_lenient[]; see config_error() */

/* The value of one option. Since 1.0. Valid during configure() or reconfigure(). */
struct spoe_setting {
    uint32_t size;
    uint32_t flags;          /* SPOE_SETTING_* */
    struct spoe_span raw;    /* the text as it was given */
    struct spoe_span origin; /* "command line", "environment OTLP_TLS", "host.conf:12", "default" */
    struct spoe_value value; /* type by the option's type; NULL where nothing set it */
};

/*
 * One message, as HAProxy sent it. Since 1.0.
 *
 * slot[] has one value per declared argument, in the order of the declaration; the type is
 * SPOE_T_NULL where HAProxy sent none, or one of a type that was not declared. args[] holds what
 * was not declared, by name, in the order of arrival. Everything that is pointed at is [pin].
 * stream_id and frame_id repeat across connections and, from HAProxy 3.1, across the messages of
 * one request: join messages by an argument such as unique-id.
 */
struct spoe_message {
    uint32_t size;
    uint32_t index;   /* of the declaration, in the plugin's messages[] */
    uint32_t n_slots; /* declared arguments */
    uint32_t n_args;  /* arguments nobody of this plugin declared */
    const struct spoe_value *slot;
    const struct spoe_arg *args;
    struct spoe_span name;
    struct spoe_span engine_id; /* as HAProxy announced it; empty if it did not */
    uint64_t stream_id, frame_id;
    int64_t recv_unix_ns;     /* when the frame was read, wall clock */
    int64_t recv_mono_ns;     /* the same moment, on the clock of now_mono_ns() */
    int64_t deadline_mono_ns; /* a later completion is not sent to HAProxy */
};

/*
 * The host's functions; one table, [const]. All members up to now_mono_ns are mandatory in 1.0.
 */
struct spoe_host {
    uint32_t size;
    uint16_t abi_major, abi_minor; /* the host's */
    const char *name, *version;    /* [const] for logs */

    /**
     * Find a facet of the host that not every plugin needs.
     *
     * @param id  [borrow] "spoe.metrics/1", for example
     * @return a constant table that begins with its size, or NULL
     * Threads: [any]. Since: 1.0.
     */
    const void *(*get_extension)(struct spoe_instance *self, const char *id);

    /**
     * Whether a line of this level would be written, so that a plugin need not format it.
     * Threads: [any]. Since: 1.0.
     */
    int32_t (*log_enabled)(struct spoe_instance *self, int32_t level);

    /**
     * Write one line to the host's log; the host adds time and plugin id.
     *
     * @param req    the request it is about, or NULL
     * @param level  SPOE_LOG_*
     * @param text   [borrow] UTF-8 without a line end; control characters are escaped, what
     *               passes 2048 bytes is cut
     * Threads: [any]. Not for the hot path above debug. Since: 1.0.
     */
    void (*log)(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                struct spoe_span text);

    /**
     * The value of an option.
     *
     * @param option  its place in the plugin's options[]
     * @return [valid during configure() or reconfigure()] never NULL for a place inside options[];
     *         value.type is SPOE_T_NULL where neither a setting nor a default exists. NULL outside
     *         options[].
     * Threads: [main], during configure() and, since 1.1, reconfigure(). Since: 1.0.
     */
    const struct spoe_setting *(*config_get)(struct spoe_config *cfg, size_t option);

    /**
     * Report a value that parses but cannot be used; several may be reported, then configure() or
     * reconfigure() returns SPOE_E_CONFIG. The host writes "ORIGIN: KEY: TEXT".
     *
     * About a setting with SPOE_SETTING_LENIENT it is a warning and no reason for SPOE_E_CONFIG:
     * the host takes the value for not set, and config_get() has what comes next in preference.
     * What it gave for the option before is then no longer valid.
     *
     * @param option  its place in options[]
     * @param text    [borrow]
     * Threads: [main], during configure() and, since 1.1, reconfigure(). Since: 1.0.
     */
    void (*config_error)(struct spoe_config *cfg, size_t option, struct spoe_span text);

    /**
     * Set an HAProxy variable from the reply to this message.
     *
     * HAProxy puts its own prefix before the name (option var-prefix).
     *
     * @param req    [pin]
     * @param scope  SPOE_SCOPE_*; SPOE_SCOPE_PROC needs `option force-set-var` (SPOE.txt 3.4)
     * @param name   [borrow] 1 to 64 bytes, [A-Za-z0-9_.]; not SPOE_VARIABLE_RESERVED
     * @param value  [borrow] any type
     * @return SPOE_OK; SPOE_E_INVAL bad scope, name or type; SPOE_E_TOOBIG; SPOE_E_STALE;
     *         SPOE_E_NOMEM; SPOE_E_UNSUPPORTED for a message of the log. Nothing is added on
     *         error.
     * Threads: [any], one at a time per request. Cost: one copy. Since: 1.0.
     */
    spoe_status (*set_var)(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value);

    /** Unset an HAProxy variable; as set_var(), without a value. */
    spoe_status (*unset_var)(struct spoe_request *req, uint32_t scope, struct spoe_span name);

    /**
     * End a request for which handle() returned, or is about to return, SPOE_PENDING. Exactly
     * once per such request, also after cancel(); the handle must not be used afterwards.
     *
     * @param status  SPOE_OK, or negative: this plugin's actions are left out of the ACK
     * Threads: [any]. A second completion is logged and ignored. Since: 1.0.
     */
    void (*complete)(struct spoe_request *req, spoe_status status);

    /**
     * Run fn(arg) on a worker's thread, soon.
     *
     * @param worker  as worker_start() was given it. It lives as long as the instance: from the
     *                worker's worker_stop() on, also in stop() and destroy(), there is an answer,
     *                SPOE_E_STOPPING
     * @return SPOE_OK: fn runs once; SPOE_E_STOPPING: it does not, arg stays the caller's;
     *         SPOE_E_NOMEM likewise
     * Threads: [any]. Since: 1.0.
     */
    spoe_status (*post)(struct spoe_worker *worker, void (*fn)(void *arg), void *arg);

    /** CLOCK_MONOTONIC in nanoseconds. Threads: [any]. Since: 1.0. */
    int64_t (*now_mono_ns)(void);

    /* ---- since 1.1: ask with SPOE_HAS() ---- */

    /**
     * Say how an option is written in a file so that it means what is in effect, where that is not
     * the text of its setting: a variable of env_lenient[] may be read by other rules than a file.
     * `spoe-host -T` prints it.
     *
     * @param option  its place in options[]
     * @param text    [borrow] empty: a file cannot say it
     * Threads: [main], during configure(). Since: 1.1.
     */
    void (*config_effective)(struct spoe_config *cfg, size_t option, struct spoe_span text);

    /**
     * Make what the request has set so far its answer, should the ACK have to leave without its
     * completion: at its deadline, or when the host ends. So can a plugin fail closed: set what
     * holds while nothing is known, commit, ask, then set what was found and complete. Later
     * actions of one name win over earlier ones.
     *
     * Without it, as in 1.0, the ACK leaves without any of the request's variables then. What is
     * set after it is part of the answer if the request is completed in time, and else only after
     * another call, which takes the place of this one. A completion counts as it would without it:
     * in time, a negative status leaves out what was committed as well.
     *
     * @param req  [pin] for which handle() is about to return, or has returned, SPOE_PENDING
     * @return SPOE_OK; SPOE_E_NOMEM: what was committed before stays; SPOE_E_STALE;
     *         SPOE_E_UNSUPPORTED for a message of the log
     * Threads: [any], one at a time per request, as set_var(). Cost: one copy. Since: 1.1.
     */
    spoe_status (*request_commit)(struct spoe_request *req);

    /**
     * Keep a pointer of the plugin's with a request: NULL until it is set.
     *
     * @param req  valid from handle() until complete() is called, also in cancel() and after it
     * @return SPOE_OK; SPOE_E_STALE
     * Threads: [any]. Since: 1.1.
     */
    spoe_status (*request_set_data)(struct spoe_request *req, void *data);

    /**
     * The pointer that was set last. @return NULL: none was, or the request is completed
     * Threads: [any]. Since: 1.1.
     */
    void *(*request_data)(struct spoe_request *req);

    /**
     * How long an answer to a message waits for the plugin at most: processing-timeout, as the user
     * sets it for the message, the plugin or the host. What the plugin waits for itself should take
     * less. spoe_message.deadline_mono_ns is when it is over.
     *
     * @param message  its place in messages[]
     * @return nanoseconds; -1 where there is no such message
     * Threads: [main], during configure() and reconfigure(). Since: 1.1.
     */
    int64_t (*config_timeout_ns)(struct spoe_config *cfg, size_t message);
};

/*
 * spoe_plugin.flags, since 1.1. There may be several instances of it in one host, each configured,
 * started and called by itself: it keeps everything in its instance, and what it has in statics is
 * theirs in common and safe for all threads. A host does not make two of a plugin without it. The
 * user gives each a name; log, metrics, options and HAProxy's variables go by it, and the variables
 * of the environment in env[] and env_lenient[] count for the one without a name.
 */
#define SPOE_PLUGIN_INSTANCES UINT32_C(1)

/*
 * The plugin's descriptor; [const]. Calls come strictly in the order of the members of 1.0; those
 * of 1.1, at the end, say when they come. configure and handle are mandatory, the rest may be NULL.
 */
struct spoe_plugin {
    uint32_t magic;       /* SPOE_PLUGIN_MAGIC. The first five members never change. */
    uint32_t size;        /* sizeof(struct spoe_plugin) as the plugin was built */
    uint16_t abi_major;   /* SPOE_ABI_MAJOR */
    uint16_t abi_minor;   /* SPOE_ABI_MINOR as it was built; information only */
    uint16_t needs_minor; /* least minor of the host; newer than the host's: refused */
    uint16_t reserved;    /* 0 */
    const char *id;       /* [const] [a-z0-9-], 1 to 32 bytes, unique in a host; "host" is taken */
    const char *version;  /* [const] the plugin's own */
    const char *help;     /* [const] one line */
    const struct spoe_message_decl *const *messages; /* [const] ends with NULL */
    const struct spoe_option *const *options;        /* [const] ends with NULL; may be NULL */

    /**
     * Check the options and make an instance. No thread, no socket, no lasting library state:
     * `spoe-host -t` calls configure(), check() (1.1) and destroy() and nothing else.
     *
     * @param host      [const]
     * @param self      the instance as the host knows it, for log() and get_extension()
     * @param cfg       [borrow]
     * @param ret_inst  set on success only; handed to start(), worker_start(), drain(), stop(),
     *                  destroy() and get_extension()
     * @return SPOE_OK; SPOE_E_CONFIG after config_error(); any other negative. The host does not
     *         start then.
     * Threads: [main]. Since: 1.0.
     */
    spoe_status (*configure)(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst);

    /** Start threads and libraries, all signals blocked. Non-zero stops the host's start. [main] */
    spoe_status (*start)(void *inst);

    /**
     * Make the state of one worker. Without it, handle() and cancel() get the instance.
     * @param index     0 to the number of workers - 1
     * @param ret_wctx  set on success only
     * Threads: [worker]. Since: 1.0.
     */
    spoe_status (*worker_start)(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx);

    /**
     * Handle one message. Must not block.
     *
     * @param wctx  of the calling worker
     * @param req   [pin] for set_var(), complete()
     * @param msg   [pin]
     * @return SPOE_OK done; SPOE_PENDING complete() follows, from any thread; negative: the
     *         actions set so far are dropped and the error is counted, the ACK leaves all the same
     * Threads: [worker]. Since: 1.0.
     */
    spoe_status (*handle)(void *wctx, struct spoe_request *req, const struct spoe_message *msg);

    /**
     * Advice that nobody waits for this request any more. complete() is still due. At most once a
     * request; may race a complete() on another thread.
     * @param why  SPOE_CANCEL_*
     * Threads: [worker]. Since: 1.0.
     */
    void (*cancel)(void *wctx, struct spoe_request *req, int32_t why);

    /**
     * No message will follow, and every handle() has returned; flush what can be flushed until the
     * deadline. It waits for a handle() that blocks, beyond the deadline if need be, and does not
     * come where that never returns: the process is ended then. [main]
     */
    void (*drain)(void *inst, int64_t deadline_mono_ns);

    /** The last call for this worker. [worker] */
    void (*worker_stop)(void *wctx);

    /**
     * Complete what is still pending and join every thread of the plugin's. When it returns no
     * code of the plugin runs any more. A plugin that misses the deadline is named in the log and
     * the process leaves. [main]
     */
    void (*stop)(void *inst, int64_t deadline_mono_ns);

    /** Free the instance; also after a failed start(). The code is never unloaded. [main] */
    void (*destroy)(void *inst);

    /** Find a facet of the plugin, as spoe_host.get_extension: spoe/ext/haproxy.h. [any] */
    const void *(*get_extension)(void *inst, const char *id);

    /* ---- since 1.1 ---- */

    /**
     * How much is begun and waits for a later message to end it: requests, for example, whose
     * response has not been seen. At its end the host waits, between quiesce() and drain(), until
     * the sum over its plugins is 0, for its option drain-time at most. Must be cheap: it is asked
     * a hundred times a second then.
     * Threads: [any], from a successful start() until stop(). Since: 1.1.
     */
    uint64_t (*open_count)(void *inst);

    /**
     * The host is about to stop. Messages still come: answer them as before, take what ends open
     * work, but open nothing new. Called once, after start() and before drain(), unless the host
     * ends without order.
     * Threads: [main], concurrent with [worker] calls. Since: 1.1.
     */
    void (*quiesce)(void *inst);

    /**
     * The configuration was read again, and an option with SPOE_OPTION_RELOADABLE has changed.
     * Take all of the new settings, or change nothing and return an error.
     *
     * @param cfg  [borrow] the new values of the options with SPOE_OPTION_RELOADABLE; of the others
     *             those that the plugin runs with. config_error() as in configure()
     * @return SPOE_OK: all are taken; SPOE_E_CONFIG after config_error(), or any other negative:
     *         nothing has changed. SPOE_E_LIMIT: not now, since workers are still in calls that use
     *         settings of before; the host says so, and whoever asked may ask again
     * Threads: [main], between start() and quiesce(), concurrent with [worker] calls. Since: 1.1.
     */
    spoe_status (*reconfigure)(void *inst, struct spoe_config *cfg);

    /**
     * `spoe-host -t` only, between configure() and destroy(): look at what the options name and
     * configure() does not touch, such as whether a host name resolves. Log what is wrong; leave
     * nothing behind.
     *
     * @return SPOE_OK, also if there are warnings; any other negative: start() would fail
     * Threads: [main]. Since: 1.1.
     */
    spoe_status (*check)(void *inst);

    /**
     * `spoe-host --send-test-span` only, between configure() and destroy(), without start(): do
     * once, for real, what the plugin sends to others, and log how it went, also if it went well.
     * Leave nothing behind.
     *
     * @param deadline_mono_ns  be back by then
     * @return SPOE_OK: it went well; any other negative: it did not, and why is logged
     * Threads: [main]. Since: 1.1.
     */
    spoe_status (*try_out)(void *inst, int64_t deadline_mono_ns);

    /* The variables that it sets. [const] ends with NULL; at most 64; may be NULL. Since: 1.1. */
    const struct spoe_variable_decl *const *variables;

    uint32_t flags;        /* SPOE_PLUGIN_*. Since: 1.1. */
    uint32_t reserved_1_1; /* 0 */
};

/*
 * The one symbol that a plugin exports. Pure: no allocation, no thread, no other side effect, so
 * that `spoe-host --plugin-info FILE.so` is safe.
 */
typedef const struct spoe_plugin *spoe_plugin_entry_fn(void);
SPOE_EXPORT const struct spoe_plugin *spoe_plugin_entry_v1(void);

#ifdef __cplusplus
}
#endif
#endif
