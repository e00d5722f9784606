"""Receiving into dumps, against spead2's own receiver that discards; one stream against many."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.measure import Pairs, Result, Settings, interleave
from tests.bench.receivers import Taken, emu_recv, peer, run_with
from tests.bench.shapes import MANY_STREAMS, NARROW, ONE_STREAM, SMALL, STANDARD, WIDE, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

PART_OF_CAPACITY = 0.6
"""UDP: the rate for CPU a byte, of what the discarding receiver takes flat out."""
SMALL_HEAPS_PART = 0.5
EXPLAINING = 3
"""Pairs of a row without a target, which only explains another one."""


def ours(settings: Settings, shape: Shape, transport: str, *rates: float) -> list[Taken]:
    receiver = emu_recv(settings, shape, transport)
    taken = run_with(settings, receiver, shape, transport, *rates)
    receiver.summary()
    return taken


def theirs(
    settings: Settings, module: Sequence[str], shape: Shape, transport: str, *rates: float
) -> list[Taken]:
    receiver = peer(settings, module[0], shape, transport, *module[1:])
    taken = run_with(settings, receiver, shape, transport, *rates)
    receiver.end()
    return taken


COPY = ("discard", "copy")
"""spead2's own receiver: heaps are put together in memory, and thrown away."""
PLACE = ("discard", "place")
"""One that refuses every heap, which spares it the copy that a receiver exists for."""


def null(settings: Settings) -> list[Result]:
    """Receive into dumps, and throw them away."""
    shape = STANDARD
    if settings.streams:
        shape = Shape(64, 64 * settings.streams, settings.streams)
    capacity = theirs(settings, COPY, shape, "udp", 0.0)[0].rate
    return [
        *_null(settings, shape, "tcp", [0.0], uncopied=True),
        *_null(settings, shape, "udp", [PART_OF_CAPACITY * capacity, 0.0], uncopied=False),
    ]


def _null(
    settings: Settings, shape: Shape, transport: str, rates: list[float], *, uncopied: bool
) -> list[Result]:
    """CPU at the first rate, throughput at the last."""
    taken: dict[str, list[list[Taken]]] = {"ours": [], "copy": [], "place": []}

    def one(name: str) -> None:
        if name == "place" and len(taken[name]) == EXPLAINING:
            return
        if name == "ours":
            taken[name].append(ours(settings, shape, transport, *rates))
        else:
            taken[name].append(theirs(settings, ("discard", name), shape, transport, *rates))

    interleave(
        settings.pairs, *(partial(one, name) for name in taken if uncopied or name != "place")
    )
    cpu = {name: [runs[0].cpu_per_gb for runs in values] for name, values in taken.items()}
    rate = {name: [runs[-1].rate / 1e6 for runs in values] for name, values in taken.items()}
    lost = {name: median(runs[-1].lost for runs in taken[name]) for name in ("ours", "copy")}
    to = transport.upper()
    results = [
        Pairs(cpu["ours"], cpu["copy"]).result(
            "null", f"{to}: CPU a byte / spead2's receiver that discards", "<= 1.05", "CPU s/GB"
        ),
        Pairs(rate["ours"], rate["copy"]).result(
            "null",
            f"{to}: throughput / spead2's receiver that discards",
            ">= 0.95",
            "MB/s",
            # Where neither lost any, it is the sender that was measured.
            f"lost {lost['ours']:.1%} and {lost['copy']:.1%} of the packets" if to == "UDP" else "",
        ),
    ]
    if uncopied:
        results.append(
            Pairs(cpu["ours"][: len(cpu["place"])], cpu["place"]).result(
                "null", f"{to}: CPU a byte / spead2 without the copy to memory", "", "CPU s/GB"
            )
        )
    return results


def small_heaps(settings: Settings) -> list[Result]:
    """Heaps of one channel, against an item group updated for each."""
    groups, floor = Pairs(), Pairs()
    # The same rate for all, slow enough for Python.
    limit = theirs(settings, ("item_groups",), SMALL, "tcp", 0.0)[0].rate * SMALL_HEAPS_PART

    def us(taken: list[Taken]) -> float:
        return taken[0].cpu_per_heap * 1e6

    def least() -> None:
        if len(floor.ours) < EXPLAINING:
            floor.ours.append(us(theirs(settings, PLACE, SMALL, "tcp", limit)))

    interleave(
        settings.pairs,
        lambda: groups.ours.append(us(ours(settings, SMALL, "tcp", limit))),
        lambda: groups.peer.append(us(theirs(settings, ("item_groups",), SMALL, "tcp", limit))),
        least,
    )
    floor.peer = groups.peer[: len(floor.ours)]
    what = "item groups in asyncio"
    return [
        groups.result("small-heaps", f"CPU a heap / {what}", "<= 0.1", "CPU us/heap"),
        floor.result(
            "small-heaps", f"spead2 without the copy to memory / {what}", "", "CPU us/heap"
        ),
    ]


def streams(settings: Settings) -> list[Result]:
    """64 streams against one, as a quotient that is compared with spead2's."""
    many = MANY_STREAMS
    if settings.streams:
        many = Shape(64, 8 * settings.streams, settings.streams)
    values: dict[str, list[float]] = {"ours": [], "spead2": []}

    def quotient(name: str) -> None:
        run = partial(ours, settings) if name == "ours" else partial(theirs, settings, COPY)
        one, all_ = (run(shape, "tcp", 0.0)[0].cpu_per_gb for shape in (ONE_STREAM, many))
        values[name].append(all_ / one)

    interleave(settings.pairs, partial(quotient, "ours"), partial(quotient, "spead2"))
    pairs = Pairs(values["ours"], values["spead2"])
    what = f"TCP: CPU a byte, {many.streams} streams over 1 / the same of spead2"
    return [pairs.result("streams", what, "<= 1.0", "quotient")]


def shapes(settings: Settings) -> list[Result]:
    """Few antennas with many channels, many antennas with few, the same bytes a heap."""
    values: dict[Shape, list[float]] = {shape: [] for shape in (STANDARD, WIDE, NARROW)}

    def one(shape: Shape) -> None:
        values[shape].append(ours(settings, shape, "tcp", 0.0)[0].cpu_per_gb)

    interleave(settings.pairs, *(partial(one, shape) for shape in values))
    return [
        Pairs(values[shape], values[STANDARD]).result(
            "shapes",
            f"TCP: CPU a byte, {shape.antennas} antennas / 64 antennas",
            "<= 1.3",
            "CPU s/GB",
        )
        for shape in (WIDE, NARROW)
    ]
