"""Which TCP connections are alive, as the kernel lists them.

spead2 tells when a sender closed its connection.  When a connection was reset, or its sender
vanished, spead2 stops reading and says nothing that a program could see.
"""

from __future__ import annotations

from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED, _CLOSE_WAIT = 0x01, 0x08
_LOCAL, _STATE, _INODE = 1, 3, 9


def ports_in_use() -> set[int] | None:
    """Return the local ports that have an accepted connection on which data can still come.

    Returns
    -------
    set of int, or None
        None where the system does not tell.
    """
    ports: set[int] = set()
    told = False
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        told = True
        for line in lines:
            fields = line.split()
            # A connection that waits to be accepted has no inode yet.
            alive = int(fields[_STATE], 16) in {_ESTABLISHED, _CLOSE_WAIT}
            if alive and fields[_INODE] != "0":
                ports.add(int(fields[_LOCAL].rpartition(":")[2], 16))
    return ports if told else None
