# SPDX-License-Identifier: Apache-2.0
"""An OTLP/gRPC collector for tests, on python3-grpcio and the decoder of otlp.py.

    with Collector() as collector:                  # plaintext, a port of the kernel's choice
        ... export to collector.endpoint ...
        spans = collector.wait_spans(2)

A batch that the decoder rejects is answered INVALID_ARGUMENT and kept in `errors`; check() raises
if there is any. The collector can start late (give it a port and call start() when it is time), ask
for TLS with or without client certificates, and answer another status for a while (refuse()).
"""

import threading
import time
from concurrent import futures

import grpc

from . import procs
from .otlp import OtlpError, decode_export

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collector:
    """Receives spans and lets tests wait for them.

    port      0: the kernel chooses, once, at the first start(); the same port at later starts
    tls       (key, certificate), both PEM bytes; None: plaintext
    client_ca PEM bytes: a client needs a certificate of this CA
    endpoint  "127.0.0.1:PORT"
    batches   what arrived, a list of lists of Span, in order; refused calls are not among them
    calls     the number of Export calls, refused ones included
    errors    texts of what the decoder rejected
    peers     gRPC's user agents, one per call
    """

    def __init__(self, port=0, tls=None, client_ca=None, autostart=True):
        self.port = port
        self.tls = tls
        self.client_ca = client_ca
        self.batches = []
        self.calls = 0
        self.errors = []
        self.user_agents = []
        self._refusals = []
        self._news = threading.Condition()
        self._server = None
        if autostart:
            self.start()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        handler = grpc.unary_unary_rpc_method_handler(self._export)  # bytes in, bytes out
        server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=4), options=(("grpc.so_reuseport", 0),)
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),)
        )
        address = f"127.0.0.1:{self.port}"
        if self.tls:
            credentials = grpc.ssl_server_credentials(
                [self.tls],
                root_certificates=self.client_ca,
                require_client_auth=self.client_ca is not None,
            )
            port = server.add_secure_port(address, credentials)
        else:
            port = server.add_insecure_port(address)
        if not port:
            raise OSError(f"cannot listen on {address}")
        self.port = port
        server.start()
        self._server = server
        return self

    def stop(self):
        if self._server:
            self._server.stop(None).wait()
            self._server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def refuse(self, code, times=1, details="refused by the test"):
        """Answer the next `times` calls with this grpc.StatusCode."""
        with self._news:
            self._refusals += [(code, details)] * times

    def _export(self, request, context):
        with self._news:
            self.calls += 1
            self.user_agents.append(dict(context.invocation_metadata()).get("user-agent", ""))
            refusal = self._refusals.pop(0) if self._refusals else None
            self._news.notify_all()
        if refusal:
            context.abort(*refusal)
        try:
            batch = decode_export(request)
        except OtlpError as error:
            with self._news:
                self.errors.append(f"{error}; request {request.hex()}")
                self._news.notify_all()
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        with self._news:
            self.batches.append(batch)
            self._news.notify_all()
        return b""

    # -- what tests ask

    @property
    def spans(self):
        with self._news:
            return [span for batch in self.batches for span in batch]

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
        raise procs.Timeout(f"waited in vain for {what}; {self.calls} calls, spans:\n{got}")

    def wait_calls(self, count, limit=None):
        """Wait for `count` Export calls, refused ones included."""
        self.wait(lambda _: self.calls >= count, f"{count} Export calls", limit)

    def wait_spans(self, count, limit=None):
        """Wait for at least `count` spans; all of them."""
        return self.wait(
            lambda spans: spans if len(spans) >= count else None, f"{count} spans", limit
        )
