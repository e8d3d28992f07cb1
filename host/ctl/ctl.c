/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/ctl.c - see ctl.h: the command line, where the host is, and the commands but status. */
#include "ctl/ctl.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "conf/admin_token.h"
#include "conf/conf.h"
#include "conf/host_conf.h"
#include "conf/listen.h"
#include "ctl/shown.h"
#include "ctl/words.h"
#include "json/json_input.h"

#define NOT_OURS "its answer is none of the admin endpoint"
#define REFUSAL_MAX 1000 /* bytes of what a host says */
#define RETRY_MIN_S 1    /* where it says 0 */

/* What was asked for. */
struct ask {
    const char
        *option[N_CTL_OPTIONS]; /* what was said behind it; --json: itself; NULL: not given */
    enum ctl_command command;
    char **words; /* behind it */
    int n_words;
};

/* What a client points to. */
struct place {
    struct client client;
    struct host_listen listen;
    char *token;
};

static int complain(const char *text)
{
    (void)fprintf(stderr, "spoe-host ctl: %s\n", text);
    return CTL_REFUSED;
}

/* ---- the command line --------------------------------------------------------------------- */

/* @return N_CTL_OPTIONS: there is none, in *ret_value what is said with it behind a = */
static size_t find_option(const char *said, const char **ret_value)
{
    const char letter = said[1];
    const char *name = letter == '-' ? said + 2 : said + 1;
    const size_t n = strcspn(name, "=");
    size_t i = 0;

    *ret_value = name[n] == '=' ? name + n + 1 : NULL;
    for (; i < N_CTL_OPTIONS; i++) {
        const struct ctl_word *word = &ctl_options[i];

        if (letter != '-' ? n == 1 && letter == word->letter
                          : strlen(word->name) == n && memcmp(name, word->name, n) == 0)
            break;
    }
    return i;
}

/* @return 0; -1, said */
static int read_option(struct ask *ask, int *at, char **argv)
{
    const char *value;
    const size_t i = find_option(argv[*at], &value);

    if (i == N_CTL_OPTIONS || (value != NULL && ctl_options[i].value[0] == '\0'))
        return -complain("there is no such option: see spoe-host ctl --help");
    if (ctl_options[i].value[0] == '\0')
        value = argv[*at];
    else if (value == NULL)
        value = argv[++*at];
    if (value == NULL || value[0] == '\0')
        return -complain("an option needs a value");
    ask->option[i] = value;
    return 0;
}

/* @return 0; -1, said */
static int read_line(struct ask *ask, int argc, char **argv)
{
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (read_option(ask, &at, argv) != 0)
            return -1;
    }
    if (at >= argc)
        return -complain("no command: see spoe-host ctl --help");
    if (ask->option[CTL_SOCKET] != NULL && ask->option[CTL_URL] != NULL)
        return -complain("--socket and --url are two places");
    while (ask->command < N_CTL_COMMANDS && strcmp(argv[at], ctl_commands[ask->command].name) != 0)
        ask->command++;
    ask->words = argv + at + 1;
    ask->n_words = argc - at - 1;
    /* Behind the command, too: "ctl status --json". */
    if (ask->n_words > 0 && strcmp(ask->words[ask->n_words - 1], "--json") == 0)
        ask->option[CTL_JSON] = ask->words[--ask->n_words];
    return 0;
}

/* ---- where the host is -------------------------------------------------------------------- */

/* An address as in the option admin. @return 0; -1, said */
static int take_address(struct place *place, const char *text)
{
    struct error error = {{0}};

    if (listen_parse(text, &place->listen, &error) != 0) {
        (void)fprintf(stderr, "spoe-host ctl: \"%.200s\": %s\n", text, error.text);
        return -1;
    }
    if (place->listen.fd_name != NULL) {
        (void)fprintf(stderr,
                      "spoe-host ctl: \"%.200s\" is a socket that the service manager has opened: "
                      "say where, --socket or --url\n",
                      text);
        return -1;
    }
    place->client.path = place->listen.path;
    place->client.port = place->listen.port;
    place->client.host = place->listen.host;
    if (place->client.host == NULL || strcmp(place->client.host, "0.0.0.0") == 0 ||
        strcmp(place->client.host, "::") == 0)
        place->client.host = "localhost";
    return 0;
}

