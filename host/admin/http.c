/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/http.c - the admin endpoint: its thread, its sockets, pages that others write. */
#include "admin/http.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "admin/http_accept.h"
#include "admin/http_conn.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/sockets.h"

#define COMPONENT "admin"
#define HINT " (option admin, SPOE_ADMIN_ADDR: give each host its own, or off)"
#define ACCEPT_RETRY_S 1    /* after too many open files */
#define PATH_LOGGED_MAX 200 /* bytes of a path in a line */
#define PLAIN_TEXT "text/plain; charset=utf-8"
#define RETRY_AFTER "Retry-After: 1\r\n" /* seconds */

struct admin {
    const struct admin_page *pages;
    void *arg;
    pthread_mutex_t lock; /* of the token */
    char *token;          /* NULL: there is none */
    const char *const *hosts;
    struct log_limit refused_limit;
    struct sockets sockets;
    struct event_base *base;
    struct http_conns conns;
    struct event *listeners[SOCKETS_MAX];
    size_t n_listeners;
    struct event *retry;
    struct event *stop_event;
    int stop_fd;
    pthread_t thread;
    bool has_thread;
    struct log_limit accept_limit;
};

/* ---- pages ------------------------------------------------------------------------------- */

/* What of a page is written. */
enum part { PART_PAGE, PART_POST, PART_LATER };

static int write_part(const struct admin_page *page, void *arg, enum part part,
                      const struct admin_post *post, FILE *out)
{
    switch (part) {
    case PART_POST:
        return page->post(arg, post, out);
    case PART_LATER:
        return page->later(arg, out);
    default:
        return page->write(arg, out);
    }
}

/* Have a page, or what a POST to it says, written into memory. Out of memory the answer stays
 * without a text, status 500. */
static void render(const struct admin_page *page, void *arg, enum part part,
                   const struct admin_post *post, struct http_answer *answer)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    bool failed;
    int status;

    if (out == NULL) {
        if (part == PART_LATER)
            (void)page->later(arg, NULL);
        return;
    }
    status = write_part(page, arg, part, post, out);
    failed = ferror(out) != 0;
    failed |= fclose(out) != 0;
    if (status == ADMIN_LATER)
        answer->later = page;
    answer->again = status == ADMIN_AGAIN;
    if (failed || status == ADMIN_LATER || status == ADMIN_AGAIN) {
        free(text);
        return;
    }
    answer->headers = status == ADMIN_BUSY ? RETRY_AFTER : page->headers;
    status = status == ADMIN_BUSY ? 503 : status;
    answer->status = status;
    answer->content_type = part == PART_PAGE || status < 400 ? page->content_type : PLAIN_TEXT;
    answer->text = text;
    answer->n = n;
}

static void answer_later(void *arg, const void *later, struct http_answer *ret)
{
    const struct admin *admin = arg;
    const struct admin_page *page = later;

    if (ret != NULL)
        render(page, admin->arg, PART_LATER, NULL, ret);
    else
        (void)page->later(admin->arg, NULL);
}

/* For requests that name no page: all there are. */
static int write_index(void *arg, FILE *out)
{
    const struct admin *admin = arg;

    for (const struct admin_page *page = admin->pages; page->path != NULL; page++) {
        if (page == admin->pages || strcmp(page[-1].path, page->path) != 0)
            (void)fprintf(out, "%s\n", page->path);
    }
    return 404;
}

static bool is_path(const struct admin_page *page, const struct http_request *request)
{
    return strlen(page->path) == request->path.n &&
           memcmp(page->path, request->path.p, request->path.n) == 0;
}

/* The page that is asked for: of several the one that Accept likes best, else the first. */
static const struct admin_page *find_page(const struct admin *admin,
                                          const struct http_request *request)
{
    const struct admin_page *found = NULL;
    unsigned best = 0;

    for (const struct admin_page *page = admin->pages; page->path != NULL; page++) {
        unsigned quality;

        if (!is_path(page, request) || (request->method == HTTP_POST && page->post == NULL))
            continue;
        quality =
            page->media_type != NULL ? http_accept_quality(request->accept, page->media_type) : 0;
        if (found == NULL || quality > best) {
            found = page;
            best = quality;
        }
    }
    return found;
}

/* Who may have what there is at a path; where nothing is, who may be told so. */
static struct access_page access_of(const struct admin *admin, const struct http_request *request)
{
    struct access_page ret = {.can_get = false};

