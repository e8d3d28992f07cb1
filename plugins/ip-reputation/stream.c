/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/stream.c - see stream.h. */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define CONNECT_MS 5000L
#define NS_PER_MS INT64_C(1000000)
#define HTTP_OK 200L
#define PATH "/v1/decisions/stream?startup=%s&scopes=ip,range"

struct asking {
    struct body *body;
    int (*cancelled)(void *arg);
    void *arg;
    bool too_big;
};

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct asking *asking = arg;
    struct body *body = asking->body;

    n *= size;
    if (n > STREAM_BYTES_MAX - body->n) {
        asking->too_big = true;
        return 0;
    }
    if (body->room - body->n < n) {
        const size_t room = body->n + n < 65536 ? 65536 : (body->n + n) * 3 / 2;
        char *bigger = realloc(body->bytes, room);

        if (bigger == NULL)
            return 0;
        body->bytes = bigger;
        body->room = room;
    }
    memcpy(body->bytes + body->n, bytes, n);
    body->n += n;
    return n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct asking *asking = arg;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return asking->cancelled != NULL && asking->cancelled(asking->arg) != 0;
}

static struct curl_slist *headers_of(const struct stream *stream)
{
    struct curl_slist *headers = NULL;
    char *line = NULL;

    if (asprintf(&line, "X-Api-Key: %s", stream->key) >= 0) {
        headers = curl_slist_append(NULL, line);
        explicit_bzero(line, strlen(line));
        free(line);
    }
    return headers;
}

static void set_options(CURL *curl, const struct stream *stream, const char *url,
                        struct curl_slist *headers, struct asking *asking, char *error)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "spoe-host-ip-reputation");
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(stream->timeout_ns / NS_PER_MS));
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, asking);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, asking);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    if (stream->ca != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, stream->ca);
        /* libcurl's own folder would be trusted beside it */
        (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}

static int ask(CURL *curl, struct asking *asking, const char *url, const char *error,
               char ret_why[WHY_MAX])
{
    const CURLcode code = curl_easy_perform(curl);
    long status = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        (void)snprintf(ret_why, WHY_MAX, "%.200s: %.200s", url,
                       asking->too_big    ? "the answer is too big"
                       : error[0] != '\0' ? error
                                          : curl_easy_strerror(code));
    else if (status != HTTP_OK)
        (void)snprintf(ret_why, WHY_MAX, "%.200s: status %ld%s", url, status,
                       status == 403 ? ", the key is not taken" : "");
    else
        return 0;
    return -1;
}

int stream_get(const struct stream *stream, bool all, int (*cancelled)(void *arg), void *arg,
               struct body *ret, char ret_why[WHY_MAX])
{
    struct asking asking = {.body = ret, .cancelled = cancelled, .arg = arg};
    struct curl_slist *headers = headers_of(stream);
    CURL *curl = curl_easy_init();
    char error[CURL_ERROR_SIZE] = "";
    char *url = NULL;
    int result = -1;

    *ret = (struct body){.bytes = NULL};
    if (asprintf(&url, "%s" PATH, stream->url, all ? "true" : "false") < 0)
        url = NULL;
    if (curl == NULL || headers == NULL || url == NULL) {
        (void)snprintf(ret_why, WHY_MAX, "out of memory");
    } else {
        set_options(curl, stream, url, headers, &asking, error);
        result = ask(curl, &asking, url, error, ret_why);
    }
    free(url);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return result;
}

void body_fini(struct body *body)
{
    free(body->bytes);
    *body = (struct body){.bytes = NULL};
}

void stream_fini(struct stream *stream)
{
    if (stream->key != NULL)
        explicit_bzero(stream->key, strlen(stream->key));
    free(stream->key);
    free(stream->url);
    free(stream->ca);
}
