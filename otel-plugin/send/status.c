/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/status.c - see status.h. */
#include "send/status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STATUS_LINE_MAX                                                                            \
    (N_SIGNALS * (EXPORT_STATUS_ERROR_MAX + 400u)) /* the host cuts what is longer */

static const char *const state_texts[] = {[EXPORT_UNTRIED] = "nothing sent yet",
                                          [EXPORT_WORKS] = "works",
                                          [EXPORT_RETRIES] = "fails, is tried again",
                                          [EXPORT_REFUSED] = "refused"};

void export_status_init(struct export_status *status, const struct spoe_host *host,
                        struct spoe_instance *self)
{
    *status = (struct export_status){.self = self};
    if (host != NULL && SPOE_HAS(host, get_extension))
        status->health = host->get_extension(self, SPOE_HEALTH_1);
}

/* "; last error 10:31:02 UTC: TEXT" */
static void put_error(char *ret, size_t size, int64_t unix_s, const char *error)
{
    const time_t at = (time_t)unix_s;
    char clock[16];
    struct tm tm;

    ret[0] = '\0';
    if (unix_s == 0 || gmtime_r(&at, &tm) == NULL ||
        strftime(clock, sizeof clock, "%H:%M:%S", &tm) == 0)
        return;
    (void)snprintf(ret, size, "; last error %s UTC: %s", clock, error);
}

static void tell(const struct export_status *status)
{
    char line[STATUS_LINE_MAX], error[EXPORT_STATUS_ERROR_MAX + 40];
    size_t used = 0;

    if (status->health == NULL)
        return;
    for (size_t i = 0; i < N_SIGNALS; i++) {
        int n;

        if (status->_signals[i].target == NULL)
            continue;
        put_error(error, sizeof error, status->_signals[i].error_unix_s, status->_signals[i].error);
        n = snprintf(line + used, sizeof line - used, "%s%s to %s: %s%s", used > 0 ? ". " : "",
                     signal_names((enum otlp_signal)i)->name, status->_signals[i].target,
                     state_texts[status->_signals[i].state], error);
        if (n < 0 || (size_t)n >= sizeof line - used)
            break; /* what it had room for is cut, and NUL-terminated */
        used += (size_t)n;
    }
    status->health->status(status->self, (struct spoe_span){line, strlen(line)});
}

void export_status_add(struct export_status *status, enum otlp_signal signal, const char *target)
{
    status->_signals[signal].target = target;
    tell(status);
}

void export_status_set(struct export_status *status, enum otlp_signal signal,
                       enum export_state state, const char *error, int64_t now_unix_s)
{
    if (error == NULL && status->_signals[signal].state == state)
        return; /* as nearly always */
    status->_signals[signal].state = state;
    if (error != NULL) {
        (void)snprintf(status->_signals[signal].error, sizeof status->_signals[signal].error, "%s",
                       error);
        status->_signals[signal].error_unix_s = now_unix_s;
    }
    tell(status);
}