    for (const struct admin_page *page = admin->pages; page->path != NULL; page++) {
        if (!is_path(page, request))
            continue;
        ret.can_get = true;
        ret.get = page->access;
        if (page->post != NULL && !ret.can_post) {
            ret.can_post = true;
            ret.post = page->post_access;
        }
    }
    ret.can_get |= !ret.can_post;
    return ret;
}

static struct access_answer decide(struct admin *admin, const struct http_peer *peer,
                                   const struct http_request *request)
{
    const struct access_page page = access_of(admin, request);
    struct access_rules rules = {.hosts = admin->hosts};
    struct access_answer answer;

    (void)pthread_mutex_lock(&admin->lock);
    if (admin->token != NULL)
        rules.token = (struct spoe_span){admin->token, strlen(admin->token)};
    answer = access_decide(&rules, peer->from, request, &page);
    (void)pthread_mutex_unlock(&admin->lock);
    if (answer.status == 401 || answer.status == 403 || answer.status == 421)
        log_limited(&admin->refused_limit, SPOE_LOG_NOTICE, COMPONENT,
                    "refused %s a request for %.*s: %d, %s", peer->name,
                    request->path.n < PATH_LOGGED_MAX ? (int)request->path.n : PATH_LOGGED_MAX,
                    request->path.p, answer.status, answer.text);
    return answer;
}

/* A status with a line that says why. */
static void refuse(struct http_answer *ret, int status, const char *text, const char *headers)
{
    const int n = asprintf(&ret->text, "%s\n", text);

    ret->status = status;
    ret->headers = headers;
    ret->n = n > 0 ? (size_t)n : 0;
    if (n < 0)
        ret->text = NULL;
}

static void answer_request(void *arg, const struct http_peer *peer,
                           const struct http_request *request, struct http_answer *ret)
{
    struct admin *admin = arg;
    const struct admin_page index = {.content_type = PLAIN_TEXT, .write = write_index};
    const struct admin_post post = {
        .body = request->body, .who = peer->name, .waited_ns = request->waited_ns};
    const struct access_answer access = decide(admin, peer, request);
    const struct admin_page *page;

    if (access.status != 200) {
        refuse(ret, access.status, access.text, access.headers);
        return;
    }
    if (request->method == HTTP_POST && !request->has_length) {
        refuse(ret, 411, "a POST has Content-Length", NULL);
        return;
    }
    page = find_page(admin, request);
    if (page != NULL)
        render(page, admin->arg, request->method == HTTP_POST ? PART_POST : PART_PAGE, &post, ret);
    else
        render(&index, admin, PART_PAGE, NULL, ret);
}

/* ---- sockets ----------------------------------------------------------------------------- */

static void set_accepting(struct admin *admin, bool on)
{
    for (size_t i = 0; i < admin->n_listeners; i++)
        (void)(on ? event_add(admin->listeners[i], NULL) : event_del(admin->listeners[i]));
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    set_accepting(arg, true);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    const struct timeval tv = {ACCEPT_RETRY_S, 0};
    struct admin *admin = arg;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (fd >= 0) {
        http_conn_create(&admin->conns, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        /* The backlog waits. */
        log_limited(&admin->accept_limit, SPOE_LOG_WARNING, COMPONENT, "accept: %s",
                    strerror(errno));
        set_accepting(admin, false);
        (void)evtimer_add(admin->retry, &tv);
    } /* else a connection that was gone again */
}

static int serve(struct admin *admin)
{
    for (size_t i = 0; i < admin->sockets.n; i++) {
        const struct listening_socket *s = &admin->sockets.socket[i];
        struct event *event = event_new(admin->base, s->fd, EV_READ | EV_PERSIST, on_accept, admin);

        if (event == NULL)
            return -1;
        admin->listeners[admin->n_listeners++] = event;
        if (event_add(event, NULL) != 0)
            return -1;
        log_line(SPOE_LOG_INFO, COMPONENT, "admin on %s", s->name);
        if (s->exposed)
            log_line(SPOE_LOG_WARNING, COMPONENT,
                     "other machines can reach the admin address: whoever connects can read "
                     "metrics and options");
        if (s->open_to_all)
            log_line(SPOE_LOG_WARNING, COMPONENT,
                     "every user of this machine can open the admin socket, see requests and "
                     "change options: give it a path, and SocketMode=0660 in its .socket unit");
    }
    return 0;
}

/* ---- life -------------------------------------------------------------------------------- */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)event_base_loopbreak(arg);
}

