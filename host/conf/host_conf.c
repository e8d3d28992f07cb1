/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/host_conf.c - see host_conf.h. */
#include "conf/host_conf.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/admin_token.h"
#include "conf/host_options.h"
#include "conf/listen.h"
#include "conf/log_listen.h"
#include "conf/value.h"

#define WORKERS_DEFAULT_MAX 4u
#define GROUP_BYTES_MAX (1u << 20) /* of a group's entry, all of its members included */

/* One resolution under way. */
struct build {
    struct host_conf *hc;
    struct conf *conf;
    struct conf_section *section;
};

static int64_t get_int(const struct build *b, size_t option)
{
    const struct spoe_setting *setting = conf_setting(b->section, option);

    switch (setting->value.type) {
    case SPOE_T_INT64:
        return setting->value.u.i64;
    case SPOE_T_UINT64:
        return (int64_t)setting->value.u.u64; /* its bounds are far below */
    default:
        return setting->value.u.u32;
    }
}

/* The text of an option, NULL where it is not set or empty. Owned by the section. */
static const char *get_text(const struct build *b, size_t option)
{
    const struct spoe_setting *setting = conf_setting(b->section, option);

    return setting->raw.n != 0 ? setting->raw.p : NULL;
}

static void bad_item(const struct build *b, size_t option, const char *item, const char *wrong)
{
    conf_setting_error(b->conf, b->section, option, "\"%.*s%s\": %s", 120, item,
                       strlen(item) > 120 ? "..." : "", wrong);
}

/* ---- lists ------------------------------------------------------------------------------ */

typedef int item_fn(const struct build *b, size_t option, const char *item);

/*
 * Call fn for every item of a list, without the white space around it. Empty items are errors.
 * @return 0; -1 out of memory
 */
static int for_each_item(const struct build *b, size_t option, char separator, item_fn *fn)
{
    const char *text = get_text(b, option);
    struct spoe_span list = {text, text != NULL ? strlen(text) : 0}, span;
    int result = 0;

    while (result == 0 && text_next_item(&list, separator, &span)) {
        char *item = strndup(span.p, span.n);

        if (item == NULL)
            return -1;
        if (item[0] == '\0')
            conf_setting_error(b->conf, b->section, option, "an empty item in the list");
        else
            result = fn(b, option, item);
        free(item);
    }
    return result;
}

static int add_listen(const struct build *b, size_t option, const char *item)
{
    struct host_conf *hc = b->hc;
    struct host_listen listen;
    struct error wrong;
    int result = listen_parse(item, &listen, &wrong);

    if (result < 0)
        return -1;
    if (result > 0) {
        bad_item(b, option, item, wrong.text);
        return 0;
    }
    if (hc->n_listen == HOST_LISTEN_MAX) {
        bad_item(b, option, item, "more than 16 addresses");
        listen_fini(&listen);
        return 0;
    }
    hc->listen[hc->n_listen++] = listen;
    return 0;
}

static int add_log_listen(const struct build *b, size_t option, const char *item)
{
    struct host_conf *hc = b->hc;
    struct host_log_listen listen;
    struct error wrong;
    int result = log_listen_parse(item, &listen, &wrong);

    if (result < 0)
        return -1;
    if (result > 0) {
        bad_item(b, option, item, wrong.text);
        return 0;
    }
    if (hc->n_log_listen == HOST_LISTEN_MAX) {
        bad_item(b, option, item, "more than 16 addresses");
        listen_fini(&listen.at);
        return 0;
    }
    hc->log_listen[hc->n_log_listen++] = listen;
    return 0;
}

static int add_log_from(const struct build *b, size_t option, const char *item)
{
    struct host_conf *hc = b->hc;
    struct network network;
    struct error wrong;

    if (network_parse(item, &network, &wrong) != 0)
        bad_item(b, option, item, wrong.text);
    else if (hc->n_log_from == HOST_LOG_FROM_MAX)
        bad_item(b, option, item, "more than 64 networks");
    else
        hc->log_from[hc->n_log_from++] = network;
    return 0;
}

/* Addresses, or "off". */
static int set_log_listen(const struct build *b)
{
    const char *text = get_text(b, OPT_LOG_LISTEN);

    if (text != NULL && strcmp(text, "off") == 0)
        return 0;
    if (text == NULL)
        conf_setting_error(b->conf, b->section, OPT_LOG_LISTEN, "no address; off switches it off");
    else if (for_each_item(b, OPT_LOG_LISTEN, ',', add_log_listen) != 0)
        return -1;
    return 0;
}

/* One address, or "off". */
static int set_admin(const struct build *b)
{
    const char *text = get_text(b, OPT_ADMIN);
    struct error wrong;
    int result;

    if (text != NULL && strcmp(text, "off") == 0)
        return 0;
    if (text == NULL) {
        conf_setting_error(b->conf, b->section, OPT_ADMIN, "no address; off switches it off");
        return 0;
    }
    result = listen_parse(text, &b->hc->admin, &wrong);
    if (result > 0)
        bad_item(b, OPT_ADMIN, text, wrong.text);
    b->hc->has_admin = result == 0;
    return result < 0 ? -1 : 0;
}

