"""What receiving costs: coefficients that `make sizing` measured, and how good they are.

A receiver's work in a second is counted (`Work`), each kind of it has a cost, and the CPU that the
receiver takes is the sum of the products.  The costs are of the machine that is named with them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from receive.sizing.shape import Shape, Wire

COSTS_FILE = "costs.json"
FORMAT_VERSION = 1

WORK = {
    "tcp_byte": "a byte of records over TCP",
    "udp_byte": "a byte of records over UDP",
    "udp_packet": "a packet over UDP",
    "heap": "a heap",
    "look": "a look of the collector that finds integrations",
    "stream": "a stream for a second",
    "process": "a receiver for a second",
    "quiet_tcp": "a receiver for a second whose connections are quiet at times",
    "set_byte": "a byte of a Measurement Set",
    "set_row": "a row of a Measurement Set",
    "set_dump": "an integration of a Measurement Set",
}
"""The kinds of work, and what one of each is."""

LOOK_S = 0.01
"""`receive.run.polling.POLL_S`."""

QUIET_S = 0.5
"""`stream.network.tcp.LOST_CHECK_S`: on a connection that was quiet for so long, the receiver
asks the kernel whether it still lives."""

SERIAL_WRITING = ("set_row", "set_dump")
"""Work of the writer's one thread; the tiles (``set_byte``) may be shared out among several."""

MEMORY = {
    "process": "a receiver",
    "stream": "a stream",
    "writer": "a receiver that writes a Measurement Set",
    "set_row": "a row of an integration that is written",
}
"""What memory beside the buffers is for."""


def work(shape: Shape, wire: Wire, *, writes: bool) -> dict[str, float]:
    """Return how much of each kind of work one receiver does in a second.

    Parameters
    ----------
    shape
        What it takes.
    wire
        How that comes.
    writes
        Whether it writes a Measurement Set.
    """
    udp = wire.transport == "udp"
    return {
        "tcp_byte": 0.0 if udp else shape.bytes_per_s,
        "udp_byte": shape.bytes_per_s if udp else 0.0,
        "udp_packet": shape.packets_per_s(wire) if udp else 0.0,
        "heap": shape.heaps_per_s,
        # The next look comes so long after one that found something, and may find several.
        "look": shape.dumps_per_s / (1 + shape.dumps_per_s * LOOK_S),
        "stream": float(shape.streams),
        "process": 1.0,
        "quiet_tcp": float(not udp and shape.interval_s > QUIET_S),
        "set_byte": shape.set_bytes_per_s * writes,
        "set_row": shape.baselines * shape.dumps_per_s * writes,
        "set_dump": shape.dumps_per_s * writes,
    }


def memory_work(shape: Shape, *, writes: bool) -> dict[str, float]:
    """Return how much of each kind one receiver holds beside its buffers."""
    return {
        "process": 1.0,
        "stream": float(shape.streams),
        "writer": float(writes),
        "set_row": float(shape.baselines * writes),
    }


@dataclass(frozen=True)
class Costs:
    """Measured costs.

    Attributes
    ----------
    cpu_s : dict of str to float
        CPU seconds, for each of `WORK`.
    memory_bytes : dict of str to float
        Bytes, for each of `MEMORY`.
    cpu_error, cpu_floor : float
        Error of a prediction, relative to itself and so much of a core for each receiver: twice
        the root mean square of what was found when each shape was predicted from all the others.
    date, machine : str
        When and on what they were measured.
    document : dict
        All that `make sizing` wrote: points, residuals, the check.
    """

    cpu_s: dict[str, float]
    memory_bytes: dict[str, float]
    cpu_error: float
    cpu_floor: float
    date: str
    machine: str
    document: dict[str, Any]

    @classmethod
    def load(cls, path: Path | None = None) -> Costs:
        """Read the costs that are delivered, or those of another machine.

        Raises
        ------
        InputError
            If the file is missing or is none of `make sizing`.
        """
        source = files("receive.sizing") / COSTS_FILE if path is None else path
        try:
            return cls.from_document(json.loads(source.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"{source} cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{source} holds no costs of this version ({error!r}): write them anew with "
                "make sizing"
            ) from error

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Costs:
        """Return the costs of a document of `make sizing`; `ValueError` if it is something else."""
        if document["format"] != FORMAT_VERSION:
            raise ValueError(f"format {document['format']}, not {FORMAT_VERSION}")
        cpu, memory = document["cpu_s"], document["memory_bytes"]
        for name, found, kinds in (("cpu_s", cpu, WORK), ("memory_bytes", memory, MEMORY)):
            if found.keys() != kinds.keys() or min(map(float, found.values())) < 0:
                raise ValueError(f"{name} are not the costs of {', '.join(kinds)}")
        return cls(
            cpu_s={kind: float(value) for kind, value in cpu.items()},
            memory_bytes={kind: float(value) for kind, value in memory.items()},
            cpu_error=float(document["cpu_error"]),
            cpu_floor=float(document["cpu_floor"]),
            date=str(document["measured"]["date"]),
            machine=str(document["measured"]["machine"]),
            document=document,
        )

    def cores(self, amounts: dict[str, float], *kinds: str) -> float:
        """Return the CPU seconds a second that work takes; of some kinds only, if they are named.

        Parameters
        ----------
        amounts
            Of `work`.
        """
        return sum(self.cpu_s[kind] * amounts[kind] for kind in kinds or WORK)

    def memory(self, amounts: dict[str, float]) -> float:
        """Return the bytes beside the buffers; `amounts` are those of `memory_work`."""
        return sum(self.memory_bytes[kind] * amounts[kind] for kind in MEMORY)


def vector(amounts: dict[str, float], kinds: dict[str, str]) -> NDArray[np.float64]:
    """Return amounts in the order of the kinds."""
    return np.array([amounts[kind] for kind in kinds])
