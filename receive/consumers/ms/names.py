"""What a run's Measurement Sets are called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.config import Config


def rotates(config: Config) -> bool:
    """Whether a scan is parted into several sets."""
    return bool(config.consumer.max_dumps_per_ms or config.consumer.max_bytes_per_ms)


def base_path(config: Config) -> Path:
    """Return the name of this receiver, of which those of its scans and parts are made."""
    path = Path(config.reception.outputfilename)
    return path.with_name(f"{path.stem}{_of_receiver(config)}{path.suffix}")


def output_path(config: Config, scan: int, part: int = 1) -> Path:
    """Return where a part of a scan of this receiver is written.

    ``vis.ms`` stays ``vis.ms`` when one receiver takes one scan into one set.  Receiver 2 of
    several (`reception.process_count`) writes ``vis-r2.ms``; when several scans may come
    (`reception.max_scans` other than 1) the first is ``vis-s1.ms``; when a set is closed for
    another one (`consumer.max_dumps_per_ms`, `consumer.max_bytes_per_ms`) the first is
    ``vis-p1.ms``.  All three: ``vis-r2-s1-p1.ms``.  A set that cannot go on is followed by part 2,
    ``vis-p2.ms``, also where none was to come.

    Parameters
    ----------
    config
        The configuration.
    scan
        1 for the first scan of the run.
    part
        1 for the first set of a scan.
    """
    path = base_path(config)
    suffix = f"-s{scan}" if _has_scans(config) else ""
    suffix += f"-p{part}" if rotates(config) or part > 1 else ""
    return path.with_name(f"{path.stem}{suffix}{path.suffix}")


def possible_names(config: Config) -> re.Pattern[str]:
    """Return what the names of all sets of this receiver match, whatever will come."""
    path = base_path(config)
    number = "[1-9][0-9]*"
    scan = f"-s{number}" if _has_scans(config) else ""
    part = f"-p{number}" if rotates(config) else f"(?:-p{number})?"
    return re.compile(f"{re.escape(path.stem)}{scan}{part}{re.escape(path.suffix)}")


def _has_scans(config: Config) -> bool:
    return config.reception.max_scans != 1


def _of_receiver(config: Config) -> str:
    several = config.reception.process_count > 1
    return f"-r{config.reception.process_index}" if several else ""
