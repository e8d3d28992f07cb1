# SPDX-License-Identifier: Apache-2.0
"""Prometheus itself, of Debian's package `prometheus`, scraping a page: what it makes of it."""

import http.client
import json
import pathlib
import subprocess
import tempfile
import urllib.parse

from .procs import Proc, ReservedPort, wait_until


def promtool_check(text):
    """What promtool's linter says of a page in the text format; "": nothing."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.stdout.strip() or ("" if done.returncode == 0 else f"exit {done.returncode}")


class Prometheus:
    """One target, scraped every quarter of a second until the end of the `with`."""

    def __init__(self, address):
        self.target = address

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="prometheus-")
        path = pathlib.Path(self.folder.name)
        (path / "conf.yml").write_text(
            "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\n"
            "scrape_configs: [{job_name: t, static_configs: [{targets: ['" + self.target + "']}]}]\n")
        self.port = ReservedPort()
        self.address = self.port.address
        self.process = Proc(
            ["prometheus", f"--config.file={path}/conf.yml", f"--storage.tsdb.path={path}/data",
             f"--web.listen-address={self.address}", "--enable-feature=exemplar-storage"])
        return self

    def __exit__(self, *_):
        self.process.kill()
        print(self.process.report())
        self.port.close()
        self.folder.cleanup()

    def ask(self, path, **query):
        """What its API answers; None while it does not."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
            answer = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            assert self.process.alive(), "Prometheus has ended"
            return None
        finally:
            connection.close()
        return answer["data"] if answer["status"] == "success" else None

    def wait(self, path, what, **query):
        """Until there is something in the answer's data (or in its result)."""
        def found():
            data = self.ask(path, **query)
            return data.get("result") if isinstance(data, dict) and "result" in data else data

        return wait_until(found, what)
