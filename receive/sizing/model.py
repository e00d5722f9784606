"""What a telescope's shape takes: receivers, cores, memory, disks, network ports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError
from receive.sizing.costs import SERIAL_WRITING, memory_work, work
from receive.sizing.shape import Wire
from receive.stream.table.layout import MIN_POOL_DUMPS

if TYPE_CHECKING:
    from receive.sizing.costs import Costs
    from receive.sizing.shape import Shape

WRITER_THREADS = 4
"""Threads that fill tiles, at most: `receive.measurement_set.write.convert.MAX_THREADS`."""


@dataclass(frozen=True)
class Site:
    """What there is to receive with, and how much of it is to be used.

    Attributes
    ----------
    core_use : float
        Part of a core that may be planned with.  The rest is for the kernel's work on packets,
        which is not the receiver's, for bursts, and for what else the machine does.
    link_use : float
        Part of a disk's and a port's rate that may be planned with.
    disk_bytes_per_s : float
        What one disk, or one array of disks with one file system, writes for hours.
    port_bytes_per_s : float
        Rate of a network port.
    receiver_memory_bytes : float
        The most that one receiver may have.
    stall_s : float
        How long the disk may stand still before integrations are dropped.
    writer_threads : int
        Cores that a receiver may use to fill tiles.
    """

    core_use: float = 0.5
    link_use: float = 0.8
    disk_bytes_per_s: float = 2e9
    port_bytes_per_s: float = 12.5e9
    receiver_memory_bytes: float = 64e9
    stall_s: float = 5.0
    writer_threads: int = WRITER_THREADS

    def __post_init__(self) -> None:
        for name in ("core_use", "link_use"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name.replace('_', ' ')} = {getattr(self, name):g}: give a part, more than "
                    "0 and at most 1"
                )
        for name in ("disk_bytes_per_s", "port_bytes_per_s", "receiver_memory_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name.replace('_', ' ')} = {getattr(self, name):g}: give more than 0"
                )
        if not self.stall_s >= 0:
            raise ConfigError(f"stall = {self.stall_s:g} s: give 0 or more")


DEFAULT_SITE = Site()
_AS_GOOD = 1 + 1e-9
_LONGER = "give longer integrations"


@dataclass(frozen=True)
class Limit:
    """One thing of which a receiver has only so much.

    Attributes
    ----------
    what
        As people read it.
    load
        The part of what may be used of it that a receiver needs: more than 1 is too much.
    mend
        What to do where no number of receivers is enough.
    """

    what: str
    load: float
    mend: str = "give fewer channels a stream"


@dataclass(frozen=True)
class Requirement:
    """What it takes.

    Attributes
    ----------
    receivers
        Processes among which the streams are shared out.
    streams_each
        Streams of the busiest of them.
    cpu_cores
        CPU seconds a second, all receivers.
    cpu_error
        Of that, in cores.
    core_demand, cores
        Cores to provide, and that in whole ones.
    memory_bytes_each, memory_bytes
        Of the busiest receiver, and of all.
    buffer_memory_bytes
        `reception.buffer_memory` of the busiest receiver, which is most of its memory.
    wire_bytes_per_s, set_bytes_per_s
        From the network with all headers, and to the disks.
    disks, ports
        So many of the site's; a receiver keeps to one of each.
    limits
        What binds the busiest receiver, the tightest first.  Where one is more than 1, more
        receivers are no remedy.
    """

    receivers: int
    streams_each: int
    cpu_cores: float
    cpu_error: float
    core_demand: float
    cores: int
    memory_bytes_each: float
    memory_bytes: float
    buffer_memory_bytes: int
    wire_bytes_per_s: float
    set_bytes_per_s: float
    disks: int
    ports: int
    limits: tuple[Limit, ...]

    @property
    def cpu_range(self) -> tuple[float, float]:
        """Between which CPU seconds a second it is likely to be."""
        return max(0.0, self.cpu_cores - self.cpu_error), self.cpu_cores + self.cpu_error

    @property
    def impossible(self) -> tuple[Limit, ...]:
        """What no number of receivers mends: streams, or single integrations, are too large."""
        return tuple(limit for limit in self.limits if limit.load > 1)


def size(
    shape: Shape,
    costs: Costs,
    wire: Wire | None = None,
    site: Site = DEFAULT_SITE,
    *,
    writes: bool = True,
) -> Requirement:
    """Return what receiving a shape takes.

    Parameters
    ----------
    shape
        What the correlator makes.
    costs
        Of a machine like those to be used.
    wire
        How it travels: full jumbo frames unless told otherwise.
    site
        What there is to receive with.
    writes
        Whether Measurement Sets are written, or the integrations only passed on.
    """
    wire = wire if wire is not None else Wire()
    # The more receivers, the less has each to do, down to what each must do in any case: the
    # fewest are looked for with which each limit is kept, or as near as it can be.
    alone = limits(shape.share(shape.streams), costs, wire, site, writes=writes)
    best = {limit.what: max(1.0, limit.load * _AS_GOOD) for limit in alone}
    low, high = 1, shape.streams
    while low < high:
        middle = (low + high) // 2
        bound = limits(shape.share(middle), costs, wire, site, writes=writes)
        if all(limit.load <= best[limit.what] for limit in bound):
            high = middle
        else:
            low = middle + 1
    share = shape.share(low)
    bound = limits(share, costs, wire, site, writes=writes)
    shares = shape.shares(low)
    # Each of them does again what an integration and its rows take.
    cpu = sum(count * costs.cores(work(own, wire, writes=writes)) for count, own in shares)
    memory = sum(count * memory_bytes(own, costs, site, writes=writes) for count, own in shares)
    written = sum(count * own.set_bytes_per_s for count, own in shares)
    disk = share.set_bytes_per_s / (site.disk_bytes_per_s * site.link_use)
    port = share.wire_bytes_per_s(wire) / (site.port_bytes_per_s * site.link_use)
    return Requirement(
        receivers=low,
        streams_each=share.streams,
        cpu_cores=cpu,
        cpu_error=costs.cpu_error * (cpu + costs.cpu_floor * low),
        core_demand=cpu / site.core_use,
        cores=math.ceil(cpu / site.core_use),
        memory_bytes_each=memory_bytes(share, costs, site, writes=writes),
        memory_bytes=memory,
        buffer_memory_bytes=buffer_memory_bytes(share, site),
        wire_bytes_per_s=shape.wire_bytes_per_s(wire),
        set_bytes_per_s=written if writes else 0.0,
        disks=_holders(low, disk) if writes else 0,
        ports=_holders(low, port),
        limits=bound,
    )


def limits(
    share: Shape, costs: Costs, wire: Wire, site: Site, *, writes: bool
) -> tuple[Limit, ...]:
    """Return what one receiver takes of what it has only once, the tightest first."""
    amounts = work(share, wire, writes=writes)
    alone = work(share.share(share.streams), wire, writes=writes)
    network = costs.cores(alone, "tcp_byte", "udp_byte", "udp_packet", "heap", "stream")
    collector = costs.cores(amounts, "look", "process", "quiet_tcp")
    tiles = costs.cores(amounts, "set_byte") / site.writer_threads
    writer = costs.cores(amounts, *SERIAL_WRITING) + tiles
    found = [
        Limit("the network thread of a stream", network / site.core_use),
        Limit("the thread that collects integrations", collector / site.core_use, _LONGER),
        Limit(
            "the memory of a receiver",
            memory_bytes(share, costs, site, writes=writes) / site.receiver_memory_bytes,
        ),
        Limit(
            "a network port",
            share.wire_bytes_per_s(wire) / (site.port_bytes_per_s * site.link_use),
        ),
    ]
    if writes:
        disk = share.set_bytes_per_s / (site.disk_bytes_per_s * site.link_use)
        found += [
            Limit(
                "the writer of a Measurement Set",
                writer / site.core_use,
                f"{Limit.mend}, or longer integrations",
            ),
            Limit("a disk", disk),
        ]
    return tuple(sorted(found, key=lambda limit: -limit.load))


def buffer_memory_bytes(share: Shape, site: Site) -> int:
    """Return the buffers that bridge a stall, and the four that a receiver always needs."""
    # A stall of three intervals is three dumps, however it was computed.
    dumps = MIN_POOL_DUMPS + math.ceil(site.stall_s / share.interval_s - 1e-9)
    return dumps * share.layout.dump_bytes


def memory_bytes(share: Shape, costs: Costs, site: Site, *, writes: bool) -> float:
    """Return the memory of a receiver: its buffers and what is beside them."""
    return buffer_memory_bytes(share, site) + costs.memory(memory_work(share, writes=writes))


def _holders(receivers: int, load: float) -> int:
    """Return how many ports, or disks, hold the receivers, each of which keeps to one."""
    return math.ceil(receivers / max(1, math.floor(1 / load)))
