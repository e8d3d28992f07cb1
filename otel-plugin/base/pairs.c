/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/base/pairs.c - see pairs.h. */
#include "base/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/*
 * Undo %XX.
 * @return [give: free()] NULL: *reterr is set, or there is no memory
 */
static char *decode(const char *p, size_t n, size_t max, const char **reterr)
{
    char *ret = malloc(n + 1);
    size_t len = 0;

    if (ret == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        int high = 0, low = 0;
        char c = p[i];

        if (c == '%') {
            high = n - i > 2 ? hex_digit(p[i + 1]) : -1;
            low = n - i > 2 ? hex_digit(p[i + 2]) : -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (high < 0 || low < 0 || c == '\0') {
            *reterr = "has a % that is not followed by two hexadecimal digits other than 00";
            break;
        }
        ret[len++] = c;
    }
    if (*reterr == NULL && len > max)
        *reterr = "has a key above 256 or a value above 4096 bytes";
    if (*reterr != NULL) {
        free(ret);
        return NULL;
    }
    ret[len] = '\0';
    return ret;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* Add a pair, or give a key its new value. Takes both texts, also on failure. */
static int take_pair(struct pair_list *list, char *key, char *value)
{
    struct pair *item;

    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->item[i].key, key) == 0) {
            wipe(list->item[i].value);
            list->item[i].value = value;
            free(key);
            return 0;
        }
    }
    item = reallocarray(list->item, list->n + 1, sizeof *item);
    if (item == NULL) {
        free(key);
        wipe(value);
        return PAIRS_E_NOMEM;
    }
    list->item = item;
    list->item[list->n++] = (struct pair){.key = key, .value = value};
    return 0;
}

int pair_list_set(struct pair_list *list, const char *key, const char *value)
{
    char *own_key = strdup(key), *own_value = strdup(value);

    if (own_key == NULL || own_value == NULL) {
        free(own_key);
        wipe(own_value);
        return PAIRS_E_NOMEM;
    }
    return take_pair(list, own_key, own_value);
}

static int read_pair(struct pair_list *list, struct text item, const char **reterr)
{
    struct text key_text = text_before(item, '='), value_text;
    char *key, *value;

    if (key_text.n == item.n || key_text.n == 0) {
        *reterr = key_text.n > 0 ? "has an item without =" : "has an item without a key";
        return PAIRS_E_INVAL;
    }
    if (list->n == PAIRS_MAX) {
        *reterr = "has more than 128 items";
        return PAIRS_E_INVAL;
    }
    value_text = text_trim((struct text){item.p + key_text.n + 1, item.n - key_text.n - 1});
    key_text = text_trim(key_text);
    key = decode(key_text.p, key_text.n, PAIRS_KEY_MAX, reterr);
    if (key == NULL)
        return *reterr != NULL ? PAIRS_E_INVAL : PAIRS_E_NOMEM;
    value = decode(value_text.p, value_text.n, PAIRS_VALUE_MAX, reterr);
    if (value == NULL) {
        free(key);
        return *reterr != NULL ? PAIRS_E_INVAL : PAIRS_E_NOMEM;
    }
    return take_pair(list, key, value);
}

int pair_list_read(const char *text, struct pair_list *ret, const char **reterr)
{
    struct pair_list list = {NULL, 0};
    struct text rest = {text, text != NULL ? strlen(text) : 0}, item;
    const char *error = NULL;
    int result = 0;

    while (result == 0 && text_next_item(&rest, ',', &item)) {
        if (item.n > 0)
            result = read_pair(&list, item, &error);
    }
    if (result != 0) {
        pair_list_fini(&list);
        if (result == PAIRS_E_INVAL)
            *reterr = error;
        return result;
    }
    *ret = list;
    return 0;
}

void pair_list_fini(struct pair_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->item[i].key);
        wipe(list->item[i].value);
    }
    free(list->item);
    *list = (struct pair_list){NULL, 0};
}
