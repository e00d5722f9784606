"""How much memory a command takes at most."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.commands import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What the kernel tells of a process that has ended counts its parent's memory, before exec, too.
_PROGRAM = """\
import sys
from pathlib import Path
from {module} import entry
code = entry()
Path({told!r}).write_text(Path("/proc/self/status").read_text())
sys.exit(code)
"""
_PEAK = re.compile(r"VmHWM:\s+([0-9]+) kB")


def measured(
    folder: Path, module: str, arguments: Sequence[str | Path]
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command, without a proxy; return what it did, and the most memory it took in MiB.

    Parameters
    ----------
    folder
        For a file.
    module
        Of the command, with its ``entry``.
    arguments
        Of the command.
    """
    told = folder / "status"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(module=module, told=str(told)), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={
            name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
        },
    )
    peak = _PEAK.search(told.read_text())
    assert peak is not None
    return done, int(peak[1]) / 1024
