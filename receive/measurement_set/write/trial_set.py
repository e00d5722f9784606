"""A set that is made to be thrown away: everything of a model and a place that a writer needs.

It has no integrations.  What is done is what `write.writer` does when the first
data of a scan come, and when it closes the set.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from casacore import tables

from receive.measurement_set import casacore_thread
from receive.measurement_set.read.table_name import WORK
from receive.measurement_set.write.empty_set import build_skeleton
from receive.measurement_set.write.growing import install, remove_work
from receive.measurement_set.write.history import swap_in_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.model.telescope import TelescopeModel

log = logging.getLogger(__name__)


def make_and_read(
    folder: Path,
    template: Path,
    model: TelescopeModel,
    *,
    channels: tuple[int, int],
    history: Sequence[str],
    expected_dumps: int,
) -> None:
    """Make a set without rows as a writer does, close it, and read what it says.

    Parameters
    ----------
    folder : Path
        Does not exist yet.
    template, model, channels, history, expected_dumps
        As `receive.measurement_set.write.writer.SetWriter.create` takes them.

    Raises
    ------
    InputError
        If the template cannot serve as one.
    OSError
        If the set cannot be written there.
    """
    casacore_thread.run(_make_and_read, folder, template, model, channels, history, expected_dumps)


def _make_and_read(
    folder: Path,
    template: Path,
    model: TelescopeModel,
    channels: tuple[int, int],
    history: Sequence[str],
    expected_dumps: int,
) -> None:
    layout = build_skeleton(
        folder,
        template,
        model,
        channels=channels,
        scan_number=1,
        history=history,
        weight_spectrum=True,
        expected_dumps=expected_dumps,
    )
    log.debug("closing a set")
    install(folder, layout, 0)
    (folder / WORK).mkdir()
    swap_in_lines(folder, folder / WORK, history)
    remove_work(folder)
    log.debug("reading a set that was made")
    with tables.table(str(folder), ack=False) as made:
        made.colnames()
