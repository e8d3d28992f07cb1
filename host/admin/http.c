/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/http.c - the admin endpoint: HTTP around pages that others write. */
#include "admin/http.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/log.h"
#include "base/thread.h"
#include "net/sockets.h"

#define COMPONENT "admin"
#define HINT " (option admin, SPOE_ADMIN_ADDR: give each host its own, or off)"
#define ACCEPT_RETRY_S 1 /* after too many open files */
#define ALL_METHODS 0xffff

struct admin {
    const struct admin_page *pages;
    void *arg;
    struct sockets sockets;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listeners[SOCKETS_MAX];
    size_t n_listeners;
    struct event *retry;
    struct event *stop_event;
    int stop_fd;
    pthread_t thread;
    bool has_thread;
    /*
     * The last connections, a reference to each; evhttp itself knows no limit. A connection that
     * has ended keeps its descriptor, shut down, until its place is needed.
     */
    struct bufferevent *conns[ADMIN_CONNS_MAX];
    size_t next_conn;
    struct log_limit accept_limit;
};

/* For on_accept_error(), whose argument is evhttp's own. There is one endpoint in a process. */
static struct admin *the_admin;

/* ---- requests ---------------------------------------------------------------------------- */

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void free_text(const void *data, size_t n, void *text)
{
    (void)data;
    (void)n;
    free(text);
}

/* Send a page of n bytes. @param text  [own] */
static void reply(struct evhttp_request *request, int status, const char *content_type, char *text,
                  size_t n)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    bool has_body = evhttp_request_get_command(request) != EVHTTP_REQ_HEAD;
    struct evbuffer *body = has_body ? evbuffer_new() : NULL;
    char length[32];

    (void)snprintf(length, sizeof length, "%zu", n);
    (void)evhttp_add_header(headers, "Content-Type", content_type);
    (void)evhttp_add_header(headers, "Content-Length", length);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    if (body == NULL || n == 0 || evbuffer_add_reference(body, text, n, free_text, text) != 0)
        free(text);
    evhttp_send_reply(request, status, reason_of(status), body);
    if (body != NULL)
        evbuffer_free(body);
}

/* Have a page written into memory. @return false: out of memory */
static bool render(const struct admin *admin, admin_page_fn *write, int *ret_status,
                   char **ret_text, size_t *ret_n)
{
    FILE *out = open_memstream(ret_text, ret_n);
    bool failed;

    if (out == NULL)
        return false;
    *ret_status = write(admin->arg, out);
    failed = ferror(out) != 0;
    failed |= fclose(out) != 0;
    if (failed)
        free(*ret_text);
    return !failed;
}

/* For requests that name no page: all there are. */
static void reply_index(const struct admin *admin, struct evhttp_request *request)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    for (const struct admin_page *page = admin->pages; out != NULL && page->path != NULL; page++)
        (void)fprintf(out, "%s\n", page->path);
    if (out == NULL || fclose(out) != 0) {
        free(text);
        text = NULL;
        n = 0;
    }
    reply(request, 404, "text/plain; charset=utf-8", text, n);
}

static const struct admin_page *find_page(const struct admin *admin, struct evhttp_request *request)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

    for (const struct admin_page *page = admin->pages; path != NULL && page->path != NULL; page++) {
        if (strcmp(page->path, path) == 0)
            return page;
    }
    return NULL;
}

static void on_request(struct evhttp_request *request, void *arg)
{
    const struct admin *admin = arg;
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    const struct admin_page *page = find_page(admin, request);
    char *text = NULL;
    size_t n = 0;
    int status = 500;

    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
        reply(request, 405, "text/plain; charset=utf-8", NULL, 0);
    } else if (page == NULL) {
        reply_index(admin, request);
    } else if (render(admin, page->write, &status, &text, &n)) {
        reply(request, status, page->content_type, text, n);
    } else {
        reply(request, 500, "text/plain; charset=utf-8", NULL, 0);
    }
}

/* ---- connections ------------------------------------------------------------------------- */

/* Let go of a connection; if it is still open it ends. */
static void forget(struct bufferevent *conn)
{
    int fd = bufferevent_getfd(conn);

    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR); /* evhttp sees the end, and frees it */
    (void)bufferevent_decref(conn);
}

