"""A container builder from the machine's own packages, where there is none and it is asked for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from images.builders import find_builder
from images.errors import BuildError
from images.running import run, timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["install_missing", "installing"]


@contextlib.contextmanager
def installing(cache: Path) -> Iterator[None]:
    """Have the machine's packages to oneself: apt-get fails where another is at work.

    Parameters
    ----------
    cache
        The folder of all that build and install for this project.
    """
    with (cache / "apt.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install_missing(cache: Path, *, verbose: bool = False) -> None:
    """Install a builder and mmdebstrap where they are missing (Debian and Ubuntu, as root).

    Parameters
    ----------
    cache
        As of `installing`.
    verbose
        Show what apt-get says.

    Raises
    ------
    BuildError
        Packages cannot be installed.
    """
    with installing(cache):
        _install_missing(verbose=verbose)


def _install_missing(*, verbose: bool) -> None:
    missing = [] if shutil.which("mmdebstrap") else ["mmdebstrap"]
    try:
        find_builder()
    except BuildError:
        # Left alone, buildah may bring crun instead; the tests run the images by runc.
        missing += ["buildah", "runc"]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BuildError(f"--install needs root and apt-get; missing: {', '.join(missing)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with timed(f"installing {' and '.join(missing)}"):
        run(["apt-get", "update"], verbose=verbose, environment=environment)
        run(["apt-get", "install", "--yes", *missing], verbose=verbose, environment=environment)
