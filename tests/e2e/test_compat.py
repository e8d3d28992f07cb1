# SPDX-License-Identifier: Apache-2.0
"""8.1: HAProxy files, environment and INI of 0.1 (tests/compat/0.1/) go on working, and give the
spans that 0.1 gave, but for what has been changed since on purpose: two tables below list it.

spans.json was written by 0.1 itself, with SPOE_COMPAT_RECORD=FILE in the environment of this test.
"""

import json
import os
import re

import pytest
from lib import haproxy as hap
from lib import procs
from lib.haproxy import HAProxy
from lib.procs import SpoeHost
from lib.traces import end

from conftest import host_env

DIRECTORY = os.path.join(hap.SOURCE, "tests", "compat", "0.1")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
LONG_STATE = "a=" + "1" * 200 + ",b=" + "2" * 200 + ",c=" + "3" * 200

# Path, headers, method, frontend.
REQUESTS = [
    ("/plain?a=1", {}, "GET", "web"),
    ("/agent", {"User-Agent": "curl/8", "Host": "shop.example:8443"}, "GET", "api"),
    ("/traced", {"traceparent": PARENT, "tracestate": STATE}, "GET", "web"),
    ("/long-state", {"traceparent": PARENT, "tracestate": LONG_STATE}, "GET", "web"),
    ("/unsampled", {"traceparent": PARENT[:-1] + "0"}, "GET", "web"),
    ("/invalid", {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"}, "GET", "web"),
    ("/posted", {}, "POST", "web"),
    ("/brewed", {}, "BREW", "web"),
    ("/status/404", {}, "GET", "web"),
    ("/status/500", {}, "GET", "api"),
    ("/" + "x" * 5000, {}, "GET", "web"),
    ("/healthz", {}, "GET", "web"),
    ("/excluded/1", {}, "GET", "web"),
]

# What has changed on purpose since 0.1, for spans of these files: attributes of every span of a kind,
# and fields of single spans, with what they may be now. ("OPTIONS *" has a url.path now, and a Host
# with a comma no server.address; both differ too much between versions of HAProxy to be here.)
ATTRIBUTES_CHANGED = {
    # 3.9: the authority's where it is known, in place of the peer's, which network.peer.* has.
    ("CLIENT", "server.address"): {"127.0.0.1", "shop.example"},
    ("CLIENT", "server.port"): {"ORIGIN", "FRONTEND", 8443},
}
AUTHORITIES = ("127.0.0.1:FRONTEND", "shop.example:8443")
FIELDS_CHANGED = {
    # 6.2: a tracestate above 512 bytes goes as a whole; 0.1 left members out.
    ("/long-state SERVER", "state"): {""},
    ("/long-state CLIENT", "state"): {""},
}


def file(name):
    with open(os.path.join(DIRECTORY, name), encoding="utf-8") as opened:
        return opened.read()


def environment():
    return dict(line.split("=", 1) for line in file("spoe-host.env").splitlines() if line[:1] not in "# ")


def plain(value, names):
    """A value without what differs from run to run."""
    return names.get(value, value) if isinstance(value, int) and value > 1023 else (
        re.sub(r"127\.0\.0\.1:(\d+)", lambda m: f"127.0.0.1:{names.get(int(m[1]), 'PORT')}", value)
        if isinstance(value, str) else value
    )


def described(spans, proxy, origin):
    """Spans by path and kind, as JSON has them."""
    names = {proxy.web: "FRONTEND", proxy.api: "FRONTEND", origin.port: "ORIGIN"}
    by_id = {span.span_id: span for span in spans}
    found = {}
    for span in spans:
        parent = by_id.get(span.parent_id)
        path = span.attributes.get("url.path") or parent.attributes["url.path"]
        assert f"{path[:64]} {span.kind}" not in found
        found[f"{path[:64]} {span.kind}"] = {
            "name": span.name,
            "parent": parent.kind if parent else "the caller" if span.parent_id else "none",
            "trace": span.trace_id if span.trace_id in PARENT else "new",
            "flags": span.flags,
            "state": span.trace_state,
            "status": span.status,
            "events": len(span.events),
            "resource": {k: v for k, v in span.resource.items() if "instance" not in k and k[:4] in ("serv", "depl")},
            "attributes": {
                k: plain(v, names) for k, v in sorted(span.attributes.items())
                if k not in ("client.port", "haproxy.time.queue", "haproxy.time.connect",
                             "haproxy.time.response")
                and not (k == "network.peer.port" and span.kind == "SERVER")
            },
        }
    return found


def run_all(proxy):
    for path, headers, method, frontend in REQUESTS:
        answer = proxy.get(path, headers=headers, method=method, port=getattr(proxy, frontend))
        assert answer.status in (200, 404, 500) and answer.otel_status is None


def compare(now, then):
    assert now.keys() == then.keys()
    for name, old in then.items():
        new, kind = now[name], name.rsplit(" ", 1)[1]
        for key, value in old["attributes"].items():
            allowed = set(ATTRIBUTES_CHANGED.get((kind, key), ()))
            if (kind, key) == ("CLIENT", "url.full"):  # 3.9: the authority's as well
                allowed = {value.replace("127.0.0.1:ORIGIN", host) for host in AUTHORITIES}
            if new["attributes"].get(key) in allowed:
                new["attributes"][key] = value
        for key, value in old.items():
            allowed = FIELDS_CHANGED.get((name, key))
            if allowed:
                assert value not in allowed and new[key] in allowed
                new[key] = value
        assert new == old, name


@pytest.mark.parametrize("settings", ["environment", "ini"])
@pytest.mark.parametrize("name", ["spoe-otel.cfg", "spoe-otel-3.x.cfg"])
def test_old_files_give_the_old_spans(binary, version, tmp, collector, origin, name, settings):
    if name == "spoe-otel-3.x.cfg" and version < (3, 0):
        return  # these refuse it, as they did
    config = hap.Config(tmp)
    config.main, config.spoe = file("haproxy.cfg"), file(name)
    config.edit_main(r"^global\n", f"global\n    stats socket {config.socket} level admin\n")
    config.relax().show_status()
    args, env = [], {"OTLP_ENDPOINT": collector.endpoint, "SPOE_PROCESSING_TIMEOUT": "10s"}
    if settings == "ini":
        path = os.path.join(tmp, "spoe-host.ini")
        with open(path, "w", encoding="utf-8") as opened:
            opened.write(file("spoe-host.ini"))
        args = ["-f", path, "--listen", "127.0.0.1:0"]
    else:
        env = {**environment(), **env}
    with SpoeHost(args, env=env) as host:
        with HAProxy(binary, config, [host.port], origin.address) as proxy:
            run_all(proxy)
            end(host)
            found = described(collector.spans, proxy, origin)
        assert not host.count(r"level=(warning|err)"), host.report()
    record = os.environ.get("SPOE_COMPAT_RECORD")
    if record:
        with open(record, "a", encoding="utf-8") as opened:
            opened.write(json.dumps({name: found}) + "\n")
        return
    compare(found, json.loads(file("spans.json"))[name])


def test_every_option_of_old_is_known():
    """Each key and variable of 0.1, with the values that they had: not one is an error or unknown."""
    env = {"SPOE_PLUGIN_DIR": os.environ["SPOE_TEST_PLUGIN_DIR"]}
    status, out = procs.run(
        [procs.host_binary(), "-t", "-f", os.path.join(DIRECTORY, "all.ini")], env=procs.clean_env(env)
    )
    assert status == 0 and "unknown" not in out, out
    names = dict(line.split("=", 1) for line in file("all.env").splitlines() if line[:1] not in "# ")
    assert len(names) > 60
    status, out = procs.run([procs.host_binary(), "-t"], env=procs.clean_env({**names, **env}))
    assert status == 0 and "unknown" not in out, out
