/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_otlp_grpc.c - the transport against a server of the test on gRPC's own
 * server API: each kind of answer, time-outs, cancelling, TLS in its modes.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "send/otlp_grpc.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#define S INT64_C(1000000000)
#define GENEROUS_NS (60 * S)

TestSuite(otlp_grpc, .timeout = 120);

/* Under AddressSanitizer: what c-ares allocates when gRPC starts it stays until the exit. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcares.so";
}

static int64_t mono_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * S + ts.tv_nsec;
}

/* ---- certificates ------------------------------------------------------------------------- */

/* A CA and what it signed, as PEM; files of the client's side in `dir`. */
static char dir[] = "/tmp/spoe-otlp-XXXXXX";
static char ca_pem[4096], server_pem[4096], server_key[4096], client_pem[4096], client_key[4096];
static char ca_file[64], other_ca_file[64], client_file[64], client_key_file[64];

static X509 *make_cert(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)name[0]);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    if (issuer == NULL)
        issuer = cert;
    X509_set_issuer_name(cert, X509_get_subject_name(issuer));
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = issuer == cert ? X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "CA:TRUE")
                         : X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "DNS:localhost");
    cr_assert_not_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    cr_assert_gt(X509_sign(cert, issuer_key, EVP_sha256()), 0);
    return cert;
}

static void to_text(BIO *bio, char text[4096])
{
    const int n = BIO_read(bio, text, 4095);

    cr_assert_gt(n, 0);
    text[n] = '\0';
    BIO_free(bio);
}

static void cert_text(X509 *cert, char text[4096])
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(bio, cert);
    to_text(bio, text);
}

static void key_text(EVP_PKEY *key, char text[4096])
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    to_text(bio, text);
}

