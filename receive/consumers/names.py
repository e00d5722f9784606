"""What a run's Measurement Sets are called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.config import Config


def rotates(config: Config) -> bool:
    """Whether a scan is parted into several sets."""
    return bool(config["consumer.max_dumps_per_ms"] or config["consumer.max_bytes_per_ms"])


def output_path(config: Config, scan: int, part: int = 1) -> Path:
    """Return where a part of a scan of this receiver is written.

    ``vis.ms`` stays ``vis.ms`` when one receiver takes one scan into one set.  Receiver 2 of
    several (`reception.process_count`) writes ``vis-r2.ms``; when several scans may come
    (`reception.max_scans` other than 1) the first is ``vis-s1.ms``; when a set is closed for
    another one (`consumer.max_dumps_per_ms`, `consumer.max_bytes_per_ms`) the first is
    ``vis-p1.ms``.  All three: ``vis-r2-s1-p1.ms``.

    Parameters
    ----------
    config
        The configuration.
    scan
        1 for the first scan of the run.
    part
        1 for the first set of a scan.
    """
    path = Path(config["reception.outputfilename"])
    return path.with_name(f"{path.stem}{_suffix(config, str(scan), str(part))}{path.suffix}")


def possible_names(config: Config) -> re.Pattern[str]:
    """Return what the names of all sets of this receiver match, whatever will come."""
    path = Path(config["reception.outputfilename"])
    number = "[1-9][0-9]*"
    suffix = _suffix(config, number, number)
    return re.compile(f"{re.escape(path.stem)}{suffix}{re.escape(path.suffix)}")


def _suffix(config: Config, scan: str, part: str) -> str:
    suffix = ""
    if config["reception.process_count"] > 1:
        suffix += f"-r{config['reception.process_index']}"
    if config["reception.max_scans"] != 1:
        suffix += f"-s{scan}"
    if rotates(config):
        suffix += f"-p{part}"
    return suffix
