# SPDX-License-Identifier: Apache-2.0
"""One HAProxy and the servers behind it, for all kinds of requests (kinds.py)."""

import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor

from . import procs
from .log_proxy import LogProxy
from .procs import ReservedPort, wait_until
from .unruly import FullBacklog, Unruly

LUA = """core.register_service("hello", "http", function(applet)
    applet:set_status(200)
    applet:add_header("content-length", "3")
    applet:start_response()
    applet:send("lua")
end)
"""

# Frontends of their own, for what would not be right for a slow test on a loaded machine.
FRONTS = {"web": "timeout tarpit 500ms", "impatient": "timeout http-request 500ms",
          "listless": "timeout client 1s", "silent": "", "nowhere": ""}
BACKENDS = "    use_backend %[path,field(2,/)]\n    default_backend app\n"


def scene_text(text, kinds, tmp):
    """The configuration `text` with the frontends and backends of the table in place of its own. Its
    filter, if it has one, is that of all."""
    def indented(lines, me=""):
        return "".join(f"    {line}\n" for line in lines.replace("{me}", me).split("\n") if line)

    with open(os.path.join(tmp, "kinds.lua"), "w", encoding="ascii") as file:
        file.write(LUA)
    filters = "".join(re.findall(r"^ +filter .*\n", text, flags=re.M))
    text = re.sub(r"^(frontend|backend web-app) .*\n(?:(?: .*)?\n)*", "", text, flags=re.M)
    text = text.replace("    #option log-separate-errors", "    option log-separate-errors")
    # A client that leaves is noticed while a server is waited for: the default from 3.4 on.
    text = re.sub(r"^(defaults traced.*)$", r"\1\n    option abortonclose", text, flags=re.M)
    text = ("global\n.if version_atleast(3.1)\n    tune.lua.bool-sample-conversion normal\n.endif\n"
            f"    lua-load {tmp}/kinds.lua\n    stats socket {tmp}/kinds.sock level admin\n"
            + text + "\ncache kinds\n    total-max-size 4\n    max-age 60\n")
    rules = "".join(indented(kind.rule, f"{{ path_beg /{kind.name}/ }}") for kind in kinds)
    for front, own in FRONTS.items():
        text += (f"frontend {front} from traced\n    bind \"${{{front.upper()}_ADDR}}\"\n"
                 f"{filters}{indented(own)}{rules}"
                 + (BACKENDS if front != "nowhere" else ""))
    text += "backend app from traced-backend\n    server one {origin}\n"
    for kind in kinds:
        if kind.backend:
            own = kind.backend.replace("CACHE", "filter cache kinds\nhttp-request cache-use kinds\n"
                                       "http-response cache-store kinds")
            text += f"backend {kind.name} from traced-backend\n" + indented(own)
    return re.sub(r"\{(origin|refusing|full)\}", lambda m: f'"${{{m[1].upper()}_ADDR}}"', text)


class Scene(LogProxy):
    """A HAProxy that runs scene_text(), with the servers behind it.

    web      the port of the frontend that most use
    ports    those of all, by name
    origin   the server (unruly.py)
    """

    def __init__(self, binary, tmp, text, env):
        self._fronts = {name: ReservedPort() for name in FRONTS if name != "web"}
        self._refusing = ReservedPort()
        self._full = FullBacklog()
        self.origin = Unruly()
        self._socket = os.path.join(tmp, "kinds.sock")
        addresses = {f"{name.upper()}_ADDR": front.address for name, front in self._fronts.items()}
        super().__init__(binary, tmp, text,
                         {**env, **addresses, "ORIGIN_ADDR": self.origin.address,
                          "REFUSING_ADDR": self._refusing.address, "FULL_ADDR": self._full.address})
        self.web = self.port
        # It is bound by another name at first.
        wait_until(lambda: os.path.exists(self._socket), "HAProxy's socket")
        self.ports = {"web": self.port, **{name: f.port for name, f in self._fronts.items()}}

    def stat(self, proxy, server, column):
        """A number of `show stat`."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(procs.LIMIT)
            sock.connect(self._socket)
            sock.sendall(b"show stat\n")
            text = b""
            while data := sock.recv(65536):
                text += data
        first, *lines = text.decode().splitlines()
        at = first[2:].split(",").index(column)
        return next(int(cells[at] or 0) for cells in (line.split(",") for line in lines)
                    if cells[:2] == [proxy, server])

    def wait_stat(self, proxy, server, column, value):
        wait_until(lambda: self.stat(proxy, server, column) == value,
                   lambda: f"{column} of {proxy}/{server} to be {value}{self.report()}")

    def kill(self):
        self.origin.close()
        super().kill()
        self._full.close()
        for reserved in (self._refusing, *self._fronts.values()):
            reserved.close()


def ask_all(scene, kinds):
    """Make all requests at once: what their clients saw, by name. What went wrong with one is its
    own: an exception in the place of that."""
    with ThreadPoolExecutor(len(kinds)) as pool:
        futures = {kind.name: pool.submit(kind.ask, scene, kind.path) for kind in kinds}
        return {name: future.exception() or future.result() for name, future in futures.items()}
