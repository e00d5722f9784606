"""What a run's Measurement Sets are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.config import Config


def output_path(config: Config, scan: int) -> Path:
    """Return where a scan of this receiver is written.

    ``vis.ms`` stays ``vis.ms`` when one receiver takes one scan.  Receiver 2 of several
    (`reception.process_count`) writes ``vis-r2.ms``; when several scans may come
    (`reception.max_scans` other than 1) the first is ``vis-s1.ms``.

    Parameters
    ----------
    config
        The configuration.
    scan
        1 for the first scan of the run.
    """
    path = Path(config["reception.outputfilename"])
    suffix = ""
    if config["reception.process_count"] > 1:
        suffix += f"-r{config['reception.process_index']}"
    if config["reception.max_scans"] != 1:
        suffix += f"-s{scan}"
    return path.with_name(f"{path.stem}{suffix}{path.suffix}")
