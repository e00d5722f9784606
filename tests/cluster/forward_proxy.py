"""A forward proxy on this machine, as a site's pods find one on their way out: tinyproxy."""

from __future__ import annotations

import re
import socket
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.packages import path_of
from tests.commands import TIMEOUT_S
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REQUEST = re.compile(r"Request \(file descriptor \d+\): (\S+) (\S+) HTTP/")


@dataclass(frozen=True)
class ForwardProxy:
    """A proxy that is up.

    Attributes
    ----------
    user, password
        What it asks for.
    log_path
        Where it writes what it was asked for.
    """

    address: str
    port: int
    user: str
    password: str
    log_path: Path

    @property
    def server(self) -> str:
        """Value of ``proxy.server``."""
        return f"{self.user}:{self.password}@{self.address}:{self.port}"

    def requests(self) -> list[tuple[str, str]]:
        """Return the method and URL of all requests."""
        return _REQUEST.findall(self.log_path.read_text())


@contextmanager
def proxying(folder: Path, address: str, user: str, password: str) -> Iterator[ForwardProxy]:
    """Run a proxy as long as this lasts."""
    # It cannot let the system choose by itself.
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    log_path = folder / "proxy.log"
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(
        f"Listen {address}\n"
        f"Port {port}\n"
        f"BasicAuth {user} {password}\n"
        f'LogFile "{log_path}"\n'
        "LogLevel Connect\n"
        "Timeout 60\n"
        "MaxClients 100\n"
    )
    program = path_of("tinyproxy")
    assert program is not None, "there is no tinyproxy: install Debian's tinyproxy-bin"
    process = subprocess.Popen(
        [program, "-d", "-c", configuration],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(address, port), "the proxy answers")
        yield ForwardProxy(address, port, user, password, log_path)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=5):
        return True
    return False
