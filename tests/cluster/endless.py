"""An observation that goes on until it is ended, so that nothing that is done to it comes late."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.release import Release, exit_codes, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DUMPS_PER_SET = 60
VALUES: Mapping[str, Any] = {
    "transmission.time_interval": 0.05,
    "reader.num_repeats": 100_000,
    "consumer.max_dumps_per_ms": DUMPS_PER_SET,
    # Whoever can reach it may end it.
    "monitor.token_file": "",
}
_COUNTED = "batch.kubernetes.io/job-index-failure-count"
_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclass
class Endless(Release):
    """A release whose sender never comes to its end."""

    def begin(self, values: Mapping[str, Any] | None = None) -> None:
        """Install it."""
        self.install({**VALUES, **(values or {})})

    def closed_sets(self) -> int:
        """Return how many sets the newest receiver has closed."""
        pods = self.pods()
        if not pods:
            return 0
        found = self.cluster.look(self._monitor(pods[-1]["metadata"]["name"], "summary"))
        return len(found["sets"]) if found else 0

    def wait_until_closed(self, sets: int = 1) -> int:
        """Wait until the newest receiver has closed so many sets; return how many it has."""
        what = f"{self.name} closes {sets} sets"
        until(lambda: self.closed_sets() >= sets, what, found=self.everything)
        return self.closed_sets()

    def end(self) -> None:
        """End it as if its sender had come to the end."""
        path = self._monitor(self.pod(), "stop")
        self.kubectl("create", "--raw", path, "--filename=/dev/null")

    def wait_for_replacement(self, pod: str) -> None:
        """Wait until another pod has taken a pod's place, and has closed a set."""
        until(lambda: self.pods() and self.pod() != pod, f"pod {pod} is replaced")
        self.wait_until_closed()

    def failures(self) -> tuple[int, int]:
        """Return how many pods before the newest count as attempts, and how many do not."""
        known = self.pods()[-1]["metadata"]["annotations"]
        return int(known.get(_COUNTED, 0)), int(known.get(_IGNORED, 0))

    @contextlib.contextmanager
    def watched(self) -> Iterator[Watch]:
        """Watch its pods: how one ended that was deleted cannot be asked afterwards."""
        command = [
            *(self.cluster.kubectl_path, "get", "pods", "--watch", "--output=json"),
            *("--namespace", self.namespace),
            *("--selector", f"app.kubernetes.io/instance={self.name}"),
        ]
        with tempfile.TemporaryDirectory() as folder:
            seen = Path(folder) / "seen"
            with (
                seen.open("w") as file,
                subprocess.Popen(command, stdout=file, env=self.cluster.environment) as watching,
            ):
                watch = Watch(seen)
                try:
                    until(watch.pods, f"the pods of {self.name} are watched")
                    yield watch
                finally:
                    watching.kill()

    def _monitor(self, pod: str, path: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8080/proxy/{path}"


class Watch:
    """What was seen of pods while they were watched."""

    def __init__(self, seen: Path) -> None:
        self._seen = seen

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return each pod as it was seen last."""
        # Each is indented, and ends with a bracket at the margin; the last may be half.
        parts = self._seen.read_text().split("\n}\n")[:-1]
        found = [json.loads(part + "}") for part in parts]
        return {pod["metadata"]["name"]: pod for pod in found}

    def wait_for_exit_codes(self, pod: str) -> dict[str, int]:
        """Wait until all containers of a pod have ended; return their exit codes."""

        def has_ended() -> bool:
            return self.pods()[pod]["status"]["phase"] in {"Succeeded", "Failed"}

        until(has_ended, f"pod {pod} ends")
        return exit_codes(self.pods()[pod])

    def disruption(self, pod: str) -> str:
        """Return why Kubernetes took a pod away; empty if it did not."""
        conditions = self.pods()[pod]["status"]["conditions"]
        reasons = [one["reason"] for one in conditions if one["type"] == "DisruptionTarget"]
        return "".join(reasons)
