"""The cluster's certificates and the kubeconfig files that hold them, made with openssl.

Good for a few days: a bed is not kept longer, and its key is not worth stealing after.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from testbed.network import run

if TYPE_CHECKING:
    from pathlib import Path

DAYS = "30"


class Authority:
    """A certificate authority in a folder.

    Attributes
    ----------
    folder
        Where it and the certificates it gives are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self._given = 1
        self._make_key(self.key)
        usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
        run(
            *("openssl", "req", "-x509", "-new", "-key", str(self.key), "-out", str(self.file)),
            *("-subj", "/CN=vis-receive-bed", "-days", DAYS, "-addext", usage),
        )

    @property
    def file(self) -> Path:
        """Certificate of the authority."""
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        """Key of the authority."""
        return self.folder / "ca.key"

    def give(
        self, name: str, common: str, organisation: str = "", hosts: tuple[str, ...] = ()
    ) -> tuple[Path, Path]:
        """Make a key with a certificate for a client, and for a server when it has hosts.

        Parameters
        ----------
        name
            Names of the files.
        common, organisation
            User and group that Kubernetes takes the bearer to be.
        hosts
            Addresses (``IP:``) and names (``DNS:``) of a server.

        Returns
        -------
        tuple of Path
            The certificate and the key.
        """
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        subject = f"/O={organisation}/CN={common}" if organisation else f"/CN={common}"
        purposes = "serverAuth,clientAuth" if hosts else "clientAuth"
        lines = [f"extendedKeyUsage={purposes}", "keyUsage=critical,digitalSignature"]
        if hosts:
            lines.append("subjectAltName=" + ",".join(hosts))
        extensions.write_text("\n".join(lines) + "\n")
        self._given += 1
        self._make_key(key)
        run("openssl", "req", "-new", "-key", str(key), "-out", str(request), "-subj", subject)
        run(
            *("openssl", "x509", "-req", "-in", str(request), "-out", str(certificate)),
            *("-CA", str(self.file), "-CAkey", str(self.key), "-days", DAYS),
            *("-set_serial", str(self._given), "-extfile", str(extensions)),
        )
        return certificate, key

    def signing_key(self, name: str) -> tuple[Path, Path]:
        """Make a pair of keys, for tokens; return the public and the private one."""
        public, private = self.folder / f"{name}.pub", self.folder / f"{name}.key"
        self._make_key(private)
        run("openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public))
        return public, private

    def _make_key(self, path: Path) -> None:
        curve = "ec_paramgen_curve:prime256v1"
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", str(path))

    def kubeconfig(self, path: Path, server: str, pair: tuple[Path, Path], context: str) -> Path:
        """Write a kubeconfig for the bearer of a certificate."""
        certificate, key = pair
        # JSON is YAML, and needs no library to be written.
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [
                {
                    "name": context,
                    "cluster": {"server": server, "certificate-authority-data": _data(self.file)},
                }
            ],
            "users": [
                {
                    "name": context,
                    "user": {
                        "client-certificate-data": _data(certificate),
                        "client-key-data": _data(key),
                    },
                }
            ],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2))
        return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
