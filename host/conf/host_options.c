/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/host_options.c - see host_options.h. */
#include "conf/host_options.h"

#include "conf/option.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)

/* In the order of SPOE_LOG_ERR .. SPOE_LOG_DEBUG, then what else people call two of them; and in
 * the order of enum log_format. */
static const char *const log_levels[] = {"err",   "warning", "notice", "info",
                                         "debug", "error",   "warn",   NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

/* In the order of enum host_health. */
static const char *const plugin_healths[] = {"ignored", "down", "degraded", NULL};

static const char *const plugin_trusts[] = {"checked", "any", NULL};

#define ENV(name)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        name, NULL                                                                                 \
    }
#define OPTION(...)                                                                                \
    &(const struct spoe_option)                                                                    \
    {                                                                                              \
        .size = sizeof(struct spoe_option), __VA_ARGS__                                            \
    }

const struct spoe_option *const host_options[N_HOST_OPTIONS + 1] = {
    [OPT_LISTEN] = OPTION(.type = SPOE_OPT_STRING, .key = "listen", .default_text = "0.0.0.0:12345",
                          .env = ENV("SPOE_ADDR"),
                          .help = "addresses that HAProxy connects to, comma-separated: "
                                  "`host:port`, `[v6]:port`, `unix:/path`, or `fd:NAME`, sockets "
                                  "that systemd holds. At most 16"),
    [OPT_SOCKET_GROUP] = OPTION(
            .type = SPOE_OPT_STRING, .key = "socket-group", .env = ENV("SPOE_SOCKET_GROUP"),
            .help =
                "group of the sockets of `unix:/path`, by name or number. By default the process's "
                "own. Their mode is 0660. A stale socket is replaced, a live one never"),
    [OPT_LOG_LISTEN] =
        OPTION(.type = SPOE_OPT_STRING, .key = "log-listen", .default_text = "off",
               .env = ENV("SPOE_LOG_ADDR"),
               .help = "addresses that take HAProxy's log lines, comma-separated, "
                       "or `off`. At most 16: `udp:HOST:PORT`, `unixgram:/PATH`, "
                       "`tcp:HOST:PORT`, `tcp+octet:HOST:PORT`, `unix:/PATH`, or "
                       "`fd:NAME`, `fd+octet:NAME`, sockets that systemd holds. Those "
                       "with the name `log` need no setting"),
    [OPT_LOG_FROM] =
        OPTION(.type = SPOE_OPT_STRING, .key = "log-from", .env = ENV("SPOE_LOG_FROM"),
               .help = "networks whose log lines are taken, comma-separated; by default all. At "
                       "most 64, as `10.0.0.0/8, 2001:db8::/32`. Lines of others are counted, "
                       "connections of others closed. Unix sockets are not asked"),
    [OPT_LOG_DELAY] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "log-delay", .default_text = "10ms",
               .env = ENV("SPOE_LOG_DELAY"), .min = 0, .max = SECOND,
               .help = "how long log lines wait to be read together, if they are few. Each wake-up "
                       "costs more than a line. 0: they are read as they come"),
    [OPT_LOG_LINE_MAX] =
        OPTION(.type = SPOE_OPT_SIZE, .key = "log-line-max", .default_text = "64k",
               .env = ENV("SPOE_LOG_LINE_MAX"), .min = 1024, .max = HOST_LOG_LINE_MAX,
               .help = "the longest log line that is taken"),
    [OPT_LOG_RECEIVE_BUFFER] =
        OPTION(.type = SPOE_OPT_SIZE, .key = "log-receive-buffer", .default_text = "4m",
               .env = ENV("SPOE_LOG_RECEIVE_BUFFER"), .min = 64 << 10, .max = 1 << 30,
               .help = "what the kernel keeps of datagrams of the log that are not read yet. Where "
                       "it gives less (`net.core.rmem_max`, unless the host has CAP_NET_ADMIN), a "
                       "warning says how many lines a second that stands"),
    [OPT_ADMIN] = OPTION(.type = SPOE_OPT_STRING, .key = "admin", .default_text = "127.0.0.1:9902",
                         .env = ENV("SPOE_ADMIN_ADDR"),
                         .help = "address of metrics and health over HTTP, as in `listen`, or "
                                 "`off`. One address; two hosts on one machine need two. A socket "
                                 "that systemd holds with the name `admin` needs no setting"),
    [OPT_ADMIN_HOSTS] =
        OPTION(.type = SPOE_OPT_STRING, .key = "admin-hosts", .env = ENV("SPOE_ADMIN_HOSTS"),
               .help = "names that the admin endpoint goes by, comma-separated, beside `localhost` "
                       "and addresses. Without ports. Of its pages all but `/metrics`, `/healthz` "
                       "and `/readyz` are for requests by these alone"),
    [OPT_ADMIN_TOKEN_FILE] =
        OPTION(.type = SPOE_OPT_STRING, .key = "admin-token-file",
               .env = ENV("SPOE_ADMIN_TOKEN_FILE"),
               .flags = SPOE_OPTION_RELOADABLE | OPTION_NOT_BY_CONTROL,
               .help =
                   "file of the token for changes and request data over TCP: `/PATH` or "
                   "`credential:NAME`. 16 to 512 visible ASCII characters in one line; a file that "
                   "everybody may write to is an error, one that everybody may read is a warning. "
                   "What is in it can change at run time too"),
    [OPT_PLUGIN_DIR] =
        OPTION(.type = SPOE_OPT_STRING, .key = "plugin-dir", .env = ENV("SPOE_PLUGIN_DIR"),
               .help = "directories of plugins, colon-separated; by default the installed one. A "
                       "list replaces the default: name the bundled directory too if a mounted one "
                       "is to add to it"),
    [OPT_PLUGINS] =
        OPTION(.type = SPOE_OPT_STRING, .key = "plugins", .env = ENV("SPOE_PLUGINS"),
               .help =
                   "plugins to load, comma-separated, in this order; by default all in the "
                   "directories, by name. Each is a name in the directories (`otel`, or `otel.so`) "
                   "or a path. `NAME:INSTANCE` is one of several instances. What lies in a folder "
                   "`optional` of a directory is loaded only where it is named here"),
    [OPT_PLUGIN_TRUST] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "plugin-trust", .default_text = "checked",
               .env = ENV("SPOE_PLUGIN_TRUST"), .choices = plugin_trusts,
               .help =
                   "which plugin files are loaded: those that not everybody may write to, or "
                   "`any`. With `checked` none that everybody may write to, nor from a folder that "
                   "everybody may write to, at any height, unless it is on a read-only mount, or "
                   "sticky and what is taken from it is root's or the host's own user's"),
    [OPT_WORKERS] =
        OPTION(.type = SPOE_OPT_INT, .key = "workers", .env = ENV("SPOE_WORKERS"), .min = 1,
               .max = HOST_WORKERS_MAX,
               .help = "threads, each with its own event loop; by default one per core, at most 4"),
    [OPT_MAX_FRAME_SIZE] =
        OPTION(.type = SPOE_OPT_SIZE, .key = "max-frame-size", .default_text = "1m",
               .env = ENV("SPOE_MAX_FRAME_SIZE"), .min = 256, /* SPOE.txt 3.2.4 */
               .max = 16 << 20,
               .help = "the largest SPOP frame that is agreed to. HAProxy's own size is used "
                       "unless it is larger. A frame that is larger than agreed ends its "
                       "connection with code 3; before HELLO, 16 KiB are allowed"),
    [OPT_MAX_CONNECTIONS] =
        OPTION(.type = SPOE_OPT_INT, .key = "max-connections", .default_text = "4096",
               .env = ENV("SPOE_MAX_CONNECTIONS"), .min = 1, .max = 1000000,
               .help = "connections at a time, over all workers; then one that does nothing makes "
                       "room. As far as open files go, and as many with log lines"),
    [OPT_PROCESSING_TIMEOUT] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "processing-timeout", .default_text = "10ms",
               .env = ENV("SPOE_PROCESSING_TIMEOUT"), .min = MS, .max = HOUR,
               .help = "how long an answer waits for a plugin; keep it below HAProxy's `timeout "
                       "processing`. Of a plugin that works on it in the background: after that "
                       "the answer leaves without that plugin's variables"),
    [OPT_SLOW_HANDLE] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "slow-handle", .default_text = "5ms",
               .env = ENV("SPOE_SLOW_HANDLE"), .min = 0, .max = HOUR,
               .help = "a plugin's handler that takes longer is counted and named in the log; 0: "
                       "never. Meanwhile its worker serves nobody else"),
    [OPT_MAX_PENDING] =
        OPTION(.type = SPOE_OPT_INT, .key = "max-pending", .default_text = "10000",
               .env = ENV("SPOE_MAX_PENDING"), .min = 1, .max = 10000000,
               .help = "messages in flight in plugins, over all connections. Beyond it NOTIFYs and "
                       "log lines wait, HELLO and health checks do not. A message counts until its "
                       "plugin answers or `processing-timeout` has passed"),
    [OPT_HELLO_TIMEOUT] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "hello-timeout", .default_text = "5s",
               .env = ENV("SPOE_HELLO_TIMEOUT"), .min = 10 * MS, .max = HOUR,
               .help = "how long a new connection may take to say HELLO"),
    [OPT_IDLE_TIMEOUT] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "idle-timeout", .default_text = "10m",
               .env = ENV("SPOE_IDLE_TIMEOUT"), .min = 0, .max = 24 * HOUR,
               .help = "how long a connection may bring no frame while none is being answered; 0: "
                       "for ever. Then it gets AGENT-DISCONNECT with code 2. Longer than HAProxy's "
                       "own `timeout idle`, so that HAProxy closes first"),
    [OPT_SHUTDOWN_TIMEOUT] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "shutdown-timeout", .default_text = "15s",
               .env = ENV("SPOE_SHUTDOWN_TIMEOUT"), .min = 100 * MS, .max = HOUR,
               .help = "how long the end may take after SIGTERM, the plugins' flush included. "
                       "Plugins get up to 10 s of it to flush"),
    [OPT_DRAIN_TIME] = OPTION(
            .type = SPOE_OPT_DURATION, .key = "drain-time",
            .default_text = "2s", .env = ENV("SPOE_DRAIN_TIME"), .max = HOUR,
            .help =
                "how long the end waits for what plugins have open; 0: not at all. Such as "
                "requests whose response has still to come, before it says goodbye to HAProxy. "
                "Never more than half of what `shutdown-timeout` leaves beside the plugins' flush"),
    [OPT_PLUGIN_HEALTH] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "plugin-health", .default_text = "ignored",
               .env = ENV("SPOE_PLUGIN_HEALTH"), .choices = plugin_healths,
               .help = "whether `/readyz` is 503 where a plugin says that it is down, or at least "
                       "degraded. By default it does not go by that"),
    [OPT_LOG_LEVEL] = OPTION(
            .type = SPOE_OPT_ENUM, .key = "log-level",
            .default_text = "info", .env = ENV("SPOE_LOG_LEVEL"), .flags = SPOE_OPTION_RELOADABLE,
            .choices = log_levels,
            .help =
                "the least important lines that are logged. `error` is `err`, `warn` is `warning`"),
    [OPT_LOG_FORMAT] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "log-format", .default_text = "logfmt",
               .env = ENV("SPOE_LOG_FORMAT"), .flags = SPOE_OPTION_RELOADABLE,
               .choices = log_formats, .help = "how lines of the log on standard error look"),
    [OPT_ENGINE] =
        OPTION(.type = SPOE_OPT_STRING, .key = "engine", .env = ENV("SPOE_ENGINE"),
               .help = "name of the engine at HAProxy, in `--print-spoe-config`; by default the "
                       "plugin's id. 1 to 64 letters, digits, `_`, `.`, `-`. With several plugins "
                       "it is what stands before each one's, with a dot"),
    [N_HOST_OPTIONS] = NULL,
};
