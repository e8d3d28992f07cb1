# SPDX-License-Identifier: Apache-2.0
"""HAProxy for tests, with the files that users get (haproxy/), changed only where a test says so.

    config = Config(tmp_path)                       # haproxy.cfg and spoe-otel.cfg as they are
    config.relax()                                  # ... and patient with a slow machine
    with HAProxy(binary, config, agents=[host.port], origin=origin.address) as haproxy:
        haproxy.get("/path")
"""

import http.client
import os
import re
import signal
import socket

from . import procs
from .procs import Proc, ReservedPort, clean_env, wait_until

SOURCE = os.environ.get("SPOE_TEST_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)


def source_text(name):
    with open(os.path.join(SOURCE, "haproxy", name), encoding="ascii") as file:
        return file.read()


def version(binary):
    """The version as a tuple, (2, 6, 12), and the text that says it."""
    status, out = procs.run([binary, "-v"])
    match = re.search(r"version (\d+)\.(\d+)(?:\.(\d+))?\S*", out)
    assert status == 0 and match, out
    return tuple(int(n or 0) for n in match.groups()), match.group(0).split()[1]


class Config:
    """The texts of haproxy.cfg (`main`) and of the SPOE file (`spoe`), to be changed before start.
    edit() fails where a text that is to be replaced is not there, so that a change in haproxy/
    cannot turn a test into one that tests something else."""

    def __init__(self, directory, spoe="spoe-otel.cfg"):
        self.directory = str(directory)
        self.main = source_text("haproxy.cfg")
        self.spoe = source_text(spoe)
        self.socket = os.path.join(self.directory, "haproxy.sock")
        self.edit_main(r"^global\n", f"global\n    stats socket {self.socket} level admin\n")

    def edit_main(self, pattern, replacement, count=0):
        self.main, found = re.subn(pattern, replacement, self.main, count=count, flags=re.M)
        assert found, f"haproxy.cfg has no {pattern!r}"

    def edit_spoe(self, pattern, replacement, count=0):
        self.spoe, found = re.subn(pattern, replacement, self.spoe, count=count, flags=re.M)
        assert found, f"the SPOE file has no {pattern!r}"

    def relax(self, processing="20s"):
        """Wait for the agent as long as it takes: for tests that are not about time-outs, on
        machines where 15 ms may pass while nobody runs."""
        self.edit_spoe(r"timeout processing .*", f"timeout processing {processing}")
        return self

    def show_status(self):
        """Responses carry X-Otel-Status (what the SPOE file calls set-on-error; "-" if unset), also
        HAProxy's own."""
        name = "txn.otel." + re.search(r"option set-on-error (\S+)", self.spoe).group(1)
        self.edit_main(
            r"^    default_backend ",
            f"    http-after-response set-header X-Otel-Status %[var({name})] if {{ var({name}) -m found }}\n"
            "    http-after-response set-header X-Otel-Traceparent %[var(txn.otel.traceparent)]"
            " if { var(txn.otel.traceparent) -m found }\n"
            "    default_backend ",
        )
        return self

    def threads(self, count):
        self.edit_main(r"^global\n", f"global\n    nbthread {count}\n", count=1)
        return self

    def write(self):
        path = os.path.join(self.directory, "haproxy.cfg")
        spoe = os.path.join(self.directory, "spoe-otel.cfg")
        for name, text in ((path, self.main), (spoe, self.spoe)):
            with open(name, "w", encoding="ascii") as file:
                file.write(text)
        return path, spoe


def check(binary, config_path, env, extra=()):
    """haproxy -c with warnings as errors: (exit status, output)."""
    return procs.run([binary, "-dW", *extra, "-c", "-f", config_path], env=clean_env(env))


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # http.client's message: names in any case
        self.body = body

    @property
    def otel_status(self):
        return self.headers.get("X-Otel-Status")

    @property
    def origin_traceparent(self):
        return self.headers.get("X-Origin-Traceparent")


class Client:
    """One HTTP/1.1 connection that is kept alive."""

    def __init__(self, port):
        self._conn = http.client.HTTPConnection("127.0.0.1", port, timeout=procs.LIMIT)

    def request(self, method, path, headers=None, body=None):
        self._conn.request(method, path, body=body, headers=headers or {})
        response = self._conn.getresponse()
        return Response(response.status, response.headers, response.read())

    def close(self):
        self._conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class HAProxy(Proc):
    """A HAProxy that runs a Config, ready when it returns.

    web, api    the ports of the two frontends
    agents      addresses of agent1 and agent2: a port of 127.0.0.1, or what `server` takes
    origin      "host:port" for both origin backends, or a pair
    master      run with a master process, for reload()
    """

    def __init__(self, binary, config, agents, origin, env=None, master=False, name="haproxy"):
        self.config = config
        self.binary = binary
        self._ports = [ReservedPort(), ReservedPort()]  # it does not tell which it took
        self.web, self.api = (reserved.port for reserved in self._ports)
        agents = [f"127.0.0.1:{a}" if isinstance(a, int) else a for a in agents]
        origins = (origin, origin) if isinstance(origin, str) else origin
        path, spoe = config.write()
        self.env = {
            "WEB_ADDR": f"127.0.0.1:{self.web}",
            "API_ADDR": f"127.0.0.1:{self.api}",
            "APP_ADDR": origins[0],
            "API_SERVER_ADDR": origins[1],
            "AGENT1_ADDR": agents[0],
            "SPOE_OTEL_CFG": spoe,
            **(env or {}),
        }
        if len(agents) > 1:
            self.env["AGENT2_ADDR"] = agents[1]
        else:
            config.main = re.sub(r"^    server agent2 .*\n", "", config.main, flags=re.M)
            config.write()
        self.master_socket = config.socket + ".master"
        mode = ["-W", "-S", self.master_socket] if master else ["-db"]
        super().__init__([binary, *mode, "-f", path], name=name, env=clean_env(self.env))
        try:
            wait_until(self._answers, lambda: f"HAProxy to answer{self.report()}")
            if master:  # which ignores signals until it is through with its start
                wait_until(
                    lambda: self.cli("show proc", self.master_socket),
                    lambda: f"the master to answer{self.report()}",
                )
        except BaseException:
            self.kill()
            raise

    def kill(self):
        super().kill()
        for reserved in self._ports:
            reserved.close()

    def _answers(self):
        assert self.alive(), self.report()
        return self.cli("show info") is not None

    # -- its command line

    def cli(self, command, path=None):
        """The answer to a command of the stats socket, None where it does not answer."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(procs.LIMIT)
            try:
                sock.connect(path or self.config.socket)
                sock.sendall(command.encode() + b"\n")
                sock.shutdown(socket.SHUT_WR)  # a master waits for more commands otherwise
                parts = []
                while chunk := sock.recv(65536):
                    parts.append(chunk)
            except OSError:
                return None
        return b"".join(parts).decode("utf-8", "replace") or None

    def server_up(self, backend, server):
        """Whether the server is up, by `show stat`."""
        for line in (self.cli("show stat") or "").splitlines():
            cells = line.split(",")
            if cells[:2] == [backend, server]:
                return cells[17].startswith("UP")
        return None

    def wait_agent(self, up=True, server="agent1"):
        wait_until(
            lambda: self.server_up("spoe-host", server) is up,
            lambda: f"{server} to be {'up' if up else 'down'}{self.report()}",
        )

    def pid_of_worker(self):
        match = re.search(r"^Pid: (\d+)", self.cli("show info") or "", flags=re.M)
        return int(match.group(1)) if match else None

    def reload(self):
        """SIGUSR2 to the master; returns when a new worker answers."""
        worker = self.pid_of_worker()
        self.signal(signal.SIGUSR2)
        wait_until(
            lambda: self.pid_of_worker() not in (None, worker),
            lambda: f"the new worker{self.report()}",
        )

    # -- requests

    def get(self, path="/", headers=None, port=None, method="GET", body=None):
        """One request over a connection of its own."""
        with Client(port or self.web) as client:
            return client.request(method, path, {"Connection": "close", **(headers or {})}, body)

    def curl(self, *args, base, paths):
        """All paths by one curl: (protocol version, status, number of connections made) each."""
        status, out = procs.run(
            ["curl", "-sS", "-w", "%{http_version} %{http_code} %{num_connects}\\n"]
            + [word for path in paths for word in ("-o", "/dev/null", base + path)]
            + list(args)
        )
        assert status == 0, out + self.report()
        # -Z shows its progress whatever -s says
        return re.findall(r"^([0-9.]+) (\d{3}) (\d+)$", out, flags=re.M)


