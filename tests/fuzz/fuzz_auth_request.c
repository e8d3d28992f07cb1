/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What auth-request reads of strangers: a request's headers as HAProxy packs them, an answer's
 * lines, and a list of names. An input is the list to the end of its line, a path to a NUL, as many
 * characters as the headers have bytes to another NUL, the headers, the answer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "auth-request/answer.h"
#include "auth-request/question.h"

static struct question question;

static struct spoe_span cut(struct spoe_span *rest, char at)
{
    const char *end = rest->n > 0 ? memchr(rest->p, at, rest->n) : NULL;
    const struct spoe_span piece = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n};

    rest->p += piece.n + (end != NULL);
    rest->n -= piece.n + (end != NULL);
    return piece;
}

/* Whatever was asked: n_lines lines, none of which has what ends a line. */
static void check_question(const struct question *q)
{
    unsigned lines = 0;

    for (size_t i = 0; i < q->n; i++) {
        assert(q->text[i] != '\r' && q->text[i] != '\n');
        lines += q->text[i] == '\0';
    }
    assert(lines == q->n_lines && (q->n == 0 || q->text[q->n - 1] == '\0'));
}

static void ask(struct auth_conf *conf, struct spoe_span path, struct spoe_span headers)
{
    struct spoe_value slots[ARG_COUNT] = {{0}};
    const struct spoe_message msg = {.size = sizeof msg, .n_slots = ARG_COUNT, .slot = slots};

    slots[ARG_METHOD] = spoe_value_str(spoe_str("GET"));
    slots[ARG_URI] = spoe_value_str(path);
    slots[ARG_SSL] = spoe_value_bool(1);
    slots[ARG_HDRS] = spoe_value_str(headers);
    conf->send = SEND_METHOD | SEND_PATH | SEND_HOST | SEND_PROTO | SEND_CLIENT;
    if (question_make(&question, conf, &msg) == 0)
        check_question(&question);
}

static void read_answer(const struct names *names, struct spoe_span lines)
{
    struct answer_reader reader = {0};
    struct answer answer;
    struct spoe_span value;
    size_t at = 0, n = 0;
    uint8_t place;

    answer_begin(&reader, names);
    while (lines.n > 0) {
        const struct spoe_span line = cut(&lines, '\n');

        answer_take_line(&reader, line.p, line.n);
    }
    assert(reader.n <= ANSWER_HEADERS_MAX && reader.n <= reader.size);
    assert(!reader.ended || reader.status >= 200);
    assert(answer_ttl(&reader, 1000) >= 0 && answer_ttl(&reader, 1000) <= 1000);
    answer = (struct answer){.n = (uint32_t)reader.n, .bytes = reader.bytes};
    while (answer_next(&answer, &at, &place, &value)) {
        assert(place < names->n && ++n <= names->n);
        assert(value.n == 0 || memchr(value.p, '\r', value.n) == NULL);
    }
    answer_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spoe_span rest = {size > 0 ? (const char *)data : "", size};
    const struct spoe_span list = cut(&rest, '\n'), path = cut(&rest, '\0');
    const struct spoe_span length = cut(&rest, '\0');
    struct auth_conf conf = {0};
    struct spoe_span headers = {rest.p, 0};
    char why[160];

    headers.n = length.n < rest.n ? length.n : rest.n;
    rest.p += headers.n;
    rest.n -= headers.n;
    if (names_parse(&conf.to_service, list, why, sizeof why) != 0)
        return 0;
    ask(&conf, path, headers);
    read_answer(&conf.to_service, rest);
    names_fini(&conf.to_service);
    return 0;
}
