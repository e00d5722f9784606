"""Whether the sets of a run can be written, asked before anything is received."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError, OutputError
from receive.consumers.ms.names import output_path, possible_names
from receive.measurement_set.read.table_name import refuse_misread_output
from receive.measurement_set.write.placing import refuse_to_replace
from receive.measurement_set.write.space import check_free_space

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.consumers.ms.rotation import Rotation

logger = logging.getLogger(__name__)


def check_outputs(rotation: Rotation) -> None:
    """Check the places of a run's sets, and the space for them; nothing is made there.

    Raises
    ------
    ConfigError
        If a set would take the place of the model.
    OutputError
        If an output exists and may not be replaced, its folder is missing or cannot be written,
        or the disk is too small.
    """
    config = rotation.config
    path = output_path(config, 1)
    check_output(rotation, path)
    _check_model_is_no_output(rotation)
    for earlier in rotation.earlier_sets():
        check_output(rotation, earlier)
        logger.warning("%s is of an earlier run, and replaced when its turn comes", earlier)
    check_space([rotation])


def check_space(rotations: Sequence[Rotation]) -> None:
    """Compare what the receivers of this machine write, into one folder, with what is free there.

    Raises
    ------
    OutputError
        If the disk is too small.
    """
    config = rotations[0].config
    # A command may move closed sets away while more are written.
    leaves = bool(config.consumer.command)
    check_free_space(
        output_path(config, 1),
        sum(rotation.required_bytes() for rotation in rotations),
        sum(rotation.set_bytes(1) for rotation in rotations) if leaves else None,
        others=len(rotations) - 1,
    )


def check_output(rotation: Rotation, path: Path) -> None:
    """Check the place of one set.

    Raises
    ------
    ConfigError
        If it is the model's.
    OutputError
        If a set exists there and may not be replaced, or its folder is missing or cannot be
        written.
    """
    refuse_misread_output(path)
    if path.exists():
        _refuse_the_model(rotation, path)
        refuse_to_replace(path, overwrite=rotation.config.reception.overwrite)
    check_folder(path)


def check_folder(path: Path) -> None:
    """Check the folder of a set.

    Raises
    ------
    OutputError
        If it is missing or cannot be written.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: the folder {folder} is not writable")


def _check_model_is_no_output(rotation: Rotation) -> None:
    """Refuse a model that has the name of a later scan, or of a part of one."""
    possible = possible_names(rotation.config)
    for path in output_path(rotation.config, 1).parent.iterdir():
        if possible.fullmatch(path.name):
            _refuse_the_model(rotation, path)


def _refuse_the_model(rotation: Rotation, path: Path) -> None:
    config, source = rotation.config, rotation.model.source
    folder = source.folder if source is not None else None
    if folder is not None and path.exists() and path.samefile(folder):
        raise ConfigError(
            f"reception.outputfilename = {config.reception.outputfilename}: {path} is "
            f"reception.datamodel = {config.reception.datamodel}, which would be overwritten: "
            f"choose another name"
        )
