"""Inside a build: what a lock file names, or our own wheel, put where the image has it.

Only the standard library is there.  pip comes as a wheel (`images/wheels`, filled by
``make images``), or is the base image's own; nothing of it stays behind.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Nothing at run time reads them.  astropy imports its own package of that name.
_TESTS, _KEPT_TESTS = "tests", "astropy"
_USELESS_SUFFIXES = {".a", ".c", ".h", ".hpp", ".pxd", ".pyi", ".pyx"}
# Of the packages that we stand on; what they offer to a shell is not ours to offer.
_KEPT_COMMANDS = {"rclone"}
_QUIET = ("--quiet", "--disable-pip-version-check", "--no-cache-dir")

_Command = list[str | Path]


def main() -> int:
    """Do what the options say."""
    args = _parser().parse_args()
    if args.project:
        install_project(args.project, args.builder, args.environment, args.into)
    else:
        install_locked(args.lock, args.wheels, args.environment)
    return 0


def install_locked(lock: Path, wheels: Path, environment: Path) -> None:
    """Make a virtual environment without pip that holds what the lock file names."""
    make_environment(lock, wheels, environment)
    packages = next(environment.glob("lib/python*/site-packages"))
    for found in sorted(packages.rglob("*"), reverse=True):
        if found.is_dir() and found.name == _TESTS and found.parent.name != _KEPT_TESTS:
            shutil.rmtree(found)
        elif found.suffix in _USELESS_SUFFIXES and found.is_file():
            found.unlink()
    commands = environment / "bin"
    for command in commands.iterdir():
        if not command.name.startswith("python") and command.name not in _KEPT_COMMANDS:
            command.unlink()
    finish(environment)


def install_project(source: Path, builder: Path, environment: Path, into: Path) -> None:
    """Build our wheel and unpack it into a folder of its own, to be laid over the environment."""
    python = builder / "bin/python"
    with tempfile.TemporaryDirectory() as work:
        # The builder writes beside the sources, which may be read-only.
        copy = shutil.copytree(source, Path(work, "source"))
        _run([python, "-m", "hatchling", "build", "-t", "wheel", "-d", work], copy)
        wheel = next(Path(work).glob("*.whl"))
        pip: _Command = [python, "-m", "pip", "--python", environment / "bin/python", *_QUIET]
        _run([*pip, "install", "--no-deps", "--no-index", "--no-compile", "--prefix", into, wheel])
    finish(into)


def make_environment(lock: Path, wheels: Path, environment: Path) -> None:
    """Make a virtual environment of what the lock file names, from wheels that are there."""
    _run([sys.executable, "-m", "venv", "--without-pip", environment])
    # Each wheel's hash is checked against the lock, wherever it came from.
    options: _Command = ["--no-compile", "--only-binary", ":all:", "--require-hashes", "-r", lock]
    if any(wheels.glob("*.whl")):
        options += ["--no-index", "--find-links", wheels]
    _run([*_pip(environment, wheels), "install", *options])


def finish(folder: Path) -> None:
    """Compile to byte code, and give every file the same time, as a rebuild should."""
    compileall.compile_dir(
        folder, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    epoch_s = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)


def _pip(environment: Path, wheels: Path) -> _Command:
    python = environment / "bin/python"
    for wheel in wheels.glob("pip-*.whl"):
        return [python, wheel / "pip", *_QUIET]
    found = subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
    )
    if found.returncode:
        sys.exit("the base image has no pip: use one that has, or `make images`, which brings it")
    return [sys.executable, "-m", "pip", "--python", python, *_QUIET]


def _run(command: _Command, folder: Path | None = None) -> None:
    done = subprocess.run([os.fspath(part) for part in command], cwd=folder, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, help="what to install")
    parser.add_argument("--wheels", type=Path, help="its wheels; an empty folder: from the network")
    parser.add_argument("--environment", type=Path, default=Path("/opt/vis-receive"))
    parser.add_argument("--project", type=Path, help="folder with our pyproject.toml")
    parser.add_argument("--builder", type=Path, help="environment that has hatchling and pip")
    parser.add_argument("--into", type=Path, help="where to put the project")
    return parser


if __name__ == "__main__":
    sys.exit(main())
