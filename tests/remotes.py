"""Real remotes for tests: rclone serving a folder over WebDAV, S3, SFTP, HTTP, with credentials."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.commands import BIN, TIMEOUT_S
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RCLONE = BIN / "rclone"
USER, PASSWORD = "observer", "quiet-password"
LOCAL = "127.0.0.1"
_STARTED = re.compile(r"on (?:\[(https?)://[0-9.]+:([0-9]+)/\]|[0-9.]+:([0-9]+))")


@dataclass(frozen=True)
class Remote:
    """A remote that is up.

    Attributes
    ----------
    root
        The folder it serves; ``bucket`` in it is one of S3.
    """

    kind: str
    port: int
    root: Path
    address: str = LOCAL
    scheme: str = "http"

    def config(self, name: str = "far", password: str = PASSWORD) -> str:
        """Return what an rclone.conf has for it."""
        return config(self.kind, self.port, name, password, self.address, self.scheme)


def config(
    kind: str,
    port: int,
    name: str = "far",
    password: str = PASSWORD,
    address: str = LOCAL,
    scheme: str = "http",
) -> str:
    """Return what an rclone.conf has for a remote on a port."""
    url = f"{scheme}://{address}:{port}"
    if kind in {"webdav", "sftp"}:
        done = subprocess.run(
            [RCLONE, "obscure", password], capture_output=True, text=True, check=True
        )
        place = {
            "webdav": [f"url = {url}", "vendor = other"],
            "sftp": [f"host = {address}", f"port = {port}"],
        }
        lines = [*place[kind], f"user = {USER}", f"pass = {done.stdout.strip()}"]
    elif kind == "http":
        lines = [f"url = {scheme}://{USER}:{password}@{address}:{port}"]
    else:
        lines = [
            "provider = Rclone",
            f"endpoint = {url}",
            f"access_key_id = {USER}",
            f"secret_access_key = {password}",
        ]
    return "\n".join([f"[{name}]", f"type = {kind}", *lines, ""])


def serve_command(
    kind: str, root: Path | str, where: str, *, anonymous: bool = False
) -> list[str | Path]:
    """Return rclone's arguments to serve a folder at ``address:port``."""
    credentials = {
        "s3": ["--auth-key", f"{USER},{PASSWORD}"],
    }.get(kind, ["--user", USER, "--pass", PASSWORD])
    command = ["serve", kind, root, "--config=", f"--addr={where}"]
    return command if anonymous else command + credentials


@contextmanager
def serving(
    kind: str,
    root: Path,
    port: int = 0,
    address: str = LOCAL,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Remote]:
    """Serve a folder as long as this lasts; one of rclone's kinds, over TLS by a pair of files."""
    # SFTP makes its keys there.
    keys = [f"--cache-dir={root.with_name('cache')}"]
    tls = ["--cert", certificate[0], "--key", certificate[1]] if certificate else []
    (root / "bucket").mkdir(parents=True, exist_ok=True)
    log_path = root.with_name(f"{root.name}.log")
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [RCLONE, *serve_command(kind, root, f"{address}:{port}"), *tls, *keys],
            stderr=log,
            stdout=log,
        )
    try:
        wait_until(
            lambda: _STARTED.search(log_path.read_text()) or process.poll() is not None,
            f"rclone serves {kind}",
        )
        started = _STARTED.search(log_path.read_text())
        assert started is not None, log_path.read_text()
        yield Remote(kind, int(started[2] or started[3]), root, address, started[1] or "http")
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)
