/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_console.c - lines of JSON, and a reader that does not read. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "otlp/batch.h"
#include "send/console.h"
#include "queued.h"

#define S INT64_C(1000000000)
#define GENEROUS_NS (60 * S)

TestSuite(console, .timeout = 120);

static struct batch_encoder *encoder;
static struct transport *console;
static int ends[2]; /* of a pipe: to read from, to write to */

static int64_t mono_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * S + ts.tv_nsec;
}

static void start(void)
{
    const struct batch_resource resource = {.service_name = "ha\"proxy", .version = "1"};

    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    encoder = batch_encoder_create(&resource);
    console = console_start(ends[1], NULL, NULL);
    cr_assert(encoder != NULL && console != NULL);
}

static void stop(void)
{
    console->stop(console, 0);
    batch_encoder_destroy(encoder);
    close(ends[0]);
    close(ends[1]);
}

/* Send a request of n spans with a path of `size` bytes each. */
static struct transport_result send_spans(size_t n, size_t size, int64_t for_ns)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = 3};
    struct transport_result result = {.outcome = TRANSPORT_OK};
    struct span *head = NULL;
    char path[SPAN_VALUE_MAX];
    struct batch *batch = batch_create();
    struct span_queue *queue = span_queue_create(n, SPAN_QUEUE_BYTES_MAX, n, BATCH_BYTES_MAX);
    struct span_chunk *chunks;
    size_t taken;

    cr_assert_not_null(batch);
    memset(path, 'p', sizeof path);
    path[0] = '\n';
    for (size_t i = 0; i < n; i++) {
        struct span *span = span_create(SPAN_CLIENT, &context, NULL, false, 5, "GET", 3);

        span_set_str(span, "url.path", 8, path, size);
        span_set_int(span, "i", 1, -7);
        span_set_bool(span, "b", 1, true);
        span_end(span, 6);
        span_add_event(span, "ev", 6);
        span->next = head;
        head = span;
    }
    cr_assert_eq(push_each(span_queue_writer(queue), head), 0);
    chunks = span_queue_take(queue, n, BATCH_BYTES_MAX, &taken);
    cr_assert_eq(taken, n);
    cr_assert_eq(batch_join(encoder, chunks, batch), 0);
    console->send(console, 0, batch->bytes, batch->size, mono_now() + for_ns, &result);
    batch_destroy(batch);
    span_queue_release(chunks);
    span_queue_destroy(queue);
    return result;
}

Test(console, writes_a_line_for_each_span)
{
    char text[4096];
    ssize_t n;

    start();
    cr_assert_eq(send_spans(1, 2, GENEROUS_NS).outcome, TRANSPORT_OK);
    n = read(ends[0], text, sizeof text - 1);
    cr_assert_gt(n, 0);
    text[n] = '\0';
    cr_assert_str_eq(
        text, "{\"trace_id\":\"01000000000000000000000000000000\",\"span_id\":\"0200000000000000\","
              "\"parent_span_id\":\"\",\"kind\":\"CLIENT\",\"status\":\"UNSET\",\"flags\":259,"
              "\"start_unix_nano\":5,\"end_unix_nano\":6,\"trace_state\":\"\",\"name\":\"GET\","
              "\"attributes\":{\"url.path\":\"\\u000ap\",\"i\":-7,\"b\":true},"
              "\"dropped_attributes\":0,\"events\":[{\"name\":\"ev\",\"time_unix_nano\":6}],"
              "\"scope\":\"spoe-host/otel\",\"resource\":{\"service.name\":\"ha\\\"proxy\","
              "\"telemetry.sdk.name\":\"spoe-host\",\"telemetry.sdk.language\":\"c\","
              "\"telemetry.sdk.version\":\"1\"}}\n");
    stop();
}

static void *count_lines(void *arg)
{
    size_t *lines = arg;
    char text[1000];
    ssize_t n;

    while ((n = read(ends[0], text, sizeof text)) > 0)
        for (ssize_t i = 0; i < n; i++)
            *lines += text[i] == '\n';
    return NULL;
}

Test(console, writes_more_than_a_pipe_holds)
{
    struct transport_result result;
    size_t lines = 0;
    pthread_t thread;

    start();
    cr_assert_eq(pthread_create(&thread, NULL, count_lines, &lines), 0);
    result = send_spans(100, SPAN_VALUE_MAX, GENEROUS_NS);
    cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    cr_assert_eq(result.rejected, 0);
    console->stop(console, 0);
    close(ends[1]);
    pthread_join(thread, NULL);
    cr_assert_eq(lines, 100);
    close(ends[0]);
    batch_encoder_destroy(encoder);
}

