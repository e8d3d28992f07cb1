# SPDX-License-Identifier: Apache-2.0
"""Processes of the tests: start, wait for a line of their output, stop, never leave one behind.

    with Proc(["./server"], name="server") as server:
        port = server.wait_line(r"listening on \\S+:(\\d+)").group(1)
        ...
        assert server.terminate() == 0        # SIGTERM, then its exit status

    with SpoeHost(["--listen", "127.0.0.1:0"]) as host:    # returns when it is ready
        connect(host.port)

Nothing here sleeps for a guessed time: every wait is for an event and has a limit (LIMIT seconds,
SPOE_TEST_LIMIT), and a wait that fails shows the output of the process it waited for. The limits
are generous on purpose: they say when to give up, not how fast the thing should be.
"""

import os
import re
import signal
import socket
import subprocess
import threading
import time

# Seconds after which a wait gives up: the machine may be slow, and sanitizers make it slower.
LIMIT = float(os.environ.get("SPOE_TEST_LIMIT", "60"))

# Variables of the surroundings that would configure what is tested.
_OURS = re.compile(
    r"^(NOTIFY_SOCKET$|WATCHDOG_|LISTEN_|CREDENTIALS_DIRECTORY$|SPOE_|OTLP_|OTEL_|SERVICE_|SPAN_|GRPC_|.*_proxy$|.*_PROXY$|TRACING_DISABLED$"
    r"|TRACES_EXPORTER$|RETRY_TIMEOUT$|EXPORT_CONCURRENCY$|BATCH_|SAMPLE|KEEP_ERRORS$|KEEP_SLOWER_THAN$"
    r"|TRACE_BAD_REQUESTS$|TRACE_ONCE$|TRUST_INBOUND$|PROPAGATORS$|RESOURCE_ATTRIBUTES$|EXCLUDE_PATHS$|REDACT_QUERY$|KNOWN_METHODS$|SEMCONV$"
    r"|(VALUE_LENGTH|ATTRIBUTE_COUNT|EVENT_COUNT|LINK_COUNT)_LIMIT$|VARIABLES$)")


class Timeout(AssertionError):
    """A wait reached its limit, or what it waits for can no longer happen."""


def clean_env(extra=None):
    """The environment without the variables that configure spoe-host or a plugin, plus `extra`
    (a value of None removes the variable). The admin endpoint is off, since tests run side by side
    and its default port is one."""
    env = {k: v for k, v in os.environ.items() if not _OURS.match(k)}
    env["SPOE_ADMIN_ADDR"] = "off"
    for key, value in (extra or {}).items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = str(value)
    return env


def wait_until(condition, what, limit=None, interval=0.02):
    """Call condition() until it returns something true, and return that; Timeout with `what`
    after the limit. For things that give no event of their own (a port that opens, a page that
    changes). `what` may be a function that makes the text."""
    end = time.monotonic() + (LIMIT if limit is None else limit)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Timeout("waited in vain for " + (what() if callable(what) else what))
        time.sleep(interval)