static void write_file(char path[64], const char *name, const char *text)
{
    FILE *file;

    (void)snprintf(path, 64, "%s/%s", dir, name);
    file = fopen(path, "we");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void make_certs(void)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert(ca_key, "ca", NULL, ca_key);
    X509 *server = make_cert(key, "server", ca, ca_key);
    X509 *client = make_cert(key, "kunde", ca, ca_key);
    X509 *other = make_cert(key, "other", NULL, key);
    char text[4096];

    cr_assert_not_null(mkdtemp(dir));
    cert_text(ca, ca_pem);
    cert_text(server, server_pem);
    cert_text(client, client_pem);
    key_text(key, server_key);
    key_text(key, client_key);
    cert_text(other, text);
    write_file(ca_file, "ca.pem", ca_pem);
    write_file(other_ca_file, "other.pem", text);
    write_file(client_file, "client.pem", client_pem);
    write_file(client_key_file, "client.key", client_key);
    X509_free(ca);
    X509_free(server);
    X509_free(client);
    X509_free(other);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

static void remove_certs(void)
{
    unlink(ca_file);
    unlink(other_ca_file);
    unlink(client_file);
    unlink(client_key_file);
    rmdir(dir);
}

/* ---- the server --------------------------------------------------------------------------- */

enum server_tls { PLAIN, TLS, MUTUAL_TLS };

/* What the server answers. */
struct script {
    grpc_status_code status;
    const char *details;
    const uint8_t *trailer; /* grpc-status-details-bin */
    size_t trailer_len;
    const uint8_t *body;
    size_t body_len;
    bool hang; /* no answer until the client has gone */
};

static struct {
    grpc_server *grpc;
    grpc_completion_queue *cq;
    pthread_t thread;
    struct script script;
    char endpoint[32];
    /* The last call. Under lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    char method[128], user_agent[256];
    size_t received;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static grpc_event next_event(void)
{
    return grpc_completion_queue_next(server.cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void note_call(const grpc_call_details *details, const grpc_metadata_array *metadata,
                      grpc_byte_buffer *message)
{
    pthread_mutex_lock(&server.lock);
    server.calls++;
    server.received = message != NULL ? grpc_byte_buffer_length(message) : 0;
    (void)snprintf(server.method, sizeof server.method, "%.*s",
                   (int)GRPC_SLICE_LENGTH(details->method),
                   (const char *)GRPC_SLICE_START_PTR(details->method));
    for (size_t i = 0; i < metadata->count; i++)
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "user-agent") == 0)
            (void)snprintf(server.user_agent, sizeof server.user_agent, "%.*s",
                           (int)GRPC_SLICE_LENGTH(metadata->metadata[i].value),
                           (const char *)GRPC_SLICE_START_PTR(metadata->metadata[i].value));
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

static void answer(grpc_call *call)
{
    const struct script *script = &server.script;
    grpc_slice details =
        grpc_slice_from_copied_string(script->details != NULL ? script->details : "");
    grpc_slice body = grpc_slice_from_copied_buffer((const char *)script->body, script->body_len);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&body, 1);
    grpc_metadata trailer = {
        .key = grpc_slice_from_static_string("grpc-status-details-bin"),
        .value = grpc_slice_from_copied_buffer((const char *)script->trailer, script->trailer_len)};
    grpc_op ops[3] = {{.op = GRPC_OP_RECV_CLOSE_ON_SERVER}};
    int cancelled;
    size_t n = 1;

    ops[0].data.recv_close_on_server.cancelled = &cancelled;
    if (!script->hang) {
        ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[n].data.send_status_from_server.status = script->status;
        ops[n].data.send_status_from_server.status_details = &details;
        if (script->trailer_len > 0) {
            ops[n].data.send_status_from_server.trailing_metadata_count = 1;
            ops[n].data.send_status_from_server.trailing_metadata = &trailer;
        }
        n++;
        if (script->status == GRPC_STATUS_OK) {
            ops[n].op = GRPC_OP_SEND_MESSAGE;
            ops[n++].data.send_message.send_message = message;
        }
    }
    cr_assert_eq(grpc_call_start_batch(call, ops, n, NULL, NULL), GRPC_CALL_OK);
    (void)next_event();
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(body);
    grpc_slice_unref(details);
    grpc_slice_unref(trailer.value);
}

/* One call after the other, until the server shuts down. */
static void *serve(void *arg)
{
    (void)arg;
    for (;;) {
        grpc_call *call = NULL;
        grpc_call_details details;
        grpc_metadata_array metadata;
        grpc_byte_buffer *message = NULL;
        grpc_op ops[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_RECV_MESSAGE}};
        grpc_event event;

        grpc_call_details_init(&details);
        grpc_metadata_array_init(&metadata);
        if (grpc_server_request_call(server.grpc, &call, &details, &metadata, server.cq, server.cq,
                                     &server) == GRPC_CALL_OK) {
            event = next_event();
            if (event.tag != &server || !event.success)
                call = NULL;
        }
        if (call != NULL) {
            ops[1].data.recv_message.recv_message = &message;
            cr_assert_eq(grpc_call_start_batch(call, ops, 2, NULL, NULL), GRPC_CALL_OK);
            (void)next_event();
            note_call(&details, &metadata, message);
            answer(call);
            if (message != NULL)
                grpc_byte_buffer_destroy(message);
            grpc_call_unref(call);
        }
        grpc_call_details_destroy(&details);
        grpc_metadata_array_destroy(&metadata);
        if (call == NULL)
            return NULL;
    }
}

static grpc_server_credentials *server_creds(enum server_tls tls)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = server_key, .cert_chain = server_pem};

    if (tls == PLAIN)
        return grpc_insecure_server_credentials_create();
    return grpc_ssl_server_credentials_create_ex(
        tls == MUTUAL_TLS ? ca_pem : NULL, &pair, 1,
        tls == MUTUAL_TLS ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                          : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
        NULL);
}

