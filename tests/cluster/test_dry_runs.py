"""What the charts make of every values file, as the API server judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.charts.rendering import ALL_FILES, CHARTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster

# Values files that ask for more than `restricted` gives begin with it.
LOOSE = "# Needs Pod Security's level privileged."
PRIVILEGED = ("pod-security.kubernetes.io/enforce=privileged", "pod-security.kubernetes.io/warn-")
# As far as the chart uses it: the Prometheus operator brings the whole.
TEXT, MAP = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
POD_MONITOR: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "podmonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "PodMonitor", "plural": "podmonitors", "singular": "podmonitor"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["selector"],
                                "properties": {
                                    "selector": {
                                        "type": "object",
                                        "properties": {"matchLabels": MAP},
                                    },
                                    "podMetricsEndpoints": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "properties": {
                                                "port": TEXT,
                                                "path": TEXT,
                                                "interval": TEXT,
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}

pytestmark = pytest.mark.parametrize("helm_version", [3, 4])


@pytest.fixture(scope="module", autouse=True)
def _pod_monitors(cluster: Cluster) -> Iterator[None]:
    """Let the cluster know PodMonitors, unless it does."""
    name = f"customresourcedefinition/{POD_MONITOR['metadata']['name']}"
    if cluster.kubectl("get", name, check=False).returncode == 0:
        yield
        return
    cluster.apply(POD_MONITOR, namespace="default")
    cluster.kubectl("wait", name, "--for=condition=Established", "--timeout=60s")
    yield
    cluster.kubectl("delete", name, "--wait=false")


def is_loose(path: Path) -> bool:
    return path.read_text().startswith(LOOSE)


def rendered(cluster: Cluster, helm_version: int, chart: str, path: Path, namespace: str) -> str:
    """Return a release's manifests as Helm wrote them, so that double keys are still double."""
    name = f"{chart}-{path.stem.removesuffix('-values')}"
    command = ("template", name, CHARTS / chart, "--values", path, "--namespace", namespace)
    return cluster.helm(*command, version=helm_version).stdout


def judge(cluster: Cluster, namespace: str, manifests: str) -> tuple[int, str]:
    """Let the API server judge; return how many objects it takes, and what it says beside."""
    done = cluster.kubectl(
        *("create", "--namespace", namespace, "--filename=-"),
        *("--dry-run=server", "--validate=strict"),
        input=manifests,
        check=False,
    )
    return done.stdout.count("created (server dry run)"), done.stderr


def test_restricted_namespaces_take_all_without_a_warning(
    cluster: Cluster, namespace: str, helm_version: int
) -> None:
    files = [(chart, path) for chart, path in ALL_FILES if not is_loose(path)]
    manifests = "".join(
        rendered(cluster, helm_version, chart, path, namespace) for chart, path in files
    )
    taken, said = judge(cluster, namespace, manifests)
    assert said == ""
    assert taken == manifests.count("\nkind: ") > 4 * len(files)


def test_what_asks_for_more_is_warned_of_or_taken_by_a_privileged_namespace(
    cluster: Cluster, namespace: str, helm_version: int
) -> None:
    files = [(chart, path) for chart, path in ALL_FILES if is_loose(path)]
    assert files
    every = [rendered(cluster, helm_version, chart, path, namespace) for chart, path in files]
    for manifests in every:
        _, said = judge(cluster, namespace, manifests)
        assert 'Warning: would violate PodSecurity "restricted:latest"' in said

    cluster.kubectl("label", "--overwrite", "namespace", namespace, *PRIVILEGED)
    manifests = "".join(every)
    taken, said = judge(cluster, namespace, manifests)
    assert said == ""
    assert taken == manifests.count("\nkind: ")


def test_helms_own_dry_run_on_the_server(
    cluster: Cluster, namespace: str, helm_version: int
) -> None:
    values = CHARTS / "receive" / "ci" / "full-values.yaml"
    done = cluster.helm(
        *("install", "full", CHARTS / "receive", "--values", values),
        *("--namespace", namespace, "--dry-run=server"),
        version=helm_version,
    )
    assert "kind: Job" in done.stdout
    assert "Warning" not in done.stderr