static int take_url(struct place *place, const char *url)
{
    static const char scheme[] = "http://";
    char address[300];
    const char *host = url + sizeof scheme - 1;
    const size_t n = strncmp(url, scheme, sizeof scheme - 1) == 0 ? strcspn(host, "/") : 0;

    if (n == 0 || n >= sizeof address || (host[n] != '\0' && host[n + 1] != '\0')) {
        (void)complain("--url is http://HOST:PORT");
        return -1;
    }
    (void)snprintf(address, sizeof address, "%.*s", (int)n, host);
    return take_address(place, address);
}

/* The value of one of the host's options; NULL: nobody has set it. */
static const char *option_text(const struct conf_section *section, const char *key)
{
    for (size_t i = 0; host_options[i] != NULL; i++) {
        if (strcmp(host_options[i]->key, key) == 0 && conf_setting(section, i)->raw.n > 0)
            return conf_setting(section, i)->raw.p;
    }
    return NULL;
}

/* @return 0; -1, said */
static int take_token(struct place *place, const char *where, bool must)
{
    struct error error;

    if (where == NULL || admin_token_read(where, &place->token, &error) >= 0) {
        place->client.token = place->token;
        return 0;
    }
    if (must || place->client.path == NULL)
        (void)fprintf(stderr, "spoe-host ctl: no token: %s\n", error.text);
    return must ? -1 : 0; /* status needs none, and a unix socket neither */
}

/* By the command line, else by what the host itself goes by. @return 0; -1, said */
static int find_place(struct place *place, const struct ask *ask)
{
    struct conf *conf = conf_create();
    struct conf_section *section = NULL;
    const char *address, *token;
    int result = -1;

    if (conf == NULL) {
        (void)complain("out of memory");
        goto out;
    }
    if (ask->option[CTL_FILE] != NULL)
        conf_add_file(conf, ask->option[CTL_FILE]);
    else
        conf_add_file_if_there(conf, HOST_CONF_FILE);
    if (ask->option[CTL_FILE] != NULL && conf_error_count(conf) > 0) {
        (void)fprintf(stderr, "spoe-host ctl: %s\n", conf_error_text(conf, 0));
        goto out;
    }
    section = conf_resolve(conf, "host", host_options);
    if (section == NULL) {
        (void)complain("out of memory");
        goto out;
    }
    address = option_text(section, "admin");
    token = option_text(section, "admin-token-file");
    if (ask->option[CTL_SOCKET] != NULL) {
        place->client.path = ask->option[CTL_SOCKET];
        result = 0;
    } else if (ask->option[CTL_URL] != NULL) {
        result = take_url(place, ask->option[CTL_URL]);
    } else if (address == NULL || strcmp(address, "off") == 0) {
        (void)complain("the admin endpoint is off: option admin");
    } else {
        result = take_address(place, address);
    }
    if (result == 0)
        result = take_token(
            place, ask->option[CTL_TOKEN_FILE] != NULL ? ask->option[CTL_TOKEN_FILE] : token,
            ask->option[CTL_TOKEN_FILE] != NULL);
out:
    conf_section_destroy(section);
    conf_destroy(conf);
    return result;
}

static void leave_place(struct place *place)
{
    if (place->token != NULL)
        explicit_bzero(place->token, strlen(place->token));
    free(place->token);
    listen_fini(&place->listen);
}

/* ---- commands ----------------------------------------------------------------------------- */

/* Nobody is there, or somebody else. @return CTL_UNREACHED */
static int complain_of(const struct client *client, const char *target, const char *text)
{
    char shown[REFUSAL_MAX];

    (void)fprintf(stderr, "spoe-host ctl: %s%s%s%s%s: %s\n",
                  client->path != NULL ? "unix:" : client->host, client->path != NULL ? "" : ":",
                  client->path != NULL ? client->path : client->port,
                  client->path != NULL ? ": " : "", target,
                  shown_text((struct spoe_span){text, strlen(text)}, shown, sizeof shown));
    return CTL_UNREACHED;
}

/* Whether to ask again: then it is time to. */
static bool wait_for_host(const struct client_answer *answer, int64_t end_ns)
{
    const int64_t left_ns = end_ns - clock_mono_ns();
    const int64_t wait_s = answer->retry_after_s > 0 ? answer->retry_after_s : RETRY_MIN_S;

    if (answer->status != 503 || answer->retry_after_s < 0 || wait_s >= left_ns / NS_PER_S)
        return false;
    (void)poll(NULL, 0, (int)wait_s * 1000);
    return true;
}