/* A reader that stops in the middle of a line: that line is lost, and no other. */
Test(console, a_torn_line_does_not_spoil_the_next)
{
    static char text[400000];
    struct transport_result result;
    size_t used = 0, whole = 0, torn = 0;
    uint64_t written;
    ssize_t n;

    start();
    cr_assert_gt(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
    result = send_spans(20, SPAN_VALUE_MAX, 1);
    cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    cr_assert_gt(result.rejected, 0);
    written = 20 - result.rejected;
    cr_assert_eq(send_spans(1, SPAN_VALUE_MAX, 1).outcome, TRANSPORT_RETRYABLE,
                 "nothing of it is out");
    n = read(ends[0], text, sizeof text);
    cr_assert_gt(n, 0);
    cr_assert_neq(text[n - 1], '\n', "the test wants a torn line");
    used = (size_t)n;
    cr_assert_gt(fcntl(ends[1], F_SETPIPE_SZ, 65536), 0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(send_spans(3, SPAN_VALUE_MAX, GENEROUS_NS).outcome, TRANSPORT_OK);
    while (close(ends[1]) == 0 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        cr_expect_eq(strncmp(line, "{\"trace_id\"", 11), 0, "%.40s", line);
        cr_expect_null(strstr(line + 1, "{\"trace_id\""));
        if (strcmp(end - 3, "\"}}") == 0)
            whole++;
        else
            torn++;
    }
    cr_expect_eq(whole, written + 6);
    cr_expect_eq(torn, 1);
    console->stop(console, 0);
    close(ends[0]);
    batch_encoder_destroy(encoder);
}

static atomic_bool enough;
static sem_t was_read; /* the last line of the log */

/* As the log does: a whole line a write. Always one is on its way. */
static void *log_lines(void *arg)
{
    static const char line[] = "time=a-line-of-the-log\n";

    (void)arg;
    while (!enough) {
        (void)!write(ends[1], line, sizeof line - 1);
        (void)sem_wait(&was_read);
    }
    return NULL;
}

static void *check_lines(void *arg)
{
    FILE *in = fdopen(dup(ends[0]), "r");
    size_t *ret_spans = arg, size = 0;
    char *line = NULL;
    ssize_t n;

    while ((n = getline(&line, &size, in)) > 0) {
        *ret_spans += line[0] == '{';
        if (strstr(line, "time=a-line") != NULL)
            (void)sem_post(&was_read);
        cr_expect((line[0] == '{' && n > 3 && strcmp(line + n - 3, "}}\n") == 0 &&
                   strstr(line, "time=a-line") == NULL) ||
                      strcmp(line, "time=a-line-of-the-log\n") == 0,
                  "%.200s", line);
    }
    free(line);
    (void)fclose(in);
    return NULL;
}

/* 5.2: standard output and standard error are one pipe. */
Test(console, its_lines_and_those_of_the_log_stay_whole)
{
    static const size_t sizes[] = {10, 500, 3900, SPAN_VALUE_MAX};
    struct transport_result result;
    pthread_t reader, writer;
    size_t spans = 0;

    start();
    cr_assert_eq(sem_init(&was_read, 0, 0), 0);
    cr_assert_eq(pthread_create(&reader, NULL, check_lines, &spans), 0);
    cr_assert_eq(pthread_create(&writer, NULL, log_lines, NULL), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        result = send_spans(100, sizes[i], GENEROUS_NS);
        cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    }
    enough = true;
    pthread_join(writer, NULL);
    console->stop(console, 0);
    close(ends[1]);
    pthread_join(reader, NULL);
    cr_assert_eq(spans, 400);
    close(ends[0]);
    batch_encoder_destroy(encoder);
}

Test(console, does_not_wait_for_a_reader_beyond_the_deadline)
{
    struct transport_result result;

    start();
    result = send_spans(100, SPAN_VALUE_MAX, S / 10); /* a pipe holds 64 KiB */
    cr_assert_eq(result.outcome, TRANSPORT_OK, "a part is out: not to come again");
    cr_assert(result.rejected > 50 && result.rejected < 100, "%d", (int)result.rejected);
    cr_assert_str_eq(result.text, "nobody reads it");
    result = send_spans(1, 10, S / 10);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE, "nothing is out");
    stop();
}

static void *cancel(void *arg)
{
    (void)arg;
    console->cancel(console);
    return NULL;
}

Test(console, cancel_ends_a_wait_and_all_later_ones)
{
    struct transport_result result;
    pthread_t thread;

    start();
    cr_assert_eq(pthread_create(&thread, NULL, cancel, NULL), 0);
    result = send_spans(100, SPAN_VALUE_MAX, 3600 * S);
    pthread_join(thread, NULL);
    cr_assert_str_eq(result.text, "stopping");
    result = send_spans(1, 10, 3600 * S);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    stop();
}

Test(console, says_that_the_reader_has_gone)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct transport_result result;

    cr_assert_eq(sigaction(SIGPIPE, &ignore, NULL), 0); /* as the host does */
    start();
    close(ends[0]);
    result = send_spans(1, 10, GENEROUS_NS);
    cr_assert_not_null(strstr(result.text, "Broken pipe"), "%s", result.text);
    ends[0] = -1;
    stop();
}
