"""``python -m images``: build what has changed, and write archives for a cluster."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from images import inputs
from images.base import LOCAL, PUBLIC, find_base
from images.builders import BUILDERS, find_builder
from images.errors import BuildError
from images.running import say, timed
from images.tools import install_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from images.builders import Builder

REPOSITORY = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Build the images; return the exit code."""
    args = _parser().parse_args(argv)
    try:
        cache = cache_folder()
        with (cache / "lock").open("w") as lock:
            wait_for_turn(lock)
            if args.install:
                install_missing(cache, verbose=args.verbose)
            build_all(args, cache)
    except BuildError as error:
        sys.stderr.write(f"images: {error}\n")
        return 1
    return 0


def wait_for_turn(lock: TextIO) -> None:
    """Wait until no other process builds in the same cache folder."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with timed("waiting for another build"):
            fcntl.flock(lock, fcntl.LOCK_EX)


def build_all(args: argparse.Namespace, cache: Path) -> None:
    """Build the images that are not there as they should be, and their archives."""
    builder = find_builder(args.builder, verbose=args.verbose)
    state = State(cache / "built.json")
    # What was asked for, not what it led to: whether a registry answers takes a while to find out.
    keys = {
        name: f"{builder.name} {args.base or ''} {inputs.digest(REPOSITORY, name)}"
        for name in inputs.IMAGES
    }
    stale = [
        name
        for name in inputs.IMAGES
        if args.fresh or not state.is_built(name, keys[name], builder.image_id(image_name(name)))
    ]
    if stale:
        say(f"building {' and '.join(stale)} with {builder.name}")
        base = find_base(builder, args.base, cache, fresh=args.fresh)
        wheels = None if args.no_wheels else inputs.wheels(REPOSITORY, cache, verbose=args.verbose)
        if wheels is None:
            say("pip fetches the packages inside the build, from the network")
        context = inputs.context(REPOSITORY, cache, wheels)
        for name in stale:
            arguments = {
                "BASE": base,
                "VERSION": version(),
                "REVISION": inputs.revision(REPOSITORY, name),
            }
            with timed(f"image {name} on {base}"):
                containerfile = f"images/{name}/Containerfile"
                builder.build(context, containerfile, image_name(name), arguments)
            state.built(name, keys[name], builder.image_id(image_name(name)))
    for name in inputs.IMAGES:
        image = image_name(name)
        say(f"{image} {'is new' if name in stale else 'is unchanged'}")
        if args.archive:
            write_archive(builder, state, name, args.archive.resolve() / f"{name}.tar")


def write_archive(builder: Builder, state: State, name: str, path: Path) -> None:
    """Write the archive of an image, unless it is there."""
    image = image_name(name)
    identifier = builder.image_id(image)
    if not state.is_archived(path, identifier):
        with timed(f"archive {path}"):
            builder.archive(image, path)
        state.archived(path, identifier)
    say(f"{path} ({path.stat().st_size / 1e6:.0f} MB)")


class State:
    """What was built and archived last, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._content: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._content = {}

    def is_built(self, name: str, key: str, identifier: str | None) -> bool:
        """Whether that image is the one that was built of that."""
        return identifier is not None and self._content.get(name) == [key, identifier]

    def built(self, name: str, key: str, identifier: str | None) -> None:
        """Note what an image was built of."""
        self._note(name, [key, identifier])

    def is_archived(self, path: Path, identifier: str | None) -> bool:
        """Whether an archive is the one that was written of that image."""
        return path.exists() and self._content.get(str(path)) == [identifier, *_stamp(path)]

    def archived(self, path: Path, identifier: str | None) -> None:
        """Note of which image an archive is."""
        self._note(str(path), [identifier, *_stamp(path)])

    def _note(self, name: str, value: list[Any]) -> None:
        self._content[name] = value
        work = self._path.with_suffix(".new")
        work.write_text(json.dumps(self._content, indent=1))
        work.replace(self._path)


def _stamp(path: Path) -> list[int]:
    return [path.stat().st_size, path.stat().st_mtime_ns]


def cache_folder() -> Path:
    """Return the folder for what a build can use again, outside the checkout."""
    folder = os.environ.get("VIS_RECEIVE_CACHE")
    if not folder:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home, "vis-receive"))
    cache = Path(folder, "images")
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def image_name(name: str) -> str:
    """Return the full name of one of our images."""
    return f"localhost/vis-receive/{name}:{version()}"


def version() -> str:
    """Return the project's version, without importing what it needs."""
    text = (REPOSITORY / "receive/__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if not found:
        raise BuildError("receive/__init__.py has no __version__")
    return found.group(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m images", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--builder", choices=BUILDERS, help="default: the first that works")
    parser.add_argument(
        "--base",
        metavar="NAME",
        default=os.environ.get("BASE") or None,
        help=f"base image with Python 3.11; {LOCAL}: made of Debian's packages; default: {PUBLIC} "
        f"where it can be pulled, else {LOCAL}; or the variable BASE",
    )
    parser.add_argument(
        "--archive", type=Path, metavar="DIR", help="write receive.tar and push.tar for a cluster"
    )
    parser.add_argument(
        "--no-wheels", action="store_true", help="let pip fetch the packages inside the build"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="fetch or make the base anew, and build both"
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="install buildah, runc and mmdebstrap if missing (root)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="all that the builder says")
    return parser


if __name__ == "__main__":
    sys.exit(main())