static void start_server(enum server_tls tls, const struct script *script)
{
    grpc_server_credentials *creds;
    int port;

    grpc_init();
    server.script = *script;
    creds = server_creds(tls);
    server.cq = grpc_completion_queue_create_for_next(NULL);
    server.grpc = grpc_server_create(NULL, NULL);
    grpc_server_register_completion_queue(server.grpc, server.cq, NULL);
    port = grpc_server_add_http2_port(server.grpc, "127.0.0.1:0", creds);
    cr_assert_gt(port, 0);
    grpc_server_credentials_release(creds);
    grpc_server_start(server.grpc);
    (void)snprintf(server.endpoint, sizeof server.endpoint, "localhost:%d", port);
    cr_assert_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop_server(void)
{
    char shutdown_tag;

    grpc_server_shutdown_and_notify(server.grpc, server.cq, &shutdown_tag);
    grpc_server_cancel_all_calls(server.grpc);
    pthread_join(server.thread, NULL);
    grpc_completion_queue_shutdown(server.cq);
    while (next_event().type != GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_server_destroy(server.grpc);
    grpc_completion_queue_destroy(server.cq);
    grpc_shutdown();
}

/* ---- the transport ------------------------------------------------------------------------ */

static struct transport *start(enum otlp_tls tls, const char *ca, bool with_client_cert)
{
    const struct exporter_conf conf = {.endpoint = server.endpoint,
                                       .service_name = "haproxy",
                                       .service_version = "1.2.3",
                                       .tls = tls,
                                       .tls_ca = ca,
                                       .tls_cert = with_client_cert ? client_file : NULL,
                                       .tls_key = with_client_cert ? client_key_file : NULL};
    struct transport *transport = otlp_grpc_start(&conf, NULL, NULL);

    cr_assert_not_null(transport);
    return transport;
}

static struct transport_result send_for(struct transport *transport, int64_t ns)
{
    static const uint8_t bytes[1000];
    struct transport_result result = {.outcome = TRANSPORT_OK};

    transport->send(transport, 0, bytes, sizeof bytes, mono_now() + ns, &result);
    return result;
}

/*
 * One send to a server with this script, over plain text. The server keeps gRPC alive, so stop()
 * is not given time to see it end.
 */
static struct transport_result exchange(const struct script *script)
{
    struct transport *transport;
    struct transport_result result;

    start_server(PLAIN, script);
    transport = start(OTLP_TLS_DISABLED, NULL, false);
    result = send_for(transport, GENEROUS_NS);
    transport->stop(transport, 0);
    stop_server();
    return result;
}

Test(otlp_grpc, sends_to_the_right_method)
{
    const struct transport_result result = exchange(&(struct script){.status = GRPC_STATUS_OK});

    cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    cr_assert_eq(result.rejected, 0);
    cr_assert_str_empty(result.text);
    cr_assert_str_eq(server.method, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    cr_assert_eq(server.received, 1000);
    cr_assert_not_null(strstr(server.user_agent, "OTel-OTLP-Exporter-C/1.2.3"), "%s",
                       server.user_agent);
}

Test(otlp_grpc, reads_a_partial_success)
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess partial;
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse response;
    struct transport_result result;
    uint8_t bytes[64];
    size_t n;

    opentelemetry__proto__collector__trace__v1__export_trace_partial_success__init(&partial);
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__init(&response);
    partial.rejected_spans = 3;
    partial.error_message = (char *)(uintptr_t) "too old";
    response.partial_success = &partial;
    n = opentelemetry__proto__collector__trace__v1__export_trace_service_response__pack(&response,
                                                                                        bytes);
    result = exchange(&(struct script){.status = GRPC_STATUS_OK, .body = bytes, .body_len = n});
    cr_assert_eq(result.outcome, TRANSPORT_OK);
    cr_assert_eq(result.rejected, 3);
    cr_assert_str_eq(result.text, "too old");
}

Test(otlp_grpc, an_answer_that_cannot_be_read_is_still_a_success)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff};
    const struct transport_result result = exchange(
        &(struct script){.status = GRPC_STATUS_OK, .body = bytes, .body_len = sizeof bytes});

    cr_assert_eq(result.outcome, TRANSPORT_OK);
    cr_assert_str_not_empty(result.text);
}

/* OTLP specification, "Failures" of OTLP/gRPC. */
Test(otlp_grpc, knows_which_codes_to_retry)
{
    static const bool retryable[17] = {
        [GRPC_STATUS_CANCELLED] = true,   [GRPC_STATUS_DEADLINE_EXCEEDED] = true,
        [GRPC_STATUS_ABORTED] = true,     [GRPC_STATUS_OUT_OF_RANGE] = true,
        [GRPC_STATUS_UNAVAILABLE] = true, [GRPC_STATUS_DATA_LOSS] = true};
    struct transport *transport;

    start_server(PLAIN, &(struct script){.status = GRPC_STATUS_OK, .details = "because"});
    transport = start(OTLP_TLS_DISABLED, NULL, false);
    for (int code = 1; code <= 16; code++) {
        struct transport_result result;

        pthread_mutex_lock(&server.lock);
        server.script.status = (grpc_status_code)code;
        pthread_mutex_unlock(&server.lock);
        result = send_for(transport, GENEROUS_NS);
        cr_expect_eq(result.outcome,
                     retryable[code] ? TRANSPORT_RETRYABLE : TRANSPORT_NOT_RETRYABLE, "code %d: %s",
                     code, result.text);
        cr_expect_eq(result.min_wait_ns, 0);
        cr_expect_not_null(strstr(result.text, ": because"), "%s", result.text);
    }
    transport->stop(transport, 0);
    stop_server();
}

