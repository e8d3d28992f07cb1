# SPDX-License-Identifier: Apache-2.0
"""A service manager in systemd's place, as far as a service sees it: sd_notify(3)'s socket, the
watchdog's variables, and sockets that it holds and hands over (sd_listen_fds(3)).

    with Manager(tmp_path) as manager:
        host = start("slots", env=manager.env(watchdog=2))
        manager.wait(READY="1")
        host.signal(signal.SIGHUP)
        reloading = manager.wait(RELOADING="1")

    log = socket.socket(...)                     # bound, and kept by the test
    host = start("from_log", args=["--log-listen", "fd:log"], **handing_over([("log", log)]))
"""

import os
import select
import socket
import sys
import time

from .procs import LIMIT, Timeout


class Manager:
    """abstract: an address without a file. seen: all messages so far, each as a dict."""

    def __init__(self, folder, abstract=False):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if abstract:
            self.sock.bind(b"\0spoe-host-test-%d-%d" % (os.getpid(), id(self)))
            self.address = "@" + self.sock.getsockname()[1:].decode()
        else:
            self.address = str(folder / "notify")
            self.sock.bind(self.address)
        self.seen = []

    def env(self, watchdog=None, **more):
        """watchdog: seconds"""
        env = {"NOTIFY_SOCKET": self.address, **more}
        if watchdog is not None:
            env["WATCHDOG_USEC"] = int(watchdog * 1e6)
        return env

    def read(self):
        """The next message, which is there."""
        lines = self.sock.recv(65536).decode().split("\n")
        self.seen.append(dict(line.split("=", 1) for line in lines))
        return self.seen[-1]

    def read_all(self):
        """What is there."""
        messages = []
        while select.select([self.sock], [], [], 0)[0]:
            messages.append(self.read())
        return messages

    def wait(self, condition=None, **wanted):
        """Read messages until one has these fields and meets the condition; that one."""
        end = time.monotonic() + LIMIT
        while select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
            message = self.read()
            if all(message.get(k) == v for k, v in wanted.items()) and (
                    condition is None or condition(message)):
                return message
        raise Timeout(f"no message with {wanted}, but {self.seen}")

    def wait_status(self, words):
        return self.wait(lambda message: words in message.get("STATUS", ""))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# The descriptors after the arguments' count become 3, 4, ... of the same process.
_BECOME = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",") if fd]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n)
os.closerange(3 + len(fds), 256)
os.environ["LISTEN_PID"] = sys.argv[2] or str(os.getpid())
os.execv(sys.argv[3], sys.argv[3:])
"""


def handing_over(sockets, env=None, names=True, pid=""):
    """Keyword arguments for a SpoeHost that inherits sockets, a list of (name, socket or descriptor).
    names: LISTEN_FDNAMES is there. pid: of another process, for whom they are then."""
    fds = [s if isinstance(s, int) else s.fileno() for _name, s in sockets]
    env = {**(env or {}), "LISTEN_FDS": len(fds)}
    if names:
        env["LISTEN_FDNAMES"] = ":".join(name for name, _socket in sockets)
    return {"env": env, "pass_fds": fds, "wrap": [
        sys.executable, "-S", "-c", _BECOME, ",".join(map(str, fds)), str(pid)]}
