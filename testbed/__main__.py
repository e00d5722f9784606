"""A Kubernetes on this machine by hand: `python -m testbed up`, `down` and `status`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from testbed import build, owner, packages, registry
from testbed.bed import read_state
from testbed.errors import BedError, ClusterError


def up(folder: Path | None) -> None:
    """Start a cluster that stays until `down`."""
    describe(owner.start(folder=folder).state)


def describe(state: dict[str, object]) -> None:
    """Print what to type to use a cluster."""
    print(f"export KUBECONFIG={state['kubeconfig']}")
    print(f"export PATH={state['bin']}:$PATH   # kubectl, helm3, helm4, ctr")


def down(wanted: int | None, *, dead: bool) -> None:
    """End the clusters that were started by hand, and what is left of those that were killed."""
    for number, entry in registry.written().items():
        if wanted not in {None, number}:
            continue
        if registry.is_alive(number):
            if entry["attached"]:
                print(f"cluster {number} is a test run's, and ends with it", file=sys.stderr)
            if entry["attached"] or dead:
                continue
        owner.stop(number)
        print(f"cluster {number} is gone", file=sys.stderr)
    registry.sweep()


def status() -> None:
    """Print which clusters there are."""
    for number, entry in registry.written().items():
        state = read_state(Path(entry["folder"]))
        if not registry.is_alive(number):
            print(f"# cluster {number}: its owner was killed; `down` cleans up after it")
        elif not state:
            print(f"# cluster {number}: not ready, in {entry['folder']}")
        else:
            print(f"# cluster {number}: ready, in {entry['folder']}")
            describe(state)
    if not registry.written():
        print("# no cluster runs")


def load() -> None:
    """Build our images and load them into the cluster of the current context."""
    # Only here: the others need no images.
    from images.__main__ import cache_folder, image_name  # noqa: PLC0415
    from images.__main__ import main as build_images  # noqa: PLC0415
    from images.inputs import IMAGES  # noqa: PLC0415
    from testbed.cluster import existing  # noqa: PLC0415

    try:
        cluster = existing(frozenset({"local-images"}))
    except ClusterError as error:
        why = str(error).strip().rpartition("\n")[2].removeprefix("error: ")
        raise BedError(
            f"no cluster to load them into ({why}): type what `make cluster` printed, or choose "
            "one with `kubectl config use-context NAME`"
        ) from None
    folder = cache_folder() / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    if build_images(["--archive", str(folder)]):
        raise BedError("the images could not be built, as told above")
    for name in IMAGES:
        cluster.load_image(folder / f"{name}.tar", image_name(name))
        print(f"loaded {image_name(name)}", file=sys.stderr)


def main() -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help=up.__doc__)
    starting.add_argument("--folder", type=Path, help="where it keeps its files while it runs")
    ending = commands.add_parser("down", help=down.__doc__)
    ending.add_argument("number", type=int, nargs="?", help="only this one (see status)")
    ending.add_argument("--dead", action="store_true", help="only those whose owner was killed")
    commands.add_parser("status", help=status.__doc__)
    commands.add_parser("load", help=load.__doc__)
    building = commands.add_parser(
        "build",
        help="install what it needs of the machine, build its binaries, print where they are",
    )
    building.add_argument(
        "--if-usable", action="store_true", help="not where this machine could not carry it"
    )
    options = parser.parse_args()
    try:
        match options.command:
            case "up":
                up(options.folder)
            case "down":
                down(options.number, dead=options.dead)
            case "status":
                status()
            case "load":
                load()
            case "build" if options.if_usable and (reason := owner.why_not()):
                print(f"not built: {reason}")
            case "build":
                if owner.why_not() is None:
                    packages.provide(build.to_stderr)
                print(build.binaries())
    except BedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
