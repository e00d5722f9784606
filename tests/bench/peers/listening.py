"""Sockets of a peer, and how it says that it is ready: as ``emu-recv --ready-file`` does."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def listen(count: int, buffer_bytes: int, *, tcp: bool) -> list[socket.socket]:
    sockets = []
    for _ in range(count):
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        opened.bind(("127.0.0.1", 0))
        if tcp:
            opened.listen()
        sockets.append(opened)
    return sockets


def announce(ready_file: str, sockets: Sequence[socket.socket]) -> None:
    ports = [opened.getsockname()[1] for opened in sockets]
    partial = Path(f"{ready_file}.partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "ports": ports}))
    partial.rename(ready_file)
