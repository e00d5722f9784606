"""How much disk a set takes, and whether that much is free."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command.errors import OutputError
from receive.measurement_set.tiled.headers import MAX_ROWS
from receive.measurement_set.tiled.tiles import plan_columns
from receive.measurement_set.write.growing import BALLAST_BYTES, output_error

if TYPE_CHECKING:
    from receive.model.telescope import TelescopeModel

log = logging.getLogger(__name__)

SUBTABLES_BYTES = 8 << 20
"""Subtables and headers; those of the largest arrays take about this."""

SCARCE_FACTOR = 1.1
"""Under this many times what is needed, other writers on the same disk may make it too little."""


def required_bytes(model: TelescopeModel, n_dumps: int, *, weight_spectrum: bool = True) -> int:
    """Return the size on disk of a set of `n_dumps` integrations, with all tiles and subtables."""
    columns = plan_columns(
        model.num_pols,
        model.num_channels,
        model.num_baselines,
        weight_spectrum=weight_spectrum,
        expected_dumps=n_dumps,
    )
    tiles = sum(column.tiling.file_bytes_of_dumps(n_dumps) for column in columns)
    return tiles + SUBTABLES_BYTES + BALLAST_BYTES


def dumps_within(model: TelescopeModel, most_bytes: int) -> int:
    """Return how many integrations a set of at most `most_bytes` holds; 0 if not even one."""
    low, high = 0, 1
    while high * model.num_baselines <= MAX_ROWS and required_bytes(model, high) <= most_bytes:
        low, high = high, 2 * high
    # low fits, high does not.
    while high - low > 1:
        middle = (low + high) // 2
        if middle * model.num_baselines <= MAX_ROWS and (
            required_bytes(model, middle) <= most_bytes
        ):
            low = middle
        else:
            high = middle
    return low


def free_bytes(path: Path) -> int:
    """Return what is free on the disk of a set.

    Raises
    ------
    OutputError
        If there is no such folder.
    """
    try:
        system = os.statvfs(Path(os.path.realpath(path)).parent)
    except OSError as error:
        raise output_error(error, path) from error
    return system.f_bavail * system.f_frsize


def check_free_space(
    path: Path, needed_bytes: int, at_once_bytes: int | None = None, *, others: int = 0
) -> None:
    """Compare what a set takes with what is free where it will be.

    Warns where it is scarce.

    Parameters
    ----------
    path
        The set.
    needed_bytes
        What it will take.
    at_once_bytes
        How much of that at one time, if somebody may take away what was written: only that must
        be free, and for the rest there is a warning.
    others
        How many other receivers' sets beside it are counted in.

    Raises
    ------
    OutputError
        If there is not enough, or there is no such folder.
    """
    free = free_bytes(path)
    what = f"{path} with the sets of {others} other receivers" if others else f"{path}"
    must_be_free = needed_bytes if at_once_bytes is None else at_once_bytes
    if free < must_be_free:
        raise OutputError(
            f"{what} takes {_readable(must_be_free)}, but {_readable(free)} are free on "
            f"its disk: free {_readable(must_be_free - free)}, or choose another disk"
        )
    if free < SCARCE_FACTOR * needed_bytes:
        log.warning(
            "%s takes %s, and only %s are free on its disk",
            what,
            _readable(needed_bytes),
            _readable(free),
        )


def _readable(size_bytes: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:  # noqa: PLR2004 - the step of these units
            return f"{size_bytes:.4g} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.4g} TiB"
