# SPDX-License-Identifier: Apache-2.0
"""An OTLP/gRPC collector for tests, on python3-grpcio and the decoder of otlp.py.

    with Collector() as collector:                  # plaintext, a port of the kernel's choice
        ... export to collector.endpoint ...
        spans = collector.wait_spans(2)

A batch that the decoder rejects is answered INVALID_ARGUMENT and kept in `errors`; check() raises
if there is any. The collector can start late (autostart=False, and start() when it is time), ask
for TLS with or without client certificates, answer another status for a while (refuse()) or bytes of
the test's (answer()), and let calls wait (hold(), release()). http_collector.py has the same over
HTTP.

Traces are the collector's own; `logs` and `metrics` are the same for the other signals, with items
that are no spans. One that is not among its `signals` it does not know: UNIMPLEMENTED, or 404.
"""

import threading
import time
from concurrent import futures

import grpc

from . import procs
from .otlp import OtlpError, decode_export, decode_logs, decode_metrics

SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
DECODERS = {"traces": decode_export, "logs": decode_logs, "metrics": decode_metrics}


class Received:
    """What came, and how tests wait for it: the part of a collector that knows no protocol.

    batches   what arrived, a list of lists of Span, in order; refused calls are not among them
    calls     the number of exports, refused ones included
    held      how many of them wait for release() just now
    errors    texts of what the decoder rejected
    headers   of each call, a dict with lower-case keys
    times     when each call came, in seconds of the monotonic clock
    """

    def __init__(self, signal="traces"):
        self.signal = signal
        self._decode = DECODERS[signal]
        self.batches = []
        self.calls = 0
        self.held = 0
        self.errors = []
        self.headers = []
        self.times = []
        self._answers = []
        self._hold = False
        self._news = threading.Condition()

    # -- for the server

    def _begin(self, headers):
        """A call has come; the answer that a test wants for it, or None."""
        with self._news:
            self.calls += 1
            self.headers.append(headers)
            self.times.append(time.monotonic())
            answer = self._answers.pop(0) if self._answers else None
            self._news.notify_all()
            if self._hold:
                self.held += 1
                self._news.wait_for(lambda: not self._hold, procs.LIMIT)
                self.held -= 1
            return answer

    def _take(self, request):
        """Decode a request; the text of what is wrong with it, or None."""
        try:
            batch = self._decode(request)
        except OtlpError as error:
            with self._news:
                self.errors.append(f"{error}; request {request.hex()}")
                self._news.notify_all()
            return str(error)
        with self._news:
            self.batches.append(batch)
            self._news.notify_all()
        return None

    # -- what tests ask for

    def hold(self):
        """Let calls wait from now on, until release()."""
        with self._news:
            self._hold = True

    def release(self):
        with self._news:
            self._hold = False
            self._news.notify_all()

    @property
    def spans(self):
        with self._news:
            return [span for batch in self.batches for span in batch]

    items = spans  # of whatever signal

    def clear(self):
        with self._news:
            self.batches.clear()

    def check(self):
        """AssertionError if a batch broke a rule of OTLP."""
        with self._news:
            assert not self.errors, "\n".join(self.errors)

    def wait(self, condition, what, limit=None):
        """Wait until condition(spans) returns something true; that. Fails as soon as the decoder
        rejects a batch, and shows what came where it gives up."""
        end = time.monotonic() + (procs.LIMIT if limit is None else limit)
        with self._news:
            while True:
                assert not self.errors, "\n".join(self.errors)
                spans = [span for batch in self.batches for span in batch]
                result = condition(spans)
                if result:
                    return result
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._news.wait(left)
        got = "\n".join(map(str, spans)) or "none"
        raise procs.Timeout(
            f"waited in vain for {what}; {self.calls} calls, {self.signal}:\n{got}"
        )

    def wait_calls(self, count, limit=None):
        """Wait for `count` exports, refused ones included."""
        self.wait(lambda _: self.calls >= count, f"{count} Export calls", limit)

    def wait_held(self, count, limit=None):
        """Wait until `count` calls wait for release() at once."""
        self.wait(lambda _: self.held >= count, f"{count} calls at once", limit)

    def wait_spans(self, count, limit=None):
        """Wait for at least `count` spans; all of them."""
        return self.wait(
            lambda spans: spans if len(spans) >= count else None, f"{count} spans", limit
        )


