/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/decisions.c - see decisions.h; a reader of just enough JSON (RFC 8259), and
 * not Jansson as in the host: its tree of 100 000 decisions, a body of 13 MiB, takes 126 MiB, where
 * 128 MiB are the most for a reload of a million prefixes.
 */
#include "decisions.h"

#include <stdlib.h>
#include <string.h>

#include "list_line.h"

#define DEPTH_MAX 32u
#define TEXT_MAX 128u /* of a text that is looked at; a longer one is no address, scope or type */

struct json {
    const char *at, *end;
    const char *why; /* [const] NULL: nothing is wrong */
};

static bool wrong(struct json *json, const char *why)
{
    if (json->why == NULL)
        json->why = why;
    return false;
}

static void skip_blanks(struct json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r'))
        json->at++;
}

/* Take a character, if it is the next one. */
static bool take(struct json *json, char c)
{
    skip_blanks(json);
    if (json->at == json->end || *json->at != c)
        return false;
    json->at++;
    return true;
}

/* A text; escapes stay as they are, since nothing that is looked at has any. */
static bool take_text(struct json *json, char ret[TEXT_MAX])
{
    size_t n = 0;

    if (!take(json, '"'))
        return wrong(json, "no text where one has to be");
    for (; json->at < json->end && *json->at != '"'; json->at++) {
        if (*json->at == '\\' && json->end - json->at > 1) {
            if (n < TEXT_MAX - 1)
                ret[n++] = '\\';
            json->at++;
        }
        if (n < TEXT_MAX - 1)
            ret[n++] = *json->at;
    }
    ret[n] = '\0';
    if (json->at == json->end)
        return wrong(json, "ends within a text");
    json->at++;
    return true;
}

static bool skip_word(struct json *json)
{
    const char *begin = json->at;

    while (json->at < json->end && (*json->at == '-' || *json->at == '+' || *json->at == '.' ||
                                    (*json->at >= '0' && *json->at <= '9') ||
                                    (*json->at >= 'a' && *json->at <= 'z') || *json->at == 'E'))
        json->at++;
    return json->at != begin || wrong(json, "no value where one has to be");
}

/* Any value; of brackets only how many are open is looked at. */
static bool skip_value(struct json *json)
{
    char text[TEXT_MAX];
    unsigned depth = 0;

    do {
        skip_blanks(json);
        if (json->at == json->end)
            return wrong(json, "ends within a value");
        if (*json->at == '"') {
            if (!take_text(json, text))
                return false;
        } else if (*json->at == '{' || *json->at == '[') {
            if (++depth > DEPTH_MAX)
                return wrong(json, "too deep");
            json->at++;
        } else if (*json->at == '}' || *json->at == ']') {
            if (depth == 0)
                return wrong(json, "no value where one has to be");
            depth--;
            json->at++;
        } else if (depth != 0 && (*json->at == ',' || *json->at == ':')) {
            json->at++;
        } else if (!skip_word(json)) {
            return false;
        }
    } while (depth != 0);
    return true;
}

static bool is_null(struct json *json)
{
    skip_blanks(json);
    if (json->end - json->at < 4 || memcmp(json->at, "null", 4) != 0)
        return false;
    json->at += 4;
    return true;
}

/* ---- decisions ----------------------------------------------------------------------------- */

struct decision {
    char scope[TEXT_MAX], value[TEXT_MAX], type[TEXT_MAX];
};

static bool take_decision(struct json *json, struct decision *ret)
{
    char key[TEXT_MAX];

    *ret = (struct decision){.scope = ""};
    if (!take(json, '{'))
        return wrong(json, "a decision is no object");
    if (take(json, '}'))
        return true;
    do {
        char *field;

        if (!take_text(json, key))
            return false;
        if (!take(json, ':'))
            return wrong(json, "no colon behind a name");
        field = strcmp(key, "scope") == 0   ? ret->scope
                : strcmp(key, "value") == 0 ? ret->value
                : strcmp(key, "type") == 0  ? ret->type
                                            : NULL;
        skip_blanks(json);
        if (field != NULL && json->at < json->end && *json->at == '"') {
            if (!take_text(json, field))
                return false;
        } else if (!skip_value(json)) {
            return false;
        }
    } while (take(json, ','));
    return take(json, '}') || wrong(json, "a decision does not end");
}

static bool same_word(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if ((*a | 0x20) != (*b | 0x20))
            return false;
    }
    return *a == *b;
}

static uint16_t list_of(const struct decision *decision)
{
    return same_word(decision->type, "ban")       ? DECISION_BAN
           : same_word(decision->type, "captcha") ? DECISION_CAPTCHA
                                                  : DECISION_OTHER;
}

