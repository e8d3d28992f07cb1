# SPDX-License-Identifier: Apache-2.0
"""A server of the tests as a process of its own, to be killed with SIGKILL and started again on the same port:

    python3 -m lib.serve auth_service|origin PORT

It has begun to listen when it writes "ready".
"""

import os
import signal
import sys

from . import procs
from .auth_service import AuthService
from .origin import Origin


class Served(procs.Proc):
    """It, running on a port that the test has reserved."""

    def __init__(self, kind, port):
        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        super().__init__([sys.executable, "-B", "-m", "lib.serve", kind, port], name=kind,
                         env={**procs.clean_env(), "PYTHONPATH": folder})
        try:
            self.wait_line("^ready$")
        except BaseException:
            self.kill()
            raise


if __name__ == "__main__":
    with {"auth_service": AuthService, "origin": Origin}[sys.argv[1]](port=int(sys.argv[2])):
        print("ready", flush=True)
        signal.pause()
