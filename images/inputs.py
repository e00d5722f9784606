"""What an image is made of: its files, their digest, and the folder that a build sees."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

from images.errors import BuildError
from images.running import answer, run, timed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["IMAGES", "context", "digest", "revision", "wheels"]

IMAGES = {"receive": "runtime", "push": "push"}
"""Name of each image, and of the lock file of what it stands on."""

_SHARED = ("LICENSE", "README.md", "emulator", "images/stages", "pyproject.toml", "receive")
_BUILDER_LOCK = "images"
# For which the wheels are fetched here; another Python's would not fit (images/base.py).
_PYTHON = (3, 11)


def parts(image: str) -> list[str]:
    """Return the files and folders that an image is made of."""
    locks = [f"requirements/{lock}.txt" for lock in (IMAGES[image], _BUILDER_LOCK)]
    return sorted([*_SHARED, f"images/{image}/Containerfile", *locks])


def digest(repository: Path, image: str) -> str:
    """Return a digest of every file that an image is made of."""
    found = hashlib.sha256()
    for path in _files(repository, image):
        content = path.read_bytes()
        header = f"{path.relative_to(repository)}\0{path.stat().st_mode & 0o100}\0{len(content)}\0"
        found.update(header.encode() + content)
    return found.hexdigest()


def revision(repository: Path, image: str) -> str:
    """Return the commit that last changed what an image is made of."""
    git = ["git", "-C", str(repository)]
    commit = answer([*git, "log", "-1", "--format=%H", "--", *parts(image)])
    if not commit:
        return "unknown"
    changed = answer([*git, "status", "--porcelain", "--", *parts(image)])
    return f"{commit}-modified" if changed else commit


def wheels(repository: Path, cache: Path, *, verbose: bool = False) -> Path | None:
    """Return a folder with every wheel that the lock files name; None: the build fetches them.

    Raises
    ------
    BuildError
        One cannot be fetched, or is not what the lock file says.
    """
    if sys.version_info[:2] != _PYTHON:
        return None
    locks = [repository / f"requirements/{lock}.txt" for lock in (*IMAGES.values(), _BUILDER_LOCK)]
    key = hashlib.sha256(b"\0".join(lock.read_bytes() for lock in locks)).hexdigest()[:16]
    folder = cache / f"wheels-{key}"
    if folder.exists():
        return folder
    work = cache / f".{folder.name}"
    with timed("wheels of the lock files"):
        for lock in locks:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            options = ["--only-binary", ":all:", "--require-hashes", "--dest", str(work)]
            run([*pip, *options, "--requirement", str(lock)], verbose=verbose)
    for old in cache.glob("wheels-*"):
        shutil.rmtree(old)
    return work.rename(folder)


def context(repository: Path, cache: Path, wheel_folder: Path | None) -> Path:
    """Return the folder that a build sees: what images are made of, and the wheels."""
    folder = cache / "context"
    shutil.rmtree(folder, ignore_errors=True)
    for image in IMAGES:
        for path in _files(repository, image):
            target = folder / path.relative_to(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    target = folder / "images/wheels"
    target.mkdir()
    for wheel in sorted(wheel_folder.glob("*.whl")) if wheel_folder else []:
        (target / wheel.name).hardlink_to(wheel)
    # Layers are looked up by what went into them, and builders count a file's time to that.
    for path in [folder, *folder.rglob("*")]:
        if path.parent != target:
            os.utime(path, (0, 0))
    return folder


def _files(repository: Path, image: str) -> list[Path]:
    found = []
    for part in parts(image):
        path = repository / part
        if not path.exists():
            raise BuildError(f"{path} is not there, and the image {image} is made of it")
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and "__pycache__" not in file.parts]
    return sorted(found)