class ReservedPort:
    """A TCP port of 127.0.0.1, chosen by the kernel and kept until close(): for processes that
    cannot tell which port they took, or that must come back on the same one.

    A socket is bound to it that never listens. So the kernel gives the port to nobody, neither to
    listen on nor to connect from; a process of the test can listen on it, again and again, with
    SO_REUSEADDR, as servers do; and connections are refused while none does."""

    def __init__(self):
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def close(self):
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Proc:
    """A child process whose standard output and error are collected line by line.

    name         what messages call it
    lines        what it wrote so far, a list that only grows; line ends are stripped
    pid          of the process
    echo         a function that is called with each line as it comes
    wait_line()  waits for a line that matches; wait() for the end; terminate() does SIGTERM + wait
    As a context manager it is killed at the end if it still runs (its whole process group), so a
    failed test leaves nothing behind; a test that cares about the exit calls terminate() itself.
    """

    def __init__(
        self, argv, name=None, env=None, cwd=None, pass_fds=(), stdin=subprocess.DEVNULL, echo=None
    ):
        self.argv = [str(a) for a in argv]
        self.name = name or os.path.basename(self.argv[0])
        self.lines = []
        self._news = threading.Condition()
        self._eof = False
        self._echo = echo
        self._popen = subprocess.Popen(
            self.argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_env() if env is None else env,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, name="read " + self.name, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self._popen.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if self._echo:
                self._echo(line)
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._eof = True
            self._news.notify_all()

    # -- output

    def text(self):
        with self._news:
            return "\n".join(self.lines)

    def report(self):
        """What to show when something about this process went wrong."""
        state = self._popen.poll()
        state = "running" if state is None else f"exit status {state}"
        return f"\n--- {self.name} (pid {self.pid}, {state}) wrote:\n{self.text()}\n---"

    def mark(self):
        """The number of lines so far: pass it as `start` to see only what comes later."""
        with self._news:
            return len(self.lines)

    def wait_line(self, pattern, limit=None, start=0):
        """Wait for a line at or after index `start` that matches (re.search); the match.
        Timeout at the limit, or as soon as the process has ended without such a line."""
        regex = re.compile(pattern)
        end = time.monotonic() + (LIMIT if limit is None else limit)
        seen = start
        with self._news:
            while True:
                while seen < len(self.lines):
                    match = regex.search(self.lines[seen])
                    if match:
                        return match
                    seen += 1
                left = end - time.monotonic()
                if self._eof or left <= 0:
                    break
                self._news.wait(left)
        raise Timeout(f"{self.name}: no line matches {pattern!r}{self.report()}")

    def count(self, pattern, start=0):
        """How many lines match so far."""
        regex = re.compile(pattern)
        with self._news:
            return sum(1 for line in self.lines[start:] if regex.search(line))

    # -- life

    def alive(self):
        return self._popen.poll() is None

    def signal(self, number):
        self._popen.send_signal(number)

    def pause(self):
        """SIGSTOP; returns when every thread has stopped."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self):
        """SIGCONT"""
        self.signal(signal.SIGCONT)

    def wait(self, limit=None):
        """Wait for the process's end and for the rest of its output; the exit status (negative: a
        signal's number)."""
        try:
            status = self._popen.wait(LIMIT if limit is None else limit)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} does not end{self.report()}") from None
        self._reader.join(LIMIT)
        return status

    def terminate(self, limit=None):
        """SIGTERM, then wait()."""
        self.signal(signal.SIGTERM)
        return self.wait(limit)

    def insist(self):
        """Send SIGTERM again and again, then wait(): the same one counts as a second one only some
        time after the first."""
        end = time.monotonic() + LIMIT
        while self.alive() and time.monotonic() < end:
            self.signal(signal.SIGTERM)
            time.sleep(0.05)
        return self.wait()

    def kill(self):
        """SIGKILL for the process and everything that it started. No error if it is gone."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._popen.wait()
        self._reader.join(LIMIT)
        # 2.4: also of a process that was killed before it could end with a status of its own
        if "WARNING: ThreadSanitizer" in self.text():
            raise AssertionError("a data race" + self.report())

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        if kind is not None:
            print(self.report())
        self.kill()


def run(argv, env=None, limit=None, cwd=None, stdin=None):
    """Run a command to its end: (exit status, output of both streams)."""
    with subprocess.Popen(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_env() if env is None else env,
        cwd=cwd,
    ) as popen:
        try:
            out, _ = popen.communicate(stdin, timeout=LIMIT if limit is None else limit)
        except subprocess.TimeoutExpired:
            popen.kill()
            out, _ = popen.communicate()
            raise Timeout(f"{argv} does not end, wrote:\n{out.decode('utf-8', 'replace')}") from None
        out = out.decode("utf-8", "replace")
        assert "WARNING: ThreadSanitizer" not in out, out
        return popen.returncode, out


def host_binary():
    """The spoe-host under test (SPOE_TEST_HOST)."""
    return os.environ["SPOE_TEST_HOST"]


def _says_listen(args):
    for arg, following in zip(args, [*args[1:], ""]):
        if arg.startswith("--listen"):
            return True
        if arg == "-f" and os.path.isfile(following):
            with open(following, encoding="utf-8", errors="replace") as conf:
                if re.search(r"^\s*listen\b", conf.read(), re.M):
                    return True
    return False


class SpoeHost(Proc):
    """A spoe-host, started and ready.

    args         its command line; `--listen` is 127.0.0.1:0 where neither args nor env nor a file of
                 theirs say another
    env          additions to the cleaned environment; no handler is called slow unless they or args say
                 when, since a machine with other work makes any of them so
    addresses    what it listens on, as its log says: real ports in place of 0
    port         the port of the first TCP address (None if there is none)
    admin        where the admin endpoint listens, as the log says; None where it is off (it is off
                 unless args or env say otherwise)
    wrap         what becomes the host by exec(), with its own arguments before these; pass_fds as Proc has it
    SPOE_TEST_HOST names the binary; SPOE_TEST_PLUGIN_DIR, if set, becomes SPOE_PLUGIN_DIR.
    """

    def __init__(self, args=(), env=None, name="spoe-host", wait=True, wrap=(), pass_fds=()):
        args = [str(a) for a in args]
        env = dict(env or {})
        if "SPOE_TEST_PLUGIN_DIR" in os.environ:
            env.setdefault("SPOE_PLUGIN_DIR", os.environ["SPOE_TEST_PLUGIN_DIR"])
        if "SPOE_ADDR" not in env and not _says_listen(args):
            env["SPOE_ADDR"] = "127.0.0.1:0"
        env.setdefault("SPOE_SLOW_HANDLE", "1h")
        super().__init__([*wrap, host_binary(), *args], name=name, env=clean_env(env),
                         pass_fds=pass_fds)
        self.addresses = []
        self.port = None
        self.admin = None
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def wait_ready(self):
        self.wait_line(r'component=host .*msg="?ready"?|"msg":\s*"ready"')
        for line in list(self.lines):
            match = re.search(r'listening on ([^\s"]+)', line)
            if match:
                self.addresses.append(match.group(1))
            match = re.search(r'admin on ([^\s"]+)', line)
            if match:
                self.admin = match.group(1)
        for address in self.addresses:
            if not address.startswith("unix:"):
                self.port = int(address.rsplit(":", 1)[1])
                break

    def _traces(self):
        return any("exporting to" in line for line in list(self.lines))

    def check_spans(self):
        """Where the otel plugin is loaded and the admin endpoint is on, spans have to add up."""
        from . import accounting  # it uses this module

        if self.admin and self.alive() and self._traces():
            accounting.check_metrics(self)

    def terminate(self, limit=None):
        """SIGTERM, then wait(). The spans have to add up before and after it."""
        from . import accounting

        self.check_spans()
        status = super().terminate(limit)
        if status == 0 and self._traces():
            accounting.check_totals(self)
        return status

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.check_spans()
        finally:
            super().__exit__(kind, value, trace)