int ctl_ask(const struct client *client, const char *target, const char *body,
            struct client_answer *ret)
{
    const int64_t end_ns = clock_mono_ns() + CTL_TIMEOUT_NS;
    struct error error;
    char shown[REFUSAL_MAX];

    for (;;) {
        if (client_ask(client, target, body, end_ns, ret, &error) != 0)
            return complain_of(client, target, error.text);
        if (!wait_for_host(ret, end_ns))
            break;
        client_answer_fini(ret);
    }
    if (ret->status == 200)
        return CTL_OK;
    if (ret->status < 400) { /* the admin endpoint says no such thing */
        client_answer_fini(ret);
        return complain_of(client, target, NOT_OURS);
    }
    (void)fprintf(stderr, "spoe-host ctl: refused, %d: %s\n", ret->status,
                  shown_text((struct spoe_span){ret->text, ret->n}, shown, sizeof shown));
    client_answer_fini(ret);
    return CTL_REFUSED;
}

int ctl_ask_json(const struct client *client, const char *target, const char *body, json_t **ret)
{
    struct client_answer answer;
    struct error error;
    int result = ctl_ask(client, target, body, &answer);

    if (result != CTL_OK)
        return result;
    *ret =
        json_input_parse((struct spoe_span){answer.text, answer.n}, CLIENT_ANSWER_MAX, 0, &error);
    if (*ret != NULL && !json_is_object(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        (void)error_set(&error, NOT_OURS);
    }
    if (*ret == NULL)
        result = complain_of(client, target, error.text);
    client_answer_fini(&answer);
    return result;
}

static int print_page(const struct client *client, const char *target)
{
    struct client_answer answer;
    int result = ctl_ask(client, target, NULL, &answer);

    if (result == CTL_OK) {
        (void)fwrite(answer.text, 1, answer.n, stdout);
        client_answer_fini(&answer);
    }
    return result;
}

/* {"ID.KEY": "VALUE", ...} @return [give: free()] NULL: out of memory */
static char *write_body(const struct ask *ask)
{
    char *body = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&body, &n);

    if (out == NULL)
        return NULL;
    for (int i = 0; i < ask->n_words; i++) {
        (void)fputs(i == 0 ? "{" : i % 2 == 0 ? ", " : ": ", out);
        text_put_json(out, (struct spoe_span){ask->words[i], strlen(ask->words[i])});
    }
    (void)fputs("}", out);
    if (fclose(out) == 0)
        return body;
    free(body);
    return NULL;
}

static int set(const struct client *client, const struct ask *ask)
{
    struct client_answer answer;
    char *body;
    int result;

    body = write_body(ask);
    if (body == NULL)
        return complain("out of memory");
    result = ctl_ask(client, "/control", body, &answer);
    free(body);
    if (result != CTL_OK)
        return result;
    if (ask->option[CTL_JSON] != NULL)
        (void)fwrite(answer.text, 1, answer.n, stdout);
    else
        (void)puts("changed, until the configuration is read again");
    client_answer_fini(&answer);
    return CTL_OK;
}

/* @return 0; -1, said */
static int check_command(const struct ask *ask)
{
    if (ask->command == N_CTL_COMMANDS)
        return -complain("there is no such command: see spoe-host ctl --help");
    if (ask->command == CTL_SET)
        return ask->n_words > 0 && ask->n_words % 2 == 0
                   ? 0
                   : -complain("set ID.KEY VALUE [ID.KEY VALUE ...]");
    return ask->n_words == 0 ? 0 : -complain("the command takes nothing behind it");
}

static int run(const struct client *client, const struct ask *ask)
{
    switch (ask->command) {
    case CTL_SET:
        return set(client, ask);
    case CTL_TRACE:
        return ctl_trace(client);
    default:
        return ask->option[CTL_JSON] != NULL ? print_page(client, "/status") : ctl_status(client);
    }
}

int ctl_main(int argc, char **argv)
{
    struct ask ask = {.command = 0};
    struct place place = {.client = {.path = NULL}};
    int result = CTL_REFUSED;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        ctl_help(stdout);
        return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
    }
    if (read_line(&ask, argc, argv) == 0 && check_command(&ask) == 0 &&
        find_place(&place, &ask) == 0)
        result = run(&place.client, &ask);
    leave_place(&place);
    if (fflush(stdout) != 0 && result == CTL_OK)
        result = complain("standard output cannot be written to");
    return result;
}
