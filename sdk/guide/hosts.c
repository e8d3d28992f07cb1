/* SPDX-License-Identifier: Apache-2.0 */
/* Data from disk: whether a request's host is in a file that has a name on each line. The file is
 * read again when it changes, beside the work; with a broken line the names of before stay. */
#include <errno.h>
#include <spoe/ext/reload.h>
#include <spoe/util.h>
#include <stdlib.h>

#define NAMES_MAX 100000 /* what is read has a bound */

struct hosts { /* one instance */
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_reload *reload;
    struct spoe_reload_source *source;
    char path[];
};
typedef char name[256];
struct names { /* what is built of the file; never changes */
    size_t n;
    name *sorted;
};
enum { HOST, PATH = 0 }; /* the slot; the option */

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}
static void release(void *arg, void *state)
{
    struct names *names = state;
    (void)arg;
    free(names->sorted);
    free(names);
}

/* A line into the next place. @return what is wrong with it, or NULL */
static const char *add(struct names *names, const char *line)
{
    const size_t n = strcspn(line, "\r\n");
    if (n == 0)
        return NULL;
    if (n > sizeof(name) - 2) /* as long as the argument is cut: it may be another name */
        return "too long";
    if (names->n == NAMES_MAX)
        return "too many names";
    if ((names->n & (names->n - 1)) == 0) { /* room for twice as many */
        name *more = realloc(names->sorted, sizeof *more * (names->n > 0 ? 2 * names->n : 1));
        if (more == NULL)
            return "no memory";
        names->sorted = more;
    }
    memcpy(names->sorted[names->n], line, n);
    names->sorted[names->n++][n] = '\0';
    return NULL;
}
/* On a thread of the host's own, which may block. */
static spoe_status build(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    struct hosts *me = arg;
    struct names *names = calloc(1, sizeof *names);
    FILE *file = fopen(me->path, "re");
    const char *wrong = file == NULL ? strerror(errno) : names == NULL ? "no memory" : NULL;
    char line[300];
    size_t number = 0;
    (void)source;
    while (wrong == NULL && fgets(line, sizeof line, file) != NULL) {
        number++;
        wrong = add(names, line);
    }
    if (wrong == NULL && ferror(file))
        wrong = "cannot be read";
    if (file != NULL)
        (void)fclose(file);
    if (wrong != NULL) {
        spoe_logf(me->host, me->self, SPOE_LOG_ERR, "%s:%zu: %s", me->path, number, wrong);
        if (names != NULL)
            release(me, names);
        return SPOE_E_INVAL;
    }
    if (names->n > 0)
        qsort(names->sorted, names->n, sizeof(name), compare);
    *ret_state = names;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct hosts *me = wctx;
    const struct names *names = me->reload->get(me->source); /* good until we return */
    const struct spoe_span host = spoe_slot_str(msg, HOST);
    name key = "";
    if (host.n < sizeof key)
        memcpy(key, host.p != NULL ? host.p : "", host.n);
    return spoe_set_bool(me->host, req, SPOE_SCOPE_TXN, "known",
                         names != NULL && names->n > 0 && host.n > 0 &&
                             bsearch(key, names->sorted, names->n, sizeof key, compare) != NULL);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    const struct spoe_span path = spoe_config_str(host, cfg, PATH);
    struct hosts *me = calloc(1, sizeof *me + path.n + 1);
    if (me == NULL)
        return SPOE_E_NOMEM;
    *me = (struct hosts){host, self, host->get_extension(self, SPOE_RELOAD_1), NULL};
    if (path.n > 0)
        memcpy(me->path, path.p, path.n);
    const struct spoe_reload_decl decl = {.size = sizeof decl,
                                          .flags = SPOE_RELOAD_REQUIRED, /* no start without it */
                                          .name = "hosts",
                                          .paths = (const char *const[]){me->path, NULL},
                                          .build = build,
                                          .release = release,
                                          .arg = me};
    const spoe_status status = me->reload->declare(self, &decl, &me->source);
    if (status != SPOE_OK)
        return free(me), status;
    return *ret_inst = me, SPOE_OK;
}

SPOE_PLUGIN(
    "hosts", .version = "1.0", .help = "knows hosts by a file", .needs_minor = 1,
    .messages = SPOE_MESSAGES(SPOE_MESSAGE(
        "host", .event = "on-frontend-http-request", .help = "a request",
        .args = SPOE_ARGS([HOST] = SPOE_ARG(
                              "host", .types = SPOE_ACCEPT_STR,
                              .expression = "req.fhdr(host),field(1,:),lower,bytes(0,255)")))),
    .options = SPOE_OPTIONS([PATH] = SPOE_OPTION("path", .type = SPOE_OPT_PATH,
                                                 .flags = SPOE_OPTION_REQUIRED,
                                                 .help = "a name on each line")),
    .variables = SPOE_VARIABLES(SPOE_VARIABLE(SPOE_SCOPE_TXN, "known", .types = SPOE_ACCEPT_BOOL,
                                              .help = "the file has it")),
    .configure = configure, .handle = handle, .destroy = free);
