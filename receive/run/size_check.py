"""Resources that a run needs, as reported by ``emu-recv --check``."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from receive.config import TCP_PACKET_BYTES, UDP_PACKET_BYTES
from receive.host.memory_limit import memory_limit_bytes
from receive.sizing.costs import Costs
from receive.sizing.model import WRITER_THREADS, Site, limits, size
from receive.sizing.report import lines, plural
from receive.sizing.shape import Shape, Wire
from receive.stream.table.layout import MIN_POOL_DUMPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.config import Config
    from receive.run.plan import Plan
    from receive.sizing.model import Requirement


def check_lines(
    config: Config,
    plan: Plan,
    *,
    writes: bool,
    unknown: Sequence[str] = (),
    alike: int = 1,
    cores: int | None = None,
) -> list[str]:
    """Describe the resources that a run needs, and the remedy if they exceed those of the machine.

    Parameters
    ----------
    config, plan
        Configuration and plan of the run.
    writes
        Whether it writes Measurement Sets.
    unknown
        Consumers whose costs were not measured.
    alike
        Number of receivers on this machine with the same load.
    cores
        Cores of this machine; None to ask the system.
    """
    if not (plan.interval_s > 0 and math.isfinite(plan.interval_s)):
        return []  # the model has no times or no intervals, so rates are unknown
    cores = len(os.sched_getaffinity(0)) if cores is None else cores
    costs = Costs.load()
    shape, wire = _shape(plan), _wire(config)
    site = Site(
        writer_threads=min(WRITER_THREADS, cores),
        receiver_memory_bytes=float(memory_limit_bytes()),
        # How long the planned buffers last.
        stall_s=(plan.pool.dumps - MIN_POOL_DUMPS) * plan.interval_s,
    )
    needed = size(shape, costs, wire, site, writes=writes)
    found = lines(shape, needed, site, costs)
    if unknown:
        found[-1] += f"; without {', '.join(unknown)}"
    if config.reception.transport == "ibverbs":
        found[-1] += "; ibverbs was not measured, UDP stands for it"
    tightest = limits(shape, costs, wire, site, writes=writes)[0].what
    return found + _too_much(needed, tightest, alike, cores)


def _too_much(needed: Requirement, tightest: str, alike: int, cores: int) -> list[str]:
    """Return the remedy if the machine or one receiver is too slow."""
    if needed.impossible:
        return []  # already reported: more receivers do not help
    together = needed.cores if alike == 1 else math.ceil(needed.core_demand * alike)
    if together > cores:
        return [
            (
                f"too much for this machine, which has {plural(cores, 'core')} of {together:,}: "
                f"receive on {-(-together // cores):,}, each with its share of the streams "
                "(reception.process_index, reception.process_count)"
            )
        ]
    if needed.receivers > 1:
        return [
            f"too much for one receiver ({tightest}): give --processes {needed.receivers * alike}"
        ]
    return []


def _shape(plan: Plan) -> Shape:
    layout = plan.layout
    return Shape(
        baselines=layout.baseline_count,
        channels=layout.channel_count,
        interval_s=plan.interval_s,
        channels_per_stream=layout.channels_per_stream,
        pols=plan.model.num_pols,
        telescope=plan.telescope,
    )


def _wire(config: Config) -> Wire:
    tcp = config.reception.transport == "tcp"
    default = TCP_PACKET_BYTES if tcp else UDP_PACKET_BYTES
    return Wire("tcp" if tcp else "udp", config.transmission.max_packet_size or default)
