/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come later, on the worker's own loop: an HTTP service says whether a request may
 * go on. By libcurl's multi_socket: no thread, no lock. The large one is plugins/auth-request/. */
#include <curl/curl.h>
#include <spoe/ext/loop.h>
#include <spoe/util.h>
#include <stdlib.h>

struct auth { /* one instance */
    const struct spoe_host *host;
    const struct spoe_loop *loop;
    char url[];
};
struct worker { /* of one worker, whose thread alone uses it */
    const struct auth *auth;
    struct spoe_worker *worker;
    CURLM *multi;
    struct spoe_timer *timer;
};
enum { URI, COOKIE, URL = 0 }; /* slots; the option */
_Static_assert(SPOE_LOOP_READ == CURL_POLL_IN && SPOE_LOOP_WRITE == CURL_POLL_OUT, "bits");
/* There is an answer, or nobody waits any more: complete() is due in any case, and once. */
static void end(struct worker *w, struct spoe_request *req, CURL *easy)
{
    w->auth->host->complete(req, SPOE_OK);
    (void)curl_multi_remove_handle(w->multi, easy);
    curl_easy_cleanup(easy);
}
/* libcurl goes on, with a descriptor or because it is time; what has ended then is answered. */
static void on_ready(void *arg, int32_t fd, uint32_t ready)
{
    struct worker *w = arg;
    CURLMsg *msg;
    int n;
    (void)curl_multi_socket_action(w->multi, fd, (int)ready, &n);
    while ((msg = curl_multi_info_read(w->multi, &n)) != NULL) {
        struct spoe_request *req = NULL;
        long status = 0;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&req);
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        (void)spoe_set_bool(w->auth->host, req, SPOE_SCOPE_TXN, "allowed",
                            msg->data.result == CURLE_OK && status >= 200 && status <= 299);
        end(w, req, msg->easy_handle);
    }
}
static void on_due(void *arg)
{
    on_ready(arg, CURL_SOCKET_TIMEOUT, 0);
}
/* What libcurl wants to be woken by: a time, or a descriptor, beside which it keeps our watch. */
static int want_time(CURLM *multi, long ms, void *arg)
{
    const struct worker *w = arg;
    const int64_t at = w->auth->host->now_mono_ns() + ms * 1000000;
    return (void)multi, w->auth->loop->timer_set(w->timer, ms < 0 ? SPOE_TIMER_OFF : at);
}
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_fd)
{
    const struct worker *w = arg;
    struct spoe_watch *watch = of_fd;
    if (what == CURL_POLL_REMOVE)
        return w->auth->loop->watch_free(watch), 0;
    if (watch == NULL && w->auth->loop->watch_new(w->worker, fd, on_ready, arg, &watch) == SPOE_OK)
        (void)curl_multi_assign(w->multi, fd, watch);
    return (void)easy, (void)w->auth->loop->watch_set(watch, (uint32_t)what & 3), 0;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct worker *w = wctx;
    const struct spoe_span uri = spoe_slot_str(msg, URI), cookie = spoe_slot_str(msg, COOKIE);
    char text[2][5000]; /* what is longer is not asked about: cut, it would be another request */
    const int n = snprintf(text[0], 5000, "%s%.*s", w->auth->url, (int)uri.n, uri.p);
    CURL *easy = uri.n > 0 && n < 5000 && cookie.n < 5000 ? curl_easy_init() : NULL;
    /* No, until the service says yes: also where the deadline comes before its answer. */
    (void)spoe_set_bool(w->auth->host, req, SPOE_SCOPE_TXN, "allowed", 0);
    if (easy == NULL)
        return SPOE_OK;
    (void)w->auth->host->request_commit(req);
    (void)w->auth->host->request_set_data(req, easy); /* for cancel() */
    (void)snprintf(text[1], 5000, "%.*s", (int)cookie.n, cookie.p);
    (void)curl_easy_setopt(easy, CURLOPT_URL, text[0]); /* both are copied */
    (void)curl_easy_setopt(easy, CURLOPT_COOKIE, text[1]);
    (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L); /* HEAD: its status is all we want */
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, req);
    (void)curl_multi_add_handle(w->multi, easy);
    return SPOE_PENDING;
}
static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    (void)why; /* the deadline, or an end: what was committed is the answer */
    end(wctx, req, ((struct worker *)wctx)->auth->host->request_data(req));
}

static void worker_stop(void *wctx)
{
    struct worker *w = wctx;
    (void)curl_multi_cleanup(w->multi); /* lets go of every watch */
    w->auth->loop->timer_free(w->timer);
    free(w);
}
static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index, void **ret)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return (void)index, SPOE_E_NOMEM;
    *w = (struct worker){inst, worker, curl_multi_init(), NULL};
    if (w->multi == NULL || w->auth->loop->timer_new(worker, on_due, w, &w->timer) != SPOE_OK)
        return worker_stop(w), SPOE_E_NOMEM;
    (void)curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, want_time);
    (void)curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    (void)curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    (void)curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    return *ret = w, SPOE_OK;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret)
{
    const struct spoe_span url = spoe_config_str(host, cfg, URL);
    struct auth *auth = *ret = calloc(1, sizeof *auth + url.n + 1);
    if (auth == NULL)
        return SPOE_E_NOMEM;
    *auth = (struct auth){.host = host, .loop = host->get_extension(self, SPOE_LOOP_1)};
    memcpy(auth->url, url.n > 0 ? url.p : "", url.n);
    return SPOE_OK;
}

SPOE_PLUGIN("auth", .version = "1.0", .help = "asks an HTTP service", .needs_minor = 1,
            .configure = configure, .worker_start = worker_start, .handle = handle,
            .cancel = cancel, .worker_stop = worker_stop, .destroy = free,
            .messages = SPOE_MESSAGES(SPOE_MESSAGE(
                "auth", .event = "on-frontend-http-request", .help = "a request",
                .args = SPOE_ARGS([URI] = SPOE_ARG("uri", .types = SPOE_ACCEPT_STR,
                                                   .expression = "pathq"),
                                  [COOKIE] = SPOE_ARG("cookie", .types = SPOE_ACCEPT_STR,
                                                      .expression = "req.fhdr(cookie)")))),
            .options = SPOE_OPTIONS([URL] = SPOE_OPTION("url", .type = SPOE_OPT_STRING,
                                                        .flags = SPOE_OPTION_REQUIRED,
                                                        .help = "a path is added")));
