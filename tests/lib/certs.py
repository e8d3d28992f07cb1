# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the openssl program: a CA, a server's and a client's certificate
signed by it, and the certificate of a CA that signed neither."""

import os

from . import procs


def _openssl(*args):
    status, out = procs.run(["openssl", *args])
    assert status == 0, out


def _ca(directory, name):
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.pem",
        "-days", "2", "-subj", f"/CN=spoe-host tests {name}",
    )


def _signed(directory, ca, name, extensions):
    path = f"{directory}/{name}"
    with open(path + ".ext", "w", encoding="ascii") as file:
        file.write(extensions)
    _openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", path + ".key", "-out", path + ".csr", "-subj", f"/CN={name}",
    )
    _openssl(
        "x509", "-req", "-in", path + ".csr", "-CA", f"{directory}/{ca}.pem",
        "-CAkey", f"{directory}/{ca}.key", "-CAcreateserial", "-days", "2",
        "-extfile", path + ".ext", "-out", path + ".pem",
    )


class Certs:
    """Files in `directory`: ca, other_ca, server (localhost, 127.0.0.1), other_server of the other
    CA, client; path(name, "key") and read(name, "pem") give one file's path or its bytes."""

    def __init__(self, directory):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        _ca(self.directory, "ca")
        _ca(self.directory, "other_ca")
        _signed(
            self.directory, "ca", "server",
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
        )
        _signed(
            self.directory, "other_ca", "other_server",
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
        )
        _signed(self.directory, "ca", "client", "extendedKeyUsage=clientAuth\n")

    def path(self, name, kind="pem"):
        return f"{self.directory}/{name}.{kind}"

    def read(self, name, kind="pem"):
        with open(self.path(name, kind), "rb") as file:
            return file.read()

    def server(self, name="server"):
        """(key, certificate) as Collector's tls takes them."""
        return self.read(name, "key"), self.read(name)
