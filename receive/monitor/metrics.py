"""Every metric: what it is called, what it means, and where its numbers come from.

`docs/reference/metrics.md` is generated from this table.
"""

from __future__ import annotations

import platform
import resource
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from receive import __version__
from receive.command.ending import EndedBy
from receive.monitor.status import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from receive.command.ending import ScanEnd
    from receive.monitor.snapshot import ConsumerCounts, Snapshot
    from receive.monitor.status import View

Sample = tuple["Sequence[str]", float]
"""Values of the labels, and the number."""

PREFIX = "vis_receive_"
DUPLICATE = "duplicate"
"""The reason of refused heaps that says nothing of missing ones."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name
        Without `PREFIX`.
    kind
        ``counter`` or ``gauge``.
    text
        What it means, one sentence.
    samples
        Its numbers; none before they are known.
    labels
        Names of its labels.
    """

    name: str
    kind: str
    text: str
    samples: Callable[[View], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def _always(number: Callable[[View], float]) -> Callable[[View], Iterable[Sample]]:
    return lambda view: [((), number(view))]


def _known(samples: Callable[[Snapshot], Iterable[Sample]]) -> Callable[[View], Iterable[Sample]]:
    """Give samples from when packets can come."""
    return lambda view: samples(view.snapshot) if view.snapshot is not None else ()


def _one(number: Callable[[Snapshot], float]) -> Callable[[View], Iterable[Sample]]:
    return _known(lambda snapshot: [((), number(snapshot))])


def _by_group(numbers: Callable[[Snapshot], Iterable[int]]) -> Callable[[View], Iterable[Sample]]:
    return _known(
        lambda snapshot: [((str(group),), n) for group, n in enumerate(numbers(snapshot))]
    )


def _by_consumer(
    number: Callable[[ConsumerCounts], int],
) -> Callable[[View], Iterable[Sample]]:
    return _known(lambda snapshot: [((one.name,), number(one)) for one in snapshot.consumers])


def _missing(snapshot: Snapshot) -> list[int]:
    return [snapshot.dumps - received for received in snapshot.received]


def _network_lost(snapshot: Snapshot) -> list[int]:
    refused = [
        sum(counts)
        for counts in zip(
            *(by_group for reason, by_group in snapshot.refused.items() if reason != DUPLICATE),
            strict=True,
        )
    ]
    # A heap that was refused may belong to no integration of which anything is missing.
    return [
        max(0, missing - came) for missing, came in zip(_missing(snapshot), refused, strict=True)
    ]


def _refused(snapshot: Snapshot) -> Iterable[Sample]:
    for reason, by_group in snapshot.refused.items():
        for group, heaps in enumerate(by_group):
            yield (str(group), reason), heaps


def _scan_info(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.scan is not None:
        yield (str(snapshot.scan), str(snapshot.scan_id)), 1


def _ended_by(reasons: Iterable[EndedBy | None]) -> Iterable[Sample]:
    counted = Counter(reasons)
    return [((reason.value,), counted[reason]) for reason in EndedBy]


def _ends(snapshot: Snapshot) -> list[ScanEnd]:
    return [end for end in snapshot.outcome.ends if end is not None]


def _cpu_seconds(_view: View) -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_bytes(_view: View) -> int:
    return psutil.Process().memory_info().rss


def _in_state(view: View) -> Sequence[Sample]:
    return [((state.value,), int(state is view.state)) for state in State]


GROUP, CONSUMER = ("group",), ("consumer",)
METRICS = (
    Metric(
        "build_info", "gauge", "Always 1; the labels say what runs.",
        lambda _view: [((__version__, platform.python_version()), 1)], ("version", "python"),
    ),
    Metric(
        "start_time_seconds", "gauge", "When the run began, seconds since the UNIX epoch.",
        _always(lambda view: view.started.timestamp()),
    ),
    Metric(
        "state", "gauge", "1 for the state that the run is in, 0 for the others.",
        _in_state, ("state",),
    ),
    Metric(
        "ready", "gauge", "1 if packets can come, as /readyz tells.",
        _always(lambda view: int(view.not_ready is None)),
    ),
    Metric(
        "healthy", "gauge", "1 if the collector is at work or need not be, as /healthz tells.",
        _always(lambda view: int(view.trouble is None)),
    ),
    Metric(
        "silence_seconds", "gauge", "How long no heap has come.",
        _one(lambda snapshot: snapshot.silent_s),
    ),
    Metric(
        "received_bytes_total", "counter", "Bytes of visibility records received.",
        _one(lambda snapshot: snapshot.payload_bytes),
    ),
    Metric(
        "heaps_expected_total", "counter",
        "Heaps of the integrations so far: received and missing ones.",
        _by_group(lambda snapshot: [snapshot.dumps] * len(snapshot.received)), GROUP,
    ),
    Metric(
        "heaps_received_total", "counter", "Heaps that came whole and in time.",
        _by_group(lambda snapshot: snapshot.received), GROUP,
    ),
    Metric(
        "heaps_missing_total", "counter", "Heaps that did not come whole and in time.",
        _by_group(_missing), GROUP,
    ),
    Metric(
        "heaps_refused_total", "counter",
        "Heaps that came and were not placed, by reason; what is neither late, duplicate nor "
        "no-buffer is malformed.",
        _known(_refused), ("group", "reason"),
    ),
    Metric(
        "heaps_network_lost", "gauge",
        "Heaps that are missing and were not refused: they never came, or not whole; fewer again "
        "when one of them comes late.",
        _by_group(_network_lost), GROUP,
    ),
    Metric(
        "kernel_dropped_packets_total", "counter",
        "Packets that found the socket's buffer full; absent where nobody counts them (TCP).",
        _by_group(lambda snapshot: snapshot.outcome.kernel_dropped or ()), GROUP,
    ),
    Metric(
        "source_refused_packets_total", "counter",
        "Packets that reception.sources does not take.",
        _one(lambda snapshot: snapshot.outcome.sources["refused_packets"]),
    ),
    Metric(
        "source_refused_connections_total", "counter",
        "Connections that reception.sources does not take.",
        _one(lambda snapshot: snapshot.outcome.sources["refused_connections"]),
    ),
    Metric(
        "second_senders", "gauge", "Streams to whose port a second sender sent.",
        _one(lambda snapshot: len(snapshot.outcome.sources["second_senders"])),
    ),
    Metric(
        "dumps_total", "counter", "Integrations of all scans, empty ones included.",
        _one(lambda snapshot: snapshot.dumps),
    ),
    Metric(
        "dumps_empty_total", "counter", "Integrations of which nothing came.",
        _one(lambda snapshot: snapshot.empty_dumps),
    ),
    Metric(
        "dumps_after_end_total", "counter", "Integrations that came when their scan was closed.",
        _one(lambda snapshot: snapshot.outcome.after_end),
    ),
    Metric(
        "consumer_dumps_taken_total", "counter",
        "Integrations that a consumer has done with, those without data included.",
        _by_consumer(lambda one: one.taken), CONSUMER,
    ),
    Metric(
        "consumer_dumps_waiting", "gauge", "Integrations that wait for a consumer or are with it.",
        _by_consumer(lambda one: one.waiting), CONSUMER,
    ),
    Metric(
        "consumer_dumps_dropped_total", "counter",
        "Integrations for which a consumer had no room, which it got without data.",
        _by_consumer(lambda one: one.dropped), CONSUMER,
    ),
    Metric(
        "consumer_dumps_unconsumed_total", "counter",
        "Integrations that a consumer did not consume because it failed or was told to stop.",
        _by_consumer(lambda one: one.unconsumed), CONSUMER,
    ),
    Metric(
        "consumer_dumps_unwritten_total", "counter",
        "Integrations that a consumer could not write, as when its disk was full.",
        _by_consumer(lambda one: one.unwritten), CONSUMER,
    ),
    Metric(
        "consumer_failed", "gauge", "1 once a consumer has failed.",
        _by_consumer(lambda one: int(one.failed)), CONSUMER,
    ),
    Metric(
        "pool_dumps", "gauge", "Buffers, each for one integration.",
        _one(lambda snapshot: snapshot.pool.dumps),
    ),
    Metric(
        "pool_free_dumps", "gauge", "Buffers that are free.",
        _one(lambda snapshot: snapshot.pool.free),
    ),
    Metric(
        "pool_window_dumps", "gauge", "Buffers that integrations are being received into.",
        _one(lambda snapshot: snapshot.pool.window),
    ),
    Metric(
        "pool_lent_dumps", "gauge", "Buffers that consumers have.",
        _one(lambda snapshot: snapshot.pool.lent),
    ),
    Metric(
        "scan_number", "gauge", "Number of the scan that is being received, 0 between two.",
        _one(lambda snapshot: snapshot.scan or 0),
    ),
    Metric(
        "scan_info", "gauge", "1 for the scan that is being received; absent between two.",
        _known(_scan_info), ("scan", "scan_id"),
    ),
    Metric(
        "scans_ended_total", "counter", "Scans that have ended.",
        _one(lambda snapshot: len(snapshot.outcome.scans) - (snapshot.scan is not None)),
    ),
    Metric(
        "scans_ended_by_total", "counter", "Scans that have ended, by what ended them.",
        _known(lambda snapshot: _ended_by(end.by for end in _ends(snapshot))), ("ended_by",),
    ),
    Metric(
        "scans_incomplete_total", "counter",
        "Scans that have ended before the model's last integration, or without the ends of their "
        "streams.",
        _one(lambda snapshot: sum(end.is_incomplete for end in _ends(snapshot))),
    ),
    Metric(
        "run_ended_by", "gauge", "1 for what ended the run; 0 for all while it goes on.",
        _known(lambda snapshot: _ended_by([snapshot.outcome.ended_by])), ("ended_by",),
    ),
    Metric(
        "sets_closed_total", "counter", "Measurement Sets that were closed.",
        _one(lambda snapshot: len(snapshot.outcome.sets)),
    ),
    Metric(
        "set_commands_total", "counter", "Times that consumer.command has ended.",
        _one(lambda snapshot: snapshot.outcome.commands["run"]),
    ),
    Metric(
        "set_commands_failed_total", "counter", "Times that consumer.command failed.",
        _one(lambda snapshot: snapshot.outcome.commands["failed"]),
    ),
    Metric(
        "process_cpu_seconds_total", "counter", "Processor time of the process, all threads.",
        _always(_cpu_seconds),
    ),
    Metric(
        "process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM.",
        _always(_resident_bytes),
    ),
)  # fmt: skip
"""In the order in which they are told."""


def render(view: View, metrics: Iterable[Metric] = METRICS) -> bytes:
    """Return metrics in the text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_OfView(view, metrics))
    return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class _OfView(Collector):
    view: View
    metrics: Iterable[Metric]

    def collect(self) -> Iterator[Family]:
        for one in self.metrics:
            family = Family(PREFIX + one.name.removesuffix("_total"), one.text, one.kind)
            for values, number in one.samples(self.view):
                family.add_sample(
                    PREFIX + one.name, dict(zip(one.labels, values, strict=True)), number
                )
            if family.samples:
                yield family
