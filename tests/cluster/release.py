"""A release of one of our charts on a real cluster, as an operator sees it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from testbed.cluster import Cluster

LOOK_EVERY_S = 0.3
BOUND_S = 180.0
_INDEX = "batch.kubernetes.io/job-completion-index"


def until(
    look: Callable[[], object],
    what: str,
    timeout_s: float = BOUND_S,
    found: Callable[[], str] = str,
) -> None:
    """Look until it is so; if that takes too long, fail with what is found instead."""
    deadline_s = time.monotonic() + timeout_s
    while not look():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s:g} s in vain: {what}\n{found()}")
        time.sleep(LOOK_EVERY_S)


@dataclass
class Release:
    """A release, installed or to be.

    Attributes
    ----------
    cluster, namespace
        Where it is.
    name
        Of the release, and so of its Job.
    chart
        ``receive`` or ``emulator``.
    helm_version
        3 or 4.
    """

    cluster: Cluster
    namespace: str
    name: str
    chart: str = "receive"
    helm_version: int = 3

    # --- what operators type --------------------------------------------------------------------

    def install(self, values: Mapping[str, Any], *flags: str) -> str:
        """Install it; return what helm printed."""
        done = self._helm("install", values, *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def upgrade(self, values: Mapping[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
        """Try to upgrade it."""
        return self._helm("upgrade", values, *flags)

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of helm in its namespace."""
        return self.cluster.helm(
            *arguments, "--namespace", self.namespace, version=self.helm_version, check=False
        )

    def uninstall(self) -> None:
        """Uninstall it, and wait until its pods are gone."""
        done = self.helm("uninstall", self.name)
        assert done.returncode == 0, done.stderr
        until(lambda: not self.pods(), f"the pods of {self.name} are gone")

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl in its namespace; return what it printed."""
        done = self.cluster.kubectl("--namespace", self.namespace, *arguments, check=check)
        return done.stdout

    # --- what they see --------------------------------------------------------------------------

    def job(self) -> dict[str, Any]:
        """Return the Job; empty if there is none."""
        named = quote(f"metadata.name={self.name}")
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs?fieldSelector={named}"
        return next(iter(self._listed(path)), {})

    def condition(self) -> str:
        """Return ``Complete`` or ``Failed`` when the Job has ended, nothing before."""
        conditions = self.job().get("status", {}).get("conditions", [])
        ended = [
            str(one["type"])
            for one in conditions
            if one["status"] == "True" and one["type"] in {"Complete", "Failed"}
        ]
        return ended[0] if ended else ""

    def wait_until_ended(self, timeout_s: float = BOUND_S) -> str:
        """Wait for the Job's end; return its condition."""
        until(self.condition, f"the Job {self.name} ends", timeout_s, self.everything)
        return self.condition()

    def wait_until_complete(self, timeout_s: float = BOUND_S) -> None:
        """Wait for the Job's end, which must be a good one."""
        condition = self.wait_until_ended(timeout_s)
        assert condition == "Complete", self.everything()

    def wait_until_ready(self, pods: int = 1) -> None:
        """Wait until so many receivers are ready."""
        what = f"{pods} receivers are ready"
        until(lambda: self._ready_pods() >= pods, what, found=self.everything)

    def pods(self, index: int | None = None) -> list[dict[str, Any]]:
        """Return its pods, of one index or of all, the newest last."""
        selector = f"app.kubernetes.io/instance={self.name}"
        if index is not None:
            selector += f",{_INDEX}={index}"
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={quote(selector)}"
        return sorted(self._listed(path), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def pod(self, index: int = 0) -> str:
        """Return the name of the newest pod of an index."""
        return str(self.pods(index)[-1]["metadata"]["name"])

    def logs(self, container: str, index: int = 0) -> str:
        """Return the log of a container of the newest pod of an index."""
        return self.kubectl("logs", self.pod(index), "-c", container, check=False)

    def exit_code(self, container: str, index: int = 0) -> int | None:
        """Return the exit code of a container of the newest pod of an index; None before."""
        return exit_codes(self.pods(index)[-1]).get(container)

    def manifests(self) -> str:
        """Return its objects as everybody may read them: all but Secrets, and its notes."""
        kinds = "job,pod,service,configmap,serviceaccount,persistentvolumeclaim"
        selector = f"app.kubernetes.io/instance={self.name}"
        there = self.kubectl("get", kinds, "-l", selector, "-o", "yaml")
        return there + self.helm("get", "notes", self.name).stdout

    def overview(self) -> str:
        """Return what operators look at first."""
        return self.kubectl("get", "all", "-o", "wide", check=False)

    def everything(self) -> str:
        """Return what helps to understand a failure."""
        parts = [self.overview(), self.kubectl("get", "events", check=False)]
        for pod in self.pods():
            name = pod["metadata"]["name"]
            logs = self.kubectl("logs", name, "--all-containers", "--prefix", check=False)
            parts += [f"--- {name}", logs]
        return "\n".join(parts)

    def _listed(self, path: str) -> list[dict[str, Any]]:
        found = self.cluster.look(path)
        # A list may be empty, but it is always there.
        assert found is not None, f"the cluster does not answer at {path}"
        items: list[dict[str, Any]] = found["items"]
        return items

    def _ready_pods(self) -> int:
        return sum(
            any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
            for pod in self.pods()
            for conditions in [pod["status"].get("conditions", [])]
        )

    def _helm(
        self, command: str, values: Mapping[str, Any], *flags: str
    ) -> subprocess.CompletedProcess[str]:
        if self.chart == "receive":
            # The tests ask the monitor by way of the API server, which names itself as the host.
            values = {"monitor.hosts": ["*"], **values}
        return self.cluster.helm(
            command,
            self.name,
            str(REPOSITORY / "charts" / self.chart),
            "--namespace",
            self.namespace,
            "--values",
            "-",
            *flags,
            version=self.helm_version,
            input=yaml.safe_dump(nested(values)),
            check=False,
        )


def exit_codes(pod: Mapping[str, Any]) -> dict[str, int]:
    """Return the exit codes of the containers of a pod that have ended."""
    status = pod["status"]
    every = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    return {
        one["name"]: one["state"]["terminated"]["exitCode"]
        for one in every
        if "terminated" in one["state"]
    }


def message(pod: Mapping[str, Any], container: str) -> str:
    """Return the message of a container that has ended, as `kubectl describe pod` shows it."""
    status = pod["status"]
    every = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    [ended] = [one["state"]["terminated"] for one in every if one["name"] == container]
    return str(ended.get("message", ""))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys as the maps that charts take."""
    root: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        here = root
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return root
