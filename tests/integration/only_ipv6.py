"""In a network that has IPv6 only: one observation, and the monitor asked; run as a script."""

from __future__ import annotations

import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

from tests.commands import ok, send, start_receiver

NAME, ADDRESS, MONITOR = "only6.example", "fd00:1::5", 8080


def main() -> None:
    folder, observation, transport, bound = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[3],
        sys.argv[4],
    )
    if bound == NAME:
        hosts = folder / "hosts"
        hosts.write_text(f"{ADDRESS} {NAME}\n")
        # In this process's own view of the files alone.
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    values = {
        "reception.bind_hostname": bound,
        "reception.transport": transport,
        "transmission.transport": transport,
        "transmission.channels_per_stream": 4,
        "monitor.port": MONITOR,
        "monitor.bind_hostname": bound,
    }
    receiver = start_receiver(folder, observation, values, flags=["--fail-on-loss"])
    connection = HTTPConnection(ADDRESS, MONITOR, timeout=30)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    host = bound if bound == NAME else f"[{ADDRESS}]"
    endpoints = ",".join(f"{host}:{port}" for port in receiver.ports)
    sent = send(receiver, observation, values | {"transmission.endpoints": endpoints})
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    ok("ms-diff", "--round-trip", observation, folder / "received.ms")


main()
