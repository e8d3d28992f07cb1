/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that are collected (4.2). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error_list.h"
#include "base/log.h"

/* What error_list_log() writes. */
static const char *logged(const struct error_list *list, size_t from)
{
    static char text[16384];
    const int saved = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    size_t n;

    cr_assert_not_null(file);
    cr_assert_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    error_list_log(list, from, SPOE_LOG_ERR, "t");
    cr_assert_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    rewind(file);
    n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    return text;
}

static size_t count(const char *text, const char *piece)
{
    size_t n = 0;

    while ((text = strstr(text, piece)) != NULL) {
        text++;
        n++;
    }
    return n;
}

Test(error_list, keeps_texts_in_order_and_counts_what_it_has_no_room_for, .timeout = 30)
{
    struct error_list list = {.n = 0};

    cr_assert_null(error_list_text(&list, 0));
    cr_assert_str_eq(logged(&list, 0), "");
    for (size_t i = 0; i < ERROR_LIST_MAX; i++)
        error_list_add(&list, "error <%zu>", i);
    cr_assert_str_eq(error_list_text(&list, ERROR_LIST_MAX - 1), "error <63>");
    cr_assert_eq(count(logged(&list, 0), "level=error component=t"), ERROR_LIST_MAX);
    cr_assert_eq(count(logged(&list, 60), "level=error"), 4);
    error_list_add(&list, "error <64>");
    error_list_add(&list, "error <65>");
    cr_assert_eq(list.n, ERROR_LIST_MAX + 2);
    cr_assert_null(error_list_text(&list, ERROR_LIST_MAX));
    cr_assert_eq(count(logged(&list, 0), "msg=\"and 2 more\""), 1);
    cr_assert_eq(count(logged(&list, 0), "<64>"), 0);
    error_list_fini(&list);
    cr_assert_eq(list.n, 0);
}

/* 9.2 */
Test(error_list, an_empty_text_is_kept, .timeout = 30)
{
    struct error_list list = {.n = 0};

    error_list_add(&list, "%s", "");
    error_list_add(&list, "x");
    cr_assert_eq(list.n, 2);
    cr_assert_str_eq(error_list_text(&list, 0), "");
    cr_assert_str_eq(error_list_text(&list, 1), "x");
    cr_assert_null(error_list_text(&list, 2));
    error_list_fini(&list);
    cr_assert_null(list.text[1]);
}
