"""TCP connections, as listed by the kernel.

spead2 reports that a sender closed its connection.  It does not report a connection that was reset
or whose sender vanished, nor the address of a sender, nor connections that wait to be accepted.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path

from receive.host.peer import Peer

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED, _CLOSE_WAIT = 0x01, 0x08
_LOCAL, _REMOTE, _STATE, _QUEUES, _INODE = 1, 2, 3, 4, 9


@dataclass(frozen=True)
class Connection:
    """A connection on which data can still come.

    Attributes
    ----------
    port
        Local port.
    accepted
        Whether a program has accepted it.
    waiting_bytes
        Bytes received and not read yet.
    """

    port: int
    accepted: bool
    waiting_bytes: int
    _remote: str

    @property
    def source(self) -> Peer:
        """The remote end."""
        address, _, port = self._remote.partition(":")
        # 32-bit words in native byte order.
        words = struct.iter_unpack(">I", bytes.fromhex(address))
        packed = b"".join(struct.pack("=I", word) for (word,) in words)
        found = ipaddress.ip_address(packed)
        return Peer(str(getattr(found, "ipv4_mapped", None) or found), int(port, 16))


def connections() -> list[Connection] | None:
    """Return all connections of this machine, unordered; None if the kernel lists none.

    None means that neither table in /proc/net can be read.
    """
    found: list[Connection] = []
    listed = False
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        listed = True
        for line in lines:
            fields = line.split()
            if int(fields[_STATE], 16) in {_ESTABLISHED, _CLOSE_WAIT}:
                found.append(
                    Connection(
                        port=int(fields[_LOCAL].rpartition(":")[2], 16),
                        # A connection that is not accepted yet has no inode.
                        accepted=fields[_INODE] != "0",
                        waiting_bytes=int(fields[_QUEUES].rpartition(":")[2], 16),
                        _remote=fields[_REMOTE],
                    )
                )
    return found if listed else None


def ports_in_use() -> set[int] | None:
    """Return the local ports with an accepted connection on which data can still come.

    None if the kernel's tables cannot be read.
    """
    found = connections()
    return None if found is None else {one.port for one in found if one.accepted}