static size_t pack_retry_info(int64_t seconds, int32_t nanos, bool with_delay, uint8_t bytes[256])
{
    Google__Protobuf__Duration delay;
    Google__Rpc__RetryInfo info;
    Google__Protobuf__Any other, any;
    Google__Protobuf__Any *details[] = {&other, &any};
    Google__Rpc__Status status;
    uint8_t packed[64];

    google__protobuf__duration__init(&delay);
    google__rpc__retry_info__init(&info);
    google__protobuf__any__init(&other);
    google__protobuf__any__init(&any);
    google__rpc__status__init(&status);
    delay.seconds = seconds;
    delay.nanos = nanos;
    info.retry_delay = with_delay ? &delay : NULL;
    other.type_url = (char *)(uintptr_t) "type.googleapis.com/google.rpc.DebugInfo";
    any.type_url = (char *)(uintptr_t) "type.googleapis.com/google.rpc.RetryInfo";
    any.value =
        (ProtobufCBinaryData){.len = google__rpc__retry_info__pack(&info, packed), .data = packed};
    status.code = GRPC_STATUS_RESOURCE_EXHAUSTED;
    status.n_details = 2;
    status.details = details;
    return google__rpc__status__pack(&status, bytes);
}

Test(otlp_grpc, retry_info_makes_resource_exhausted_retryable)
{
    uint8_t bytes[256];
    const struct {
        int64_t seconds;
        int32_t nanos;
        bool with_delay;
        int64_t wanted_ns;
    } table[] = {{7, 500000000, true, 7 * S + S / 2},
                 {0, 0, false, 0},
                 {-5, 0, true, 0},
                 {INT64_MAX, 0, true, 3600 * S}};
    struct transport *transport;

    start_server(PLAIN,
                 &(struct script){.status = GRPC_STATUS_RESOURCE_EXHAUSTED, .trailer = bytes});
    transport = start(OTLP_TLS_DISABLED, NULL, false);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct transport_result result;

        server.script.trailer_len =
            pack_retry_info(table[i].seconds, table[i].nanos, table[i].with_delay, bytes);
        result = send_for(transport, GENEROUS_NS);
        cr_expect_eq(result.outcome, TRANSPORT_RETRYABLE, "%s", result.text);
        cr_expect_eq(result.min_wait_ns, table[i].wanted_ns, "%ld ns", (long)result.min_wait_ns);
    }
    transport->stop(transport, 0);
    stop_server();
}

Test(otlp_grpc, a_bad_details_trailer_is_ignored)
{
    static const uint8_t bytes[] = {0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f};
    const struct transport_result result = exchange(&(struct script){
        .status = GRPC_STATUS_RESOURCE_EXHAUSTED, .trailer = bytes, .trailer_len = sizeof bytes});

    cr_assert_eq(result.outcome, TRANSPORT_NOT_RETRYABLE);
}

/* A port that is bound and nobody listens on: the kernel gives it to nobody else. */
static int reserve_port(char endpoint[32])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof addr;

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    (void)snprintf(endpoint, 32, "127.0.0.1:%d", ntohs(addr.sin_port));
    return fd;
}

Test(otlp_grpc, nobody_there_is_retryable)
{
    const int fd = reserve_port(server.endpoint);
    struct transport *transport = start(OTLP_TLS_DISABLED, NULL, false);
    const struct transport_result result = send_for(transport, GENEROUS_NS);
    int64_t began;

    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_not_null(strstr(result.text, "UNAVAILABLE"), "%s", result.text);
    began = mono_now();
    transport->stop(transport, began + GENEROUS_NS);
    /* It takes gRPC about a second; where the machine is too busy for that, 2 s are waited. */
    cr_assert(!grpc_is_initialized() || mono_now() - began >= 2 * S,
              "gRPC is gone when stop() returns");
    close(fd);
}