/* Append to an array of strings that ends with NULL. */
static int append(char ***list, const char *item)
{
    size_t n = 0;
    char **longer;

    while (*list != NULL && (*list)[n] != NULL)
        n++;
    longer = reallocarray(*list, n + 2, sizeof **list);
    if (longer == NULL)
        return -1;
    *list = longer;
    longer[n] = strdup(item);
    if (longer[n] == NULL)
        return -1;
    longer[n + 1] = NULL;
    return 0;
}

static int add_plugin_dir(const struct build *b, size_t option, const char *item)
{
    (void)option;
    return append(&b->hc->plugin_dirs, item);
}

static int add_admin_host(const struct build *b, size_t option, const char *item)
{
    static const char of_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-._";

    if (strspn(item, of_names) == strlen(item))
        return append(&b->hc->admin_hosts, item);
    bad_item(b, option, item, "a name, without a scheme or a port");
    return 0;
}

/* Read when the option is: an error of it is one of the configuration. */
static void set_admin_token(const struct build *b)
{
    const char *where = get_text(b, OPT_ADMIN_TOKEN_FILE);
    struct error wrong;
    const int result = where != NULL ? admin_token_read(where, &b->hc->admin_token, &wrong) : 0;

    if (result < 0)
        conf_setting_error(b->conf, b->section, OPT_ADMIN_TOKEN_FILE, "%s", wrong.text);
    else if (result > 0)
        conf_setting_warning(b->conf, b->section, OPT_ADMIN_TOKEN_FILE, wrong.text);
}

static int add_plugin(const struct build *b, size_t option, const char *item)
{
    (void)option;
    return append(&b->hc->plugins, item);
}

static void free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

/* ---- the rest --------------------------------------------------------------------------- */

/* The cores that this process may run on, at most WORKERS_DEFAULT_MAX. */
static uint32_t default_workers(void)
{
    cpu_set_t set;
    long n;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    else /* more cores than the set has room for */
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1)
        return 1;
    return n < (long)WORKERS_DEFAULT_MAX ? (uint32_t)n : WORKERS_DEFAULT_MAX;
}

