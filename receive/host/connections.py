"""Which TCP connections there are, as the kernel lists them.

spead2 tells when a sender closed its connection.  When a connection was reset, or its sender
vanished, spead2 stops reading and says nothing that a program could see; nor does it say whom a
connection is from, and who else waits.
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
        Our port.
    accepted
        Whether a program has it; else it waits for that.
    waiting_bytes
        What it has brought and nobody has read.
    """

    port: int
    accepted: bool
    waiting_bytes: int
    _remote: str

    @property
    def source(self) -> Peer:
        """Whom it is from."""
        address, _, port = self._remote.partition(":")
        # Words of 32 bits in the order of this machine.
        words = struct.iter_unpack(">I", bytes.fromhex(address))
        packed = b"".join(struct.pack("=I", word) for (word,) in words)
        found = ipaddress.ip_address(packed)
        return Peer(str(getattr(found, "ipv4_mapped", None) or found), int(port, 16))


def connections() -> list[Connection] | None:
    """Return all connections of this machine, in no order.

    Returns
    -------
    list of Connection, or None
        None where the system does not tell.
    """
    found: list[Connection] = []
    told = False
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        told = True
        for line in lines:
            fields = line.split()
            if int(fields[_STATE], 16) in {_ESTABLISHED, _CLOSE_WAIT}:
                found.append(
                    Connection(
                        port=int(fields[_LOCAL].rpartition(":")[2], 16),
                        # One that waits to be accepted has no inode yet.
                        accepted=fields[_INODE] != "0",
                        waiting_bytes=int(fields[_QUEUES].rpartition(":")[2], 16),
                        _remote=fields[_REMOTE],
                    )
                )
    return found if told else None


def ports_in_use() -> set[int] | None:
    """Return the local ports that have an accepted connection on which data can still come.

    Returns
    -------
    set of int, or None
        None where the system does not tell.
    """
    there = connections()
    return None if there is None else {one.port for one in there if one.accepted}
