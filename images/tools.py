"""A container builder from the machine's own packages, where there is none and it is asked for."""

from __future__ import annotations

import os
import shutil

from images.builders import find_builder
from images.errors import BuildError
from images.running import run, timed

__all__ = ["install_missing"]


def install_missing(*, verbose: bool = False) -> None:
    """Install a builder and mmdebstrap where they are missing (Debian and Ubuntu, as root).

    Raises
    ------
    BuildError
        Packages cannot be installed.
    """
    # buildah brings runc, with which the tests run the images.
    missing = [] if shutil.which("mmdebstrap") else ["mmdebstrap"]
    try:
        find_builder()
    except BuildError:
        missing.append("buildah")
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BuildError(f"--install needs root and apt-get; missing: {', '.join(missing)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with timed(f"installing {' and '.join(missing)}"):
        run(["apt-get", "update"], verbose=verbose, environment=environment)
        run(["apt-get", "install", "--yes", *missing], verbose=verbose, environment=environment)