/* An engine's name stands between [ and ] in HAProxy's SPOE file. */
static void check_engine(const struct build *b)
{
    const char *engine = get_text(b, OPT_ENGINE);
    const size_t n = engine != NULL ? strlen(engine) : 0;

    if (n > 64 || (n != 0 && strspn(engine, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_.-") != n))
        bad_item(b, OPT_ENGINE, engine, "a name of 1 to 64 letters, digits, _, . and -");
}

static int copy_text(const struct build *b, size_t option, char **ret)
{
    const char *text = get_text(b, option);

    if (text == NULL)
        return 0;
    *ret = strdup(text);
    return *ret != NULL ? 0 : -1;
}

/*
 * The number of the group with this name.
 * @return 0; 1 no such group; -1 out of memory
 */
static int find_group_name(const char *name, gid_t *ret)
{
    struct group group, *found = NULL;
    char *buffer = NULL;
    int error = ERANGE;

    for (size_t size = 1024; error == ERANGE && size <= GROUP_BYTES_MAX; size *= 4) {
        char *larger = reallocarray(buffer, size, 1);

        if (larger == NULL) {
            free(buffer);
            return -1;
        }
        buffer = larger;
        error = getgrnam_r(name, &group, buffer, size, &found);
    }
    if (found != NULL)
        *ret = group.gr_gid;
    free(buffer);
    return found != NULL ? 0 : 1;
}

/* A group by name or, where there is no such name, by number. One that is in use is not looked up
 * again: that may ask a server, and be waited for. */
static int set_socket_group(const struct build *b, const struct host_conf *in_use)
{
    const char *text = get_text(b, OPT_SOCKET_GROUP);
    const bool is_known = text != NULL && in_use != NULL && in_use->socket_group != NULL &&
                          strcmp(text, in_use->socket_group) == 0;
    int64_t number = 0;
    int result = text != NULL && !is_known ? find_group_name(text, &b->hc->socket_gid) : 0;

    if (is_known)
        b->hc->socket_gid = in_use->socket_gid;
    if (result > 0) {
        /* (gid_t)-1 means "leave it" to chown(). */
        if (value_parse_int(text, &number) != VALUE_OK || number < 0 || number >= (gid_t)-1) {
            bad_item(b, OPT_SOCKET_GROUP, text, "no such group");
            return 0;
        }
        b->hc->socket_gid = (gid_t)number;
        result = 0;
    }
    return result == 0 ? copy_text(b, OPT_SOCKET_GROUP, &b->hc->socket_group) : -1;
}

/* The level of a choice of log_levels[]. */
static int log_level(int64_t choice)
{
    const int level = SPOE_LOG_ERR + (int)choice;

    return level <= SPOE_LOG_DEBUG ? level : level - SPOE_LOG_DEBUG - 1 + SPOE_LOG_ERR;
}

/* What stands for a default that depends on the machine. */
static void say_default(const struct build *b, size_t option, const char *text)
{
    if ((conf_setting(b->section, option)->flags & SPOE_SETTING_DEFAULT) != 0)
        conf_setting_written(b->conf, b->section, option, (struct spoe_span){text, strlen(text)});
}

static int build_lists(const struct build *b, const char *default_plugin_dir)
{
    say_default(b, OPT_PLUGIN_DIR, default_plugin_dir);
    if (get_text(b, OPT_LISTEN) == NULL)
        conf_setting_error(b->conf, b->section, OPT_LISTEN, "no address");
    if (for_each_item(b, OPT_LISTEN, ',', add_listen) != 0)
        return -1;
    if (set_log_listen(b) != 0 || for_each_item(b, OPT_LOG_FROM, ',', add_log_from) != 0)
        return -1;
    if (for_each_item(b, OPT_PLUGIN_DIR, ':', add_plugin_dir) != 0)
        return -1;
    if (b->hc->plugin_dirs == NULL && append(&b->hc->plugin_dirs, default_plugin_dir) != 0)
        return -1;
    return for_each_item(b, OPT_PLUGINS, ',', add_plugin);
}

void host_conf_take_log(struct host_conf *hc, const struct conf_section *section)
{
    hc->log_level = log_level(conf_setting(section, OPT_LOG_LEVEL)->value.u.u32);
    hc->log_format =
        conf_setting(section, OPT_LOG_FORMAT)->value.u.u32 == 1 ? LOG_JSON : LOG_LOGFMT;
}

int host_conf_init(struct host_conf *hc, struct conf *conf, const char *default_plugin_dir,
                   const struct host_conf *in_use)
{
    struct conf_section *section;
    struct build b;
    char workers[16];
    int result;

    *hc = (struct host_conf){.n_listen = 0};
    section = conf_resolve(conf, "host", host_options);
    if (section == NULL)
        return -1;
    b = (struct build){.hc = hc, .conf = conf, .section = section};
    check_engine(&b);
    result = build_lists(&b, default_plugin_dir);
    if (result == 0)
        result = set_admin(&b);
    if (result == 0)
        result = for_each_item(&b, OPT_ADMIN_HOSTS, ',', add_admin_host);
    set_admin_token(&b);
    if (result == 0)
        result = set_socket_group(&b, in_use);
    if (result == 0)
        result = copy_text(&b, OPT_ENGINE, &hc->engine);
    hc->workers = conf_setting(section, OPT_WORKERS)->value.type == SPOE_T_NULL
                      ? default_workers()
                      : (uint32_t)get_int(&b, OPT_WORKERS);
    (void)snprintf(workers, sizeof workers, "%u", hc->workers);
    say_default(&b, OPT_WORKERS, workers);
    hc->max_frame_size = (uint32_t)get_int(&b, OPT_MAX_FRAME_SIZE);
    hc->max_connections = (uint32_t)get_int(&b, OPT_MAX_CONNECTIONS);
    hc->max_pending = (uint32_t)get_int(&b, OPT_MAX_PENDING);
    hc->processing_timeout_ns = get_int(&b, OPT_PROCESSING_TIMEOUT);
    hc->slow_handle_ns = get_int(&b, OPT_SLOW_HANDLE);
    hc->plugin_trust_any = get_int(&b, OPT_PLUGIN_TRUST) == 1;
    hc->hello_timeout_ns = get_int(&b, OPT_HELLO_TIMEOUT);
    hc->idle_timeout_ns = get_int(&b, OPT_IDLE_TIMEOUT);
    hc->shutdown_timeout_ns = get_int(&b, OPT_SHUTDOWN_TIMEOUT);
    hc->drain_time_ns = get_int(&b, OPT_DRAIN_TIME);
    hc->log_delay_ns = get_int(&b, OPT_LOG_DELAY);
    hc->log_line_max = (uint32_t)get_int(&b, OPT_LOG_LINE_MAX);
    hc->log_receive_buffer = (uint32_t)get_int(&b, OPT_LOG_RECEIVE_BUFFER);
    hc->plugin_health = (enum host_health)get_int(&b, OPT_PLUGIN_HEALTH);
    hc->settings = section;
    host_conf_take_log(hc, section);
    return result;
}

void host_conf_fini(struct host_conf *hc)
{
    for (size_t i = 0; i < hc->n_listen; i++)
        listen_fini(&hc->listen[i]);
    for (size_t i = 0; i < hc->n_log_listen; i++)
        listen_fini(&hc->log_listen[i].at);
    listen_fini(&hc->admin);
    conf_section_destroy(hc->settings);
    if (hc->admin_token != NULL)
        explicit_bzero(hc->admin_token, strlen(hc->admin_token));
    free(hc->admin_token);
    free_list(hc->admin_hosts);
    free_list(hc->plugin_dirs);
    free_list(hc->plugins);
    free(hc->socket_group);
    free(hc->engine);
    *hc = (struct host_conf){.n_listen = 0};
}