/* A connection was accepted: make what it is read and written by. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct admin *admin = arg;
    struct bufferevent **place = &admin->conns[admin->next_conn];
    /* The descriptor lives as long as our reference: its number cannot be another's. */
    struct bufferevent *conn = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

    if (conn == NULL)
        return NULL; /* evhttp makes one of its own */
    if (*place != NULL)
        forget(*place);
    bufferevent_incref(conn);
    *place = conn;
    admin->next_conn = (admin->next_conn + 1) % ADMIN_CONNS_MAX;
    return conn;
}

static void set_accepting(struct admin *admin, bool on)
{
    for (size_t i = 0; i < admin->n_listeners; i++)
        (void)(on ? evconnlistener_enable(admin->listeners[i])
                  : evconnlistener_disable(admin->listeners[i]));
}

/* Too many open files, in all likelihood: the backlog waits. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    const struct timeval tv = {ACCEPT_RETRY_S, 0};
    struct admin *admin = the_admin;

    (void)listener;
    (void)arg;
    log_limited(&admin->accept_limit, SPOE_LOG_WARNING, COMPONENT, "accept: %s", strerror(errno));
    set_accepting(admin, false);
    (void)evtimer_add(admin->retry, &tv);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    set_accepting(arg, true);
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

/* Give the sockets to evhttp, which owns them from then on. */
static int serve(struct admin *admin)
{
    for (size_t i = 0; i < admin->sockets.n; i++) {
        struct listening_socket *s = &admin->sockets.socket[i];
        struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(admin->http, s->fd);
        struct evconnlistener *listener;

        if (bound == NULL)
            return -1;
        s->fd = -1;
        listener = evhttp_bound_socket_get_listener(bound);
        evconnlistener_set_error_cb(listener, on_accept_error);
        admin->listeners[admin->n_listeners++] = listener;
        log_line(SPOE_LOG_INFO, COMPONENT, "admin on %s", s->name);
        if (s->exposed)
            log_line(SPOE_LOG_WARNING, COMPONENT,
                     "other machines can reach the admin address, which has no authentication: "
                     "whoever connects can read metrics and options");
    }
    return 0;
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
    admin->http = evhttp_new(admin->base);
    admin->retry = evtimer_new(admin->base, on_retry, admin);
    admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->http == NULL || admin->retry == NULL || admin->stop_fd < 0)
        return -1;
    admin->stop_event =
        event_new(admin->base, admin->stop_fd, EV_READ | EV_PERSIST, on_stop, admin->base);
    if (admin->stop_event == NULL || event_add(admin->stop_event, NULL) != 0)
        return -1;
    evhttp_set_max_headers_size(admin->http, ADMIN_HEADERS_MAX);
    evhttp_set_max_body_size(admin->http, ADMIN_BODY_MAX);
    evhttp_set_timeout(admin->http, ADMIN_TIMEOUT_S);
    evhttp_set_allowed_methods(admin->http, ALL_METHODS); /* so that we can say 405 */
    evhttp_set_gencb(admin->http, on_request, admin);
    evhttp_set_bevcb(admin->http, on_connection, admin);
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
    if (admin == NULL)
        goto nomem;
    *admin = (struct admin){
        .pages = pages,
        .arg = arg,
        .sockets = {.conf = conf, .component = COMPONENT, .hint = HINT},
        .stop_fd = -1,
    };
    the_admin = admin;
    if (sockets_open(&admin->sockets, &conf->admin) != 0)
        goto fail;
    if (init_server(admin) != 0 || serve(admin) != 0)
        goto nomem;
    error = pthread_create(&admin->thread, NULL, admin_main, admin);
    if (error != 0) {
        log_line(SPOE_LOG_ERR, COMPONENT, "thread: %s", strerror(error));
        goto fail;
    }
    admin->has_thread = true;
    *ret = admin;
    return 0;
nomem:
    log_line(SPOE_LOG_ERR, COMPONENT, "out of memory");
fail:
    admin_stop(admin);
    return -1;
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
    for (size_t i = 0; i < ADMIN_CONNS_MAX; i++) {
        if (admin->conns[i] != NULL)
            forget(admin->conns[i]);
    }
    if (admin->http != NULL)
        evhttp_free(admin->http);
    if (admin->retry != NULL)
        event_free(admin->retry);
    if (admin->stop_event != NULL)
        event_free(admin->stop_event);
    if (admin->base != NULL)
        event_base_free(admin->base);
    if (admin->stop_fd >= 0)
        (void)close(admin->stop_fd);
    sockets_close(&admin->sockets);
    free(admin);
}
