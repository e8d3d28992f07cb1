/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the types of ABI 1.1, each answered as it was understood; the key can be changed. */
#include <pthread.h>
#include <stdlib.h>

#include <spoe/options.h>
#include <spoe/util.h>

enum { ADDRESS };                              /* slots */
enum { NETWORKS, HOME, ENDPOINT, FILES, KEY }; /* options */

#define NETWORKS_MAX 8u
#define TEXT_MAX 256u

struct typed {
    const struct spoe_host *host;
    struct spoe_prefix networks[NETWORKS_MAX];
    uint32_t n_networks, n_files;
    struct spoe_value home;
    char endpoint[TEXT_MAX];
    pthread_mutex_t lock; /* of the key */
    char key[TEXT_MAX];
};

static void copy(char to[TEXT_MAX], struct spoe_span text)
{
    const size_t n = text.n < TEXT_MAX ? text.n : TEXT_MAX - 1;

    if (n > 0)
        memcpy(to, text.p, n);
    to[n] = '\0';
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct spoe_span rest = spoe_config_str(host, cfg, NETWORKS), item;
    struct typed *t = calloc(1, sizeof *t);
    struct spoe_url url;

    (void)self;
    if (t == NULL)
        return SPOE_E_NOMEM;
    t->host = host;
    while (t->n_networks < NETWORKS_MAX && spoe_list_next(&rest, &item))
        t->n_networks += spoe_prefix_parse(item, &t->networks[t->n_networks]) == 1;
    rest = spoe_config_str(host, cfg, FILES);
    while (spoe_list_next(&rest, &item))
        t->n_files++;
    t->home = host->config_get(cfg, HOME)->value;
    if (spoe_url_split(spoe_config_str(host, cfg, ENDPOINT), &url))
        copy(t->endpoint, url.host);
    copy(t->key, spoe_config_str(host, cfg, KEY));
    (void)pthread_mutex_init(&t->lock, NULL);
    *ret_inst = t;
    return SPOE_OK;
}

static spoe_status reconfigure(void *inst, struct spoe_config *cfg)
{
    struct typed *t = inst;

    (void)pthread_mutex_lock(&t->lock);
    copy(t->key, spoe_config_str(t->host, cfg, KEY));
    (void)pthread_mutex_unlock(&t->lock);
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct typed *t = wctx;
    const struct spoe_value address = spoe_slot(msg, ADDRESS);
    int inside = 0;

    for (uint32_t i = 0; i < t->n_networks && !inside; i++)
        inside = spoe_prefix_has(&t->networks[i], &address);
    (void)spoe_set_bool(t->host, req, SPOE_SCOPE_TXN, "inside", inside);
    (void)spoe_set_int(t->host, req, SPOE_SCOPE_TXN, "files", t->n_files);
    (void)spoe_set_str(t->host, req, SPOE_SCOPE_TXN, "endpoint", spoe_str(t->endpoint));
    (void)t->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("home"), &t->home);
    (void)pthread_mutex_lock(&t->lock);
    (void)spoe_set_str(t->host, req, SPOE_SCOPE_TXN, "key", spoe_str(t->key));
    (void)pthread_mutex_unlock(&t->lock);
    return SPOE_OK;
}

SPOE_PLUGIN("typed", .version = "1.0", .help = "options of ABI 1.1", .needs_minor = 1,
            .messages = SPOE_MESSAGES(SPOE_MESSAGE(
                "typed", .event = "on-frontend-http-request", .help = "asks",
                .args = SPOE_ARGS([ADDRESS] = SPOE_ARG("address", .types = SPOE_ACCEPT_IP,
                                                       .expression = "src", .help = "who")))),
            .options = SPOE_OPTIONS([NETWORKS] = SPOE_OPTION("networks", .type = SPOE_OPT_PREFIX,
                                                             .flags = SPOE_OPTION_LIST,
                                                             .default_text = "10.0.0.0/8"),
                                    [HOME] = SPOE_OPTION("home", .type = SPOE_OPT_ADDRESS,
                                                         .default_text = "::1"),
                                    [ENDPOINT] = SPOE_OPTION("endpoint", .type = SPOE_OPT_URL),
                                    [FILES] = SPOE_OPTION("files", .type = SPOE_OPT_PATH,
                                                          .flags = SPOE_OPTION_LIST),
                                    [KEY] = SPOE_OPTION("key", .type = SPOE_OPT_SECRET,
                                                        .flags = SPOE_OPTION_RELOADABLE)),
            .configure = configure, .reconfigure = reconfigure, .handle = handle, .destroy = free);