/* @return whether it is about addresses */
static bool prefix_of(const struct decision *decision, struct prefix *ret)
{
    const char *why;

    return (same_word(decision->scope, "ip") || same_word(decision->scope, "range")) &&
           prefix_parse(decision->value, strlen(decision->value), ret, &why) == 0;
}

/* @param into  what is about addresses is added */
static bool take_array(struct json *json, struct decisions *decisions, struct prefix_set *into)
{
    struct decision decision;
    struct prefix prefix;

    if (is_null(json))
        return true;
    if (!take(json, '['))
        return wrong(json, "no list of decisions");
    if (take(json, ']'))
        return true;
    do {
        if (!take_decision(json, &decision))
            return false;
        if (!prefix_of(&decision, &prefix))
            decisions->n_skipped++;
        else if (prefix_set_add(into, &prefix, list_of(&decision)) != 0)
            return wrong(json, "more decisions than max-entries, or than memory holds");
    } while (take(json, ','));
    return take(json, ']') || wrong(json, "a list of decisions does not end");
}

/* The decisions of one of the two names, wherever it stands. */
static bool take_part(const char *body, size_t n, const char *name, struct decisions *decisions,
                      struct prefix_set *into, const char **ret_why)
{
    struct json json = {.at = body, .end = body + n};
    char key[TEXT_MAX];

    if (!take(&json, '{')) {
        (void)wrong(&json, "no object");
    } else if (!take(&json, '}')) {
        do {
            if (!take_text(&json, key))
                break;
            if (!take(&json, ':'))
                (void)wrong(&json, "no colon behind a name");
            else if (strcmp(key, name) == 0)
                (void)take_array(&json, decisions, into);
            else
                (void)skip_value(&json);
        } while (json.why == NULL && take(&json, ','));
        if (json.why == NULL && !take(&json, '}'))
            (void)wrong(&json, "does not end");
    }
    *ret_why = json.why;
    return json.why == NULL;
}

/* ---- the set ------------------------------------------------------------------------------- */

static int compare6(const void *a, const void *b)
{
    const struct prefix6 *x = a, *y = b;

    if (x->ip.hi != y->ip.hi)
        return x->ip.hi < y->ip.hi ? -1 : 1;
    if (x->ip.lo != y->ip.lo)
        return x->ip.lo < y->ip.lo ? -1 : 1;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return (x->list > y->list) - (x->list < y->list);
}

static int compare4(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Sorted, and each once. */
static void tidy(struct prefix_set *set)
{
    size_t n = 0;

    if (set->n4 != 0)
        qsort(set->v4, set->n4, sizeof *set->v4, compare4);
    for (size_t i = 0; i < set->n4; i++) {
        if (i == 0 || set->v4[i] != set->v4[n - 1])
            set->v4[n++] = set->v4[i];
    }
    set->n4 = n;
    n = 0;
    if (set->n6 != 0)
        qsort(set->v6, set->n6, sizeof *set->v6, compare6);
    for (size_t i = 0; i < set->n6; i++) {
        if (i == 0 || compare6(&set->v6[i], &set->v6[n - 1]) != 0)
            set->v6[n++] = set->v6[i];
    }
    set->n6 = n;
}

/* Take out of a set what is in another one, in one pass: all of a list may go at once. Both are
 * tidy. @return whether there was any */
static bool subtract(struct prefix_set *set, const struct prefix_set *gone)
{
    size_t n = 0, g = 0;
    bool any;

    for (size_t i = 0; i < set->n4; i++) {
        while (g < gone->n4 && gone->v4[g] < set->v4[i])
            g++;
        if (g == gone->n4 || gone->v4[g] != set->v4[i])
            set->v4[n++] = set->v4[i];
    }
    any = n != set->n4;
    set->n4 = n;
    n = g = 0;
    for (size_t i = 0; i < set->n6; i++) {
        while (g < gone->n6 && compare6(&gone->v6[g], &set->v6[i]) < 0)
            g++;
        if (g == gone->n6 || compare6(&gone->v6[g], &set->v6[i]) != 0)
            set->v6[n++] = set->v6[i];
    }
    any |= n != set->n6;
    set->n6 = n;
    return any;
}

int decisions_take(struct decisions *decisions, const char *body, size_t n, bool *ret_changed,
                   const char **ret_why)
{
    struct prefix_set *set = &decisions->set;
    struct prefix_set gone = {.max = 0}; /* a body is bounded */
    size_t before;
    bool good = take_part(body, n, "deleted", decisions, &gone, ret_why);

    tidy(&gone);
    *ret_changed = subtract(set, &gone);
    prefix_set_fini(&gone);
    before = set->n4 + set->n6;
    good = good && take_part(body, n, "new", decisions, set, ret_why);
    *ret_changed |= set->n4 + set->n6 != before;
    tidy(set);
    return good ? 0 : -1;
}

void decisions_fini(struct decisions *decisions)
{
    prefix_set_fini(&decisions->set);
}
