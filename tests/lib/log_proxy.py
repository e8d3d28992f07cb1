# SPDX-License-Identifier: Apache-2.0
"""A HAProxy of one frontend whose log lines a host takes.

    with FactsProxy(binary, tmp, origin.address, log) as proxy:      # a configuration of the test's
    with OtelLogProxy(binary, tmp, origin.address, host) as proxy:   # haproxy/otel-log.cfg
    with OtelBothProxy(binary, tmp, origin.address, host) as proxy:  # haproxy/otel-both.cfg
        proxy.get("/path")
"""

import os
import re
import socket

from .haproxy import Client, check, source_text
from .lines import where
from .procs import Proc, ReservedPort, clean_env, wait_until

# a traceparent that is valid, of version 00 or a later one
VALID = (r"^(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
         r"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)$")
SPAN_ID = "%[var(txn.u),xxh64,hex,lower]"
RULES = f"""
    acl one req.fhdr_cnt(traceparent) eq 1
    acl valid req.fhdr(traceparent) -m reg '{VALID}'
    http-request set-var(txn.in) req.fhdr(traceparent) if one valid
    acl cont var(txn.in) -m found
    http-request del-header tracestate if !cont
    http-request set-var(txn.u) uuid,regsub(-,,g)
    http-request set-var(txn.s) str(01)
    http-request set-var-fmt(txn.tp) 00-%[var(txn.u)]-{SPAN_ID}-%[var(txn.s)] if !cont
    http-request set-var-fmt(txn.tp) 00-%[var(txn.in),field(2,-)]-{SPAN_ID}-%[var(txn.s)] if cont
    http-request set-log-level notice
    http-request set-var(txn.host) req.hdr(host)
    http-request set-var(txn.attrs) req.hdr(x-attrs)
    http-request set-var(txn.t0) date(0,us)
    http-response set-var(txn.t2) date(0,us)
    http-request deny if {{ path /deny }}
    http-request redirect location /elsewhere if {{ path /redirect }}
    http-request return status 200 content-type text/plain string ok if {{ path_beg /return }}
"""
FMT = (
    "v=1 tp=%[var(txn.tp)] t0=%[var(txn.t0)] t2=%[var(txn.t2)] te=%[date(0,us)] st=%ST ts=%tsc "
    "rc=%rc th=%Th ti=%Ti tR=%TR tw=%Tw tc=%Tc tr=%Tr ta=%Ta tt=%Tt bi=%U bo=%B sq=%sq bq=%bq "
    "m=%HM hv=%HV tls=%sslv ci=%ci cp=%cp fi=%fi fp=%fp si=%si sp=%sp fe=%f be=%b srv=%s "
    "lc=%lc pid=%pid in=%{+Q,+E}[var(txn.in)] a=%{+Q,+E}[var(txn.attrs)] h=%{+Q,+E}[var(txn.host)] "
    "u=%{+Q}HU")
KEYS = re.findall(r"(\w+)=", FMT)
CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVIL = 'x" tp=evil z="]\\'



class LogProxy(Proc):
    """A HAProxy that runs `text`, whose frontend binds "${WEB_ADDR}", ready when it returns.

    port   of the frontend
    """

    def __init__(self, binary, tmp, text, env=None, name="log.cfg"):
        self._reserved = ReservedPort()
        self.port = self._reserved.port
        self.path = os.path.join(tmp, name)
        with open(self.path, "w", encoding="ascii") as file:
            file.write(text)
        env = {"WEB_ADDR": f"127.0.0.1:{self.port}", **(env or {})}
        assert check(binary, self.path, env)[0] == 0, check(binary, self.path, env)
        super().__init__([binary, "-db", "-f", self.path], name="haproxy", env=clean_env(env))
        try:
            wait_until(self._listens, lambda: f"HAProxy to listen{self.report()}")
        except BaseException:
            self.kill()
            raise

    def _listens(self):
        assert self.alive(), self.report()
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def get(self, path, **headers):
        with Client(self.port) as client:
            return client.request("GET", path, headers)

    def kill(self):
        super().kill()
        self._reserved.close()


class FactsProxy(LogProxy):
    """The rules that were measured first, with a `log` of the test's and a backend of one server."""

    def __init__(self, binary, tmp, origin, log, sections="", rules=RULES):
        super().__init__(binary, tmp, f"""global
    log-send-hostname the-host
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option dontlognull
frontend web
    bind "${{WEB_ADDR}}"
{rules}
{log}
    default_backend app
backend app
    server origin {origin}
{sections}""")


class OtelLogProxy(LogProxy):
    """haproxy/otel-log.cfg, changed by `edits`, (text, its replacement)."""

    def __init__(self, binary, tmp, origin, agent, edits=()):
        text = source_text("otel-log.cfg")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        super().__init__(binary, tmp, text,
                         {"APP_ADDR": origin, "AGENT_LOG_ADDR": where(agent, "udp")})


class OtelBothProxy(LogProxy):
    """haproxy/otel-both.cfg and its SPOE file, patient, changed by `edits` and `spoe_edits`."""

    def __init__(self, binary, tmp, origin, agent, edits=(), spoe_edits=(), env=None):
        texts = [source_text("otel-both.cfg"), source_text("spoe-otel-both.cfg")]
        patient = ("timeout processing 15ms", "timeout processing 20s")
        for i, changes in enumerate((edits, [patient, *spoe_edits])):
            for old, new in changes:
                assert old in texts[i], old
                texts[i] = texts[i].replace(old, new)
        spoe = os.path.join(tmp, "spoe-otel-both.cfg")
        with open(spoe, "w", encoding="ascii") as file:
            file.write(texts[1])
        super().__init__(binary, tmp, texts[0],
                         {"APP_ADDR": origin, "AGENT_LOG_ADDR": where(agent, "udp"), "SPOE_CFG": spoe,
                          "AGENT1_ADDR": f"127.0.0.1:{agent.port}", **(env or {})})