Test(otlp_grpc, a_collector_that_hangs_ends_at_the_deadline)
{
    struct transport *transport;
    struct transport_result result;

    start_server(PLAIN, &(struct script){.hang = true});
    transport = start(OTLP_TLS_DISABLED, NULL, false);
    result = send_for(transport, S / 2);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_not_null(strstr(result.text, "DEADLINE_EXCEEDED"), "%s", result.text);
    pthread_mutex_lock(&server.lock);
    server.script.hang = false;
    pthread_mutex_unlock(&server.lock);
    result = send_for(transport, GENEROUS_NS); /* over a new connection */
    cr_assert_eq(result.outcome, TRANSPORT_OK, "%s", result.text);
    transport->stop(transport, 0);
    stop_server();
}

static void *cancel_when_called(void *arg)
{
    struct transport *transport = arg;

    pthread_mutex_lock(&server.lock);
    while (server.calls == 0)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
    transport->cancel(transport);
    return NULL;
}

Test(otlp_grpc, cancel_ends_a_call_and_all_later_ones)
{
    struct transport *transport;
    struct transport_result result;
    pthread_t thread;

    start_server(PLAIN, &(struct script){.hang = true});
    transport = start(OTLP_TLS_DISABLED, NULL, false);
    cr_assert_eq(pthread_create(&thread, NULL, cancel_when_called, transport), 0);
    result = send_for(transport, 3600 * S);
    pthread_join(thread, NULL);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    cr_assert_not_null(strstr(result.text, "CANCELLED"), "%s", result.text);
    result = send_for(transport, 3600 * S);
    cr_assert_eq(result.outcome, TRANSPORT_RETRYABLE);
    transport->stop(transport, 0);
    stop_server();
}

/* ---- TLS ---------------------------------------------------------------------------------- */

static void expect_tls(enum server_tls server_tls, enum otlp_tls tls, const char *ca,
                       bool with_client_cert, enum transport_outcome wanted)
{
    struct transport *transport;
    struct transport_result result;

    start_server(server_tls, &(struct script){.status = GRPC_STATUS_OK});
    transport = start(tls, ca, with_client_cert);
    result = send_for(transport, GENEROUS_NS);
    cr_expect_eq(result.outcome, wanted, "outcome %d: %s", result.outcome, result.text);
    cr_expect(wanted == TRANSPORT_OK || strstr(result.text, "UNAVAILABLE") != NULL, "%s",
              result.text);
    transport->stop(transport, 0);
    stop_server();
}

TestSuite(otlp_grpc_tls, .timeout = 120, .init = make_certs, .fini = remove_certs);

Test(otlp_grpc_tls, enabled_takes_a_server_of_the_ca)
{
    expect_tls(TLS, OTLP_TLS_ENABLED, ca_file, false, TRANSPORT_OK);
}

Test(otlp_grpc_tls, enabled_refuses_a_server_of_another_ca)
{
    expect_tls(TLS, OTLP_TLS_ENABLED, other_ca_file, false, TRANSPORT_RETRYABLE);
}

Test(otlp_grpc_tls, enabled_refuses_plain_text)
{
    expect_tls(PLAIN, OTLP_TLS_ENABLED, ca_file, false, TRANSPORT_RETRYABLE);
}

Test(otlp_grpc_tls, skip_verify_takes_any_server)
{
    expect_tls(TLS, OTLP_TLS_SKIP_VERIFY, NULL, false, TRANSPORT_OK);
}

Test(otlp_grpc_tls, skip_verify_takes_a_server_of_another_ca)
{
    expect_tls(TLS, OTLP_TLS_SKIP_VERIFY, other_ca_file, false, TRANSPORT_OK);
}

Test(otlp_grpc_tls, mutual_tls_with_a_certificate)
{
    expect_tls(MUTUAL_TLS, OTLP_TLS_ENABLED, ca_file, true, TRANSPORT_OK);
}

Test(otlp_grpc_tls, mutual_tls_without_a_certificate_is_refused)
{
    expect_tls(MUTUAL_TLS, OTLP_TLS_ENABLED, ca_file, false, TRANSPORT_RETRYABLE);
}

Test(otlp_grpc_tls, mutual_tls_with_skip_verify)
{
    expect_tls(MUTUAL_TLS, OTLP_TLS_SKIP_VERIFY, NULL, true, TRANSPORT_OK);
}