static void *admin_main(void *arg)
{
    struct admin *admin = arg;

    (void)pthread_setname_np(pthread_self(), "admin");
    thread_begin("admin");
    if (event_base_dispatch(admin->base) < 0)
        log_line(SPOE_LOG_ERR, COMPONENT, "event loop failed");
    thread_end();
    return NULL;
}

static int init_server(struct admin *admin)
{
    struct event_config *config = event_config_new();

    if (config == NULL)
        return -1;
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    admin->base = event_base_new_with_config(config);
    event_config_free(config);
    if (admin->base == NULL)
        return -1;
    admin->conns.base = admin->base;
    admin->retry = evtimer_new(admin->base, on_retry, admin);
    admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->retry == NULL || admin->stop_fd < 0)
        return -1;
    admin->stop_event =
        event_new(admin->base, admin->stop_fd, EV_READ | EV_PERSIST, on_stop, admin->base);
    if (admin->stop_event == NULL || event_add(admin->stop_event, NULL) != 0)
        return -1;
    return 0;
}

int admin_start(const struct host_conf *conf, const struct admin_page *pages, void *arg,
                struct admin **ret)
{
    struct admin *admin;
    int error;

    *ret = NULL;
    if (!conf->has_admin)
        return 0;
    admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        log_line(SPOE_LOG_ERR, COMPONENT, "out of memory");
        return -1;
    }
    admin->pages = pages;
    admin->arg = arg;
    admin->hosts = (const char *const *)(void *)conf->admin_hosts;
    (void)pthread_mutex_init(&admin->lock, NULL); /* cannot fail without attributes */
    admin->sockets = (struct sockets){.conf = conf, .component = COMPONENT, .hint = HINT};
    admin->stop_fd = -1;
    admin->conns =
        (struct http_conns){.answer = answer_request, .later = answer_later, .arg = admin};
    TAILQ_INIT(&admin->conns.list);
    if (admin_set_token(admin, conf->admin_token) != 0) {
        log_line(SPOE_LOG_ERR, COMPONENT, "out of memory");
        goto fail;
    }
    if (sockets_open(&admin->sockets, &conf->admin) != 0)
        goto fail;
    if (init_server(admin) != 0 || serve(admin) != 0) {
        log_line(SPOE_LOG_ERR, COMPONENT, "event loop: %s", strerror(errno));
        goto fail;
    }
    error = pthread_create(&admin->thread, NULL, admin_main, admin);
    if (error != 0) {
        log_line(SPOE_LOG_ERR, COMPONENT, "thread: %s", strerror(error));
        goto fail;
    }
    admin->has_thread = true;
    *ret = admin;
    return 0;
fail:
    admin_stop(admin);
    return -1;
}

static void free_token(char *token)
{
    if (token != NULL)
        explicit_bzero(token, strlen(token));
    free(token);
}

int admin_set_token(struct admin *admin, const char *token)
{
    char *copy = token != NULL ? strdup(token) : NULL, *before;

    if (token != NULL && copy == NULL)
        return -1;
    (void)pthread_mutex_lock(&admin->lock);
    before = admin->token;
    admin->token = copy;
    (void)pthread_mutex_unlock(&admin->lock);
    free_token(before);
    return 0;
}

void admin_stop(struct admin *admin)
{
    const uint64_t one = 1;

    if (admin == NULL)
        return;
    if (admin->has_thread) {
        (void)!write(admin->stop_fd, &one, sizeof one);
        (void)pthread_join(admin->thread, NULL);
    }
    http_conns_close(&admin->conns);
    for (size_t i = 0; i < admin->n_listeners; i++)
        event_free(admin->listeners[i]);
    if (admin->retry != NULL)
        event_free(admin->retry);
    if (admin->stop_event != NULL)
        event_free(admin->stop_event);
    if (admin->base != NULL)
        event_base_free(admin->base);
    if (admin->stop_fd >= 0)
        (void)close(admin->stop_fd);
    sockets_close(&admin->sockets);
    free_token(admin->token);
    (void)pthread_mutex_destroy(&admin->lock);
    free(admin);
}