class GrpcReceived(Received):
    """One signal over gRPC."""

    def refuse(self, code, times=1, details="refused by the test", retry_seconds=None):
        """Answer the next `times` calls with this grpc.StatusCode, with RetryInfo if it is wanted."""
        trailers = ()
        if retry_seconds is not None:
            trailers = (("grpc-status-details-bin", _retry_info(code, retry_seconds)),)
        with self._news:
            self._answers += [(code, details, trailers)] * times

    def answer(self, response):
        """Take the next call's spans and answer these bytes, an ExportTraceServiceResponse."""
        with self._news:
            self._answers.append(response)

    def _export(self, request, context):
        answer = self._begin(dict(context.invocation_metadata()))
        if isinstance(answer, tuple):
            code, details, trailers = answer
            context.set_trailing_metadata(trailers)
            context.abort(code, details)
        error = self._take(request)
        if error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error)
        return answer or b""


class Collector(GrpcReceived):
    """Receives spans over gRPC and lets tests wait for them.

    port      of the kernel's choice, the same for every start(); refuses connections before it
    tls       (key, certificate), both PEM bytes; None: plaintext
    client_ca PEM bytes: a client needs a certificate of this CA
    unix      the path of a socket where it is to be found as well
    endpoint  "127.0.0.1:PORT"
    logs, metrics  what came of these
    """

    def __init__(self, tls=None, client_ca=None, autostart=True, unix=None, signals=SERVICES):
        super().__init__()
        self.logs, self.metrics = GrpcReceived("logs"), GrpcReceived("metrics")
        self.signals = signals
        self.unix = unix
        self._reserved = procs.ReservedPort()
        self.port = self._reserved.port
        self.tls = tls
        self.client_ca = client_ca
        self._server = None
        if autostart:
            self.start()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    @property
    def user_agents(self):
        """gRPC's user agents, one per call."""
        return [headers.get("user-agent", "") for headers in self.headers]

    def start(self):
        server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=16), options=(("grpc.so_reuseport", 0),)
        )
        for received in (self, self.logs, self.metrics):
            if received.signal not in self.signals:
                continue
            handler = grpc.unary_unary_rpc_method_handler(received._export)  # bytes in, bytes out
            server.add_generic_rpc_handlers((
                grpc.method_handlers_generic_handler(
                    SERVICES[received.signal], {"Export": handler}
                ),
            ))
        if self.tls:
            credentials = grpc.ssl_server_credentials(
                [self.tls],
                root_certificates=self.client_ca,
                require_client_auth=self.client_ca is not None,
            )
            port = server.add_secure_port(self.endpoint, credentials)
        else:
            port = server.add_insecure_port(self.endpoint)
        if self.unix:
            server.add_insecure_port(f"unix:{self.unix}")
        if not port:
            raise OSError(f"cannot listen on {self.endpoint}")
        server.start()
        self._server = server
        return self

    def stop(self):
        for received in (self, self.logs, self.metrics):
            received.release()
        if self._server:
            self._server.stop(None).wait()
            self._server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._reserved.close()


def _field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def _retry_info(code, seconds):
    """A google.rpc.Status with one detail: come back in so many seconds (below 128)."""
    info = _field(1, bytes([1 << 3, seconds]))
    detail = _field(1, b"type.googleapis.com/google.rpc.RetryInfo") + _field(2, info)
    return bytes([1 << 3, code.value[0]]) + _field(3, detail)
