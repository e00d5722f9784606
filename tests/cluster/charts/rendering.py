"""What Helm makes of the charts, as objects that tests can ask."""

from __future__ import annotations

import base64
import functools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).resolve().parents[3] / "charts"
Manifest = dict[str, Any]


def values_files(chart: str) -> list[Path]:
    """Return the values files that show each feature of a chart."""
    return sorted((CHARTS / chart / "ci").glob("*.yaml"))


ALL_FILES = [(chart, path) for chart in ("receive", "emulator") for path in values_files(chart)]


def ids(parameter: object) -> str | None:
    return parameter.stem.removesuffix("-values") if isinstance(parameter, Path) else None


@dataclass(frozen=True)
class Release:
    """The objects that a chart makes."""

    manifests: tuple[Manifest, ...]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """Return the only object of a kind (and name)."""
        [found] = self.all(kind, name)
        return found

    def all(self, kind: str, name: str | None = None) -> list[Manifest]:
        """Return all objects of a kind (and name)."""
        return [
            manifest
            for manifest in self.manifests
            if manifest["kind"] == kind and name in {None, manifest["metadata"]["name"]}
        ]

    @property
    def job(self) -> Manifest:
        return self.one("Job")["spec"]

    @property
    def pod(self) -> Manifest:
        """The Job's pod."""
        return self.job["template"]["spec"]

    @property
    def containers(self) -> dict[str, Manifest]:
        """The Job's containers, the one that fetches the model too."""
        every = [*self.pod.get("initContainers", []), *self.pod["containers"]]
        return {container["name"]: container for container in every}

    @property
    def config(self) -> Manifest:
        """What config.json holds."""
        return json.loads(self.one("ConfigMap")["data"]["config.json"])

    @property
    def secret(self) -> dict[str, str]:
        """The Secret's texts."""
        data = self.one("Secret")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @property
    def checksum(self) -> str:
        return self.one("Job")["metadata"]["annotations"]["vis-receive/checksum"]

    def environment(self, container: str) -> dict[str, Any]:
        """Return a container's variables: their text, or where it comes from."""
        return {
            one["name"]: one.get("value", one.get("valueFrom"))
            for one in self.containers[container]["env"]
        }

    def mounts(self, container: str) -> dict[str, Manifest]:
        """Return a container's mounts by their path."""
        return {mount["mountPath"]: mount for mount in self.containers[container]["volumeMounts"]}

    def volumes(self) -> dict[str, Manifest]:
        return {volume["name"]: volume for volume in self.pod["volumes"]}


@dataclass(frozen=True)
class Helm:
    """One of the two Helms."""

    binary: Path

    def template(
        self, chart: str, *options: str | Path, release: str = "receive", namespace: str = "work"
    ) -> Release:
        """Return what a release would be; options are as typed, a path is a values file."""
        done = _run(self.binary, ("template", release, f"{CHARTS / chart}"), namespace, options)
        assert done.returncode == 0, done.stderr
        documents = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
        return Release(tuple(document for document in documents if document))

    def refusal(self, chart: str, *options: str | Path, release: str = "receive") -> str:
        """Return what Helm says to values that it must refuse."""
        done = _run(self.binary, ("template", release, f"{CHARTS / chart}"), "work", options)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def lint(self, chart: str, *options: str | Path) -> str:
        """Return what the strict linter says; it must find nothing."""
        done = _run(self.binary, ("lint", "--strict", f"{CHARTS / chart}"), "work", options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@functools.cache
def _run(
    binary: Path, command: tuple[str, ...], namespace: str, options: tuple[str | Path, ...]
) -> subprocess.CompletedProcess[str]:
    typed: list[str | Path] = []
    for option in options:
        typed += ["-f", option] if isinstance(option, Path) else [option]
    return subprocess.run(
        [binary, *command, "--namespace", namespace, *typed],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
