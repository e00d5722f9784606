"""Text output of a sizing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.command.progress import format_bytes

if TYPE_CHECKING:
    from receive.sizing.costs import Costs
    from receive.sizing.model import Requirement, Site
    from receive.sizing.shape import Shape

_FEW = 10
BITS = 8


def number(value: float) -> str:
    """Format a number, with decimals only below 100."""
    if value >= _FEW * _FEW:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= _FEW else f"{value:.2g}"


def plural(count: int, thing: str, which: str = "") -> str:
    """Return ``1 receiver`` or ``2 receivers``, followed by `which`."""
    return f"{count:,} {thing}{'s' * (count != 1)}{which}"


def error_band(costs: Costs) -> str:
    """Return the error of a prediction: ``+-12%``."""
    return f"+-{costs.cpu_error:.0%}"


def rate_line(shape: Shape, needed: Requirement) -> str:
    """Describe the rates received and written."""
    written = f"; {format_bytes(needed.set_bytes_per_s)}/s to the disk"
    return (
        f"rate     {format_bytes(needed.wire_bytes_per_s)}/s from the network, "
        f"{number(shape.heaps_per_s)} heaps/s{written if needed.set_bytes_per_s else ''}"
    )


def lines(shape: Shape, needed: Requirement, site: Site, costs: Costs) -> list[str]:
    """Describe the resources that a shape needs, in the format of ``emu-recv --check``."""
    low, high = needed.cpu_range
    holders = [plural(needed.ports, "port", f" of {site.port_bytes_per_s * BITS / 1e9:g} Gb/s")]
    if needed.disks:
        holders.insert(0, plural(needed.disks, "disk", f" of {site.disk_bytes_per_s / 1e9:g} GB/s"))
    found = [
        rate_line(shape, needed),
        (
            f"cpu      {number(needed.cpu_cores)} cores at work ({number(low)} to {number(high)}): "
            f"{plural(needed.cores, 'core')} with {site.core_use:.0%} of each in use"
        ),
        (
            f"needs    {plural(needed.receivers, 'receiver')} of "
            f"{plural(needed.streams_each, 'stream')}, {format_bytes(needed.memory_bytes)} of "
            f"memory, {', '.join(holders)}"
        ),
    ]
    found += [
        f"too much for {limit.what}, however many receivers: {limit.load:.1f} times what it may "
        f"take; {limit.mend}"
        for limit in needed.impossible
    ]
    return [*found, costs_line(costs)]


def costs_line(costs: Costs) -> str:
    """Return when and where the costs were measured, and the error of a prediction."""
    return f"costs    measured {costs.date} on {costs.machine}; {error_band(costs)}"
