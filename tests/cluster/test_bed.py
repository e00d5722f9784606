"""The test cluster itself: what the tests of the release rely on."""

from __future__ import annotations

import json
import os
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from testbed.images import PROBE, write_archive
from testbed.processes import start_time
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster, LocalCluster

# The probe's own image is in the bed alone.
pytestmark = pytest.mark.needs("local-images", "host-control")

GROUP = "239.1.2.3:7148"


def container(*arguments: str, image: str = PROBE) -> dict[str, Any]:
    return {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "Never",
        "args": list(arguments),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def pod(name: str, *arguments: str, node: str | None = None, image: str = PROBE) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container(*arguments, image=image)],
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


def service(name: str, port: int) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def wait_for(cluster: Cluster, namespace: str, what: str, condition: str) -> None:
    here = ("--namespace", namespace)
    cluster.kubectl("wait", *here, what, f"--for={condition}", "--timeout=90s")


def wait_for_phase(cluster: Cluster, namespace: str, name: str, phase: str) -> None:
    wait_for(cluster, namespace, f"pod/{name}", f"jsonpath={{.status.phase}}={phase}")


def logs(cluster: Cluster, namespace: str, name: str) -> str:
    return cluster.kubectl("logs", "--namespace", namespace, name).stdout


def sleeps(cluster: Cluster, namespace: str, name: str) -> bool:
    """Whether a pod's log says that it sleeps."""
    return "sleeping" in logs(cluster, namespace, name)


def said(cluster: Cluster, namespace: str, name: str) -> str:
    """Return what a pod printed that ran to its end."""
    wait_for_phase(cluster, namespace, name, "Succeeded")
    return logs(cluster, namespace, name)


def test_both_nodes_are_ready(cluster: Cluster) -> None:
    conditions = {
        node["metadata"]["name"]: condition["status"]
        for node in cluster.get("nodes")["items"]
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert conditions == {"node-1": "True", "node-2": "True"}


@pytest.mark.parametrize("version", [3, 4])
def test_both_helms_reach_the_cluster(cluster: Cluster, namespace: str, version: int) -> None:
    assert cluster.helm("version", "--short", version=version).stdout.startswith(f"v{version}.")
    listed = cluster.helm("list", "--namespace", namespace, "--output=json", version=version)
    assert json.loads(listed.stdout) == []


def test_the_pods_of_an_indexed_job_find_each_other(cluster: Cluster, namespace: str) -> None:
    names = [f"group-{index}.group" for index in range(3)]
    headless = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "group"},
        "spec": {
            "clusterIP": "None",
            "selector": {"app": "group"},
            "publishNotReadyAddresses": True,
        },
    }
    template = pod("group", "lookup", *names)
    template["spec"]["subdomain"] = "group"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "group"},
        "spec": {
            "completions": 3,
            "parallelism": 3,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"app": "group"}},
                "spec": template["spec"],
            },
        },
    }
    cluster.apply(headless, job, namespace=namespace)

    wait_for(cluster, namespace, "job/group", "condition=complete")

    pods = cluster.get("pods", "--namespace", namespace)["items"]
    addresses = {one["status"]["podIP"] for one in pods}
    for one in pods:
        seen = logs(cluster, namespace, one["metadata"]["name"])
        assert all(address in seen for address in addresses)


@pytest.mark.needs("two-nodes")
def test_pods_of_both_nodes_reach_a_service_and_the_cluster(
    cluster: Cluster, namespace: str
) -> None:
    cluster.apply(
        pod("server", "serve", "8080", "hello", node="node-2"),
        service("server", 8080),
        pod("near", "get", "http://server", node="node-2"),
        pod("far", "get", f"http://server.{namespace}.svc.cluster.local", node="node-1"),
        pod("api", "dial", "kubernetes.default:443", node="node-2"),
        namespace=namespace,
    )

    assert said(cluster, namespace, "near") == "hello"
    assert said(cluster, namespace, "far") == "hello"
    assert said(cluster, namespace, "api") == "connected\n"


@pytest.mark.needs("two-nodes", "multicast")
def test_multicast_passes_between_pods_of_both_nodes(cluster: Cluster, namespace: str) -> None:
    cluster.apply(
        pod("hears-1", "hear", GROUP, node="node-1"),
        pod("hears-2", "hear", GROUP, node="node-2"),
        pod("says", "say", GROUP, "signal", node="node-1"),
        namespace=namespace,
    )

    for name in ("hears-1", "hears-2"):
        assert "heard signal from " in said(cluster, namespace, name)


def listen(cluster: Cluster) -> tuple[socket.socket, int]:
    """Listen on this machine where pods can reach it."""
    server = socket.create_server((cluster.host, 0))
    return server, server.getsockname()[1]


@pytest.mark.needs("packet-filter")
def test_pods_reach_this_machine_unless_the_packet_filter_says_no(
    cluster: LocalCluster, namespace: str
) -> None:
    allowed, allowed_port = listen(cluster)
    other, other_port = listen(cluster)
    with allowed, other:
        dial_other = ("dial", f"{cluster.host}:{other_port}")
        with cluster.packet_filter((cluster.host, allowed_port)):
            cluster.apply(
                pod("allowed", "dial", f"{cluster.host}:{allowed_port}"),
                pod("refused", *dial_other),
                pod("inside", "dial", "kubernetes.default:443"),
                namespace=namespace,
            )
            assert said(cluster, namespace, "allowed") == "connected\n"
            assert said(cluster, namespace, "inside") == "connected\n"
            assert said(cluster, namespace, "refused").startswith("refused: ")
        cluster.apply(pod("after", *dial_other), namespace=namespace)
        assert said(cluster, namespace, "after") == "connected\n"


def test_this_machine_reaches_pods_and_services(cluster: Cluster, namespace: str) -> None:
    cluster.apply(
        pod("server", "serve", "8080", "hello"), service("server", 8080), namespace=namespace
    )
    wait_for(cluster, namespace, "pod/server", "condition=Ready")
    address = cluster.get("pod", "server", "--namespace", namespace)["status"]["podIP"]
    service_address = cluster.get("service", "server", "--namespace", namespace)["spec"][
        "clusterIP"
    ]

    def answers(where: tuple[str, int]) -> bool:
        try:
            socket.create_connection(where, timeout=5).close()
        except OSError:
            return False
        return True

    wait_until(lambda: answers((address, 8080)), "the pod answers")
    wait_until(lambda: answers((service_address, 80)), "the service answers")


@pytest.mark.needs("two-nodes")
def test_a_process_of_a_container_can_be_killed_from_outside(
    cluster: LocalCluster, namespace: str
) -> None:
    for node in cluster.nodes:
        name = f"victim-{node}"
        cluster.apply(pod(name, "sleep", node=node), namespace=namespace)
        wait_for(cluster, namespace, f"pod/{name}", "condition=Ready")
        wait_until(
            partial(sleeps, cluster, namespace, name),
            "logs of both nodes are readable",
        )

        os.kill(cluster.host_pid(namespace, name, "probe"), signal.SIGKILL)

        wait_for_phase(cluster, namespace, name, "Failed")
        status = cluster.get("pod", name, "--namespace", namespace)["status"]
        assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


def test_an_image_is_known_by_the_name_it_was_loaded_by(
    cluster: LocalCluster, namespace: str, tmp_path: Path
) -> None:
    archive = tmp_path / "image.tar"
    write_archive(archive, "example.org/called/otherwise:1", cluster.bin / "probe")

    cluster.load_image(archive, "localhost/vis-receive/loaded:2")

    image = "localhost/vis-receive/loaded:2"
    for node in cluster.nodes:
        one = pod(f"runs-{node}", "lookup", "kubernetes.default", node=node, image=image)
        cluster.apply(one, namespace=namespace)
    for node in cluster.nodes:
        assert "kubernetes.default" in said(cluster, namespace, f"runs-{node}")


def test_a_pod_with_rights_is_refused_in_a_namespace(cluster: Cluster, namespace: str) -> None:
    privileged = pod("privileged", "sleep")
    del privileged["spec"]["containers"][0]["securityContext"]

    refused = cluster.kubectl(
        *("create", "--namespace", namespace, "--filename=-"),
        input=json.dumps(privileged),
        check=False,
    )

    assert refused.returncode == 1
    assert "violates PodSecurity" in refused.stderr


@pytest.mark.needs("two-nodes", "shared-volumes")
def test_pods_of_both_nodes_share_a_claim_that_outlives_them(
    cluster: LocalCluster, namespace: str
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "results"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    pods = []
    for name, node, command in (
        ("writes", "node-1", ("write", "/results/set", "dump")),
        ("reads", "node-2", ("read", "/results/set")),
    ):
        one = pod(name, *command, node=node)
        one["spec"]["volumes"] = [
            {"name": "results", "persistentVolumeClaim": {"claimName": "results"}}
        ]
        one["spec"]["containers"][0]["volumeMounts"] = [
            {"name": "results", "mountPath": "/results"}
        ]
        pods.append(one)
    cluster.apply(claim, pods[0], namespace=namespace)
    assert said(cluster, namespace, "writes") == "written\n"
    cluster.kubectl("delete", "pod", "writes", "--namespace", namespace)

    cluster.apply(pods[1], namespace=namespace)

    assert said(cluster, namespace, "reads") == "dump"
    volume = cluster.get("persistentvolumeclaim", "results", "--namespace", namespace)
    name = volume["spec"]["volumeName"]
    cluster.kubectl(
        "delete", "--namespace", namespace, "pod/reads", "persistentvolumeclaim/results"
    )
    wait_for(cluster, namespace, f"persistentvolume/{name}", "delete")


@pytest.mark.needs("two-nodes")
def test_a_drained_node_gives_its_pods_to_the_other(cluster: Cluster, namespace: str) -> None:
    template = pod("moves", "sleep")
    del template["spec"]["restartPolicy"]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "moves"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "moves"}},
            "template": {"metadata": {"labels": {"app": "moves"}}, "spec": template["spec"]},
        },
    }
    rollout = ("rollout", "status", "deployment/moves", "--namespace", namespace)
    cluster.apply(deployment, namespace=namespace)
    cluster.kubectl(*rollout, "--timeout=60s")
    try:
        cluster.kubectl(
            *("drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--force"),
            *("--pod-selector=app=moves", "--timeout=60s"),
        )
        cluster.kubectl(*rollout, "--timeout=60s")
        pods = cluster.get("pods", "--namespace", namespace, "--selector=app=moves")["items"]
        running = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
        assert {one["spec"]["nodeName"] for one in running} == {"node-1"}
    finally:
        cluster.kubectl("uncordon", "node-2")


def is_ready(cluster: Cluster, node: str) -> str:
    """Return the status of a node's condition Ready: True, False or Unknown."""
    condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return cluster.kubectl("get", "node", node, "--output", condition).stdout


@pytest.mark.needs("two-nodes")
def test_pods_go_on_while_a_kubelet_restarts(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(pod("goes-on", "sleep", node="node-2"), namespace=namespace)
    wait_for(cluster, namespace, "pod/goes-on", "condition=Ready")
    before = cluster.host_pid(namespace, "goes-on", "probe")

    cluster.restart_kubelet("node-2")

    cluster.apply(pod("later", "lookup", "kubernetes.default", node="node-2"), namespace=namespace)
    assert said(cluster, namespace, "later")
    assert cluster.host_pid(namespace, "goes-on", "probe") == before


@pytest.mark.needs("two-nodes")
def test_a_node_that_lost_its_power_is_missed_and_comes_back(
    cluster: LocalCluster, namespace: str
) -> None:
    cluster.apply(pod("lost", "sleep", node="node-2"), namespace=namespace)
    wait_for(cluster, namespace, "pod/lost", "condition=Ready")
    process = cluster.host_pid(namespace, "lost", "probe")

    cluster.fail_node("node-2")
    try:
        assert start_time(process) is None
        wait_until(lambda: is_ready(cluster, "node-2") == "Unknown", "it is missed", 120)
    finally:
        cluster.recover_node("node-2")

    wait_until(lambda: is_ready(cluster, "node-2") == "True", "it is back")
    wait_for_phase(cluster, namespace, "lost", "Failed")
    wait_until(lambda: not cluster.get("node", "node-2")["spec"].get("taints"), "it takes pods")
    cluster.apply(pod("new", "lookup", "kubernetes.default", node="node-2"), namespace=namespace)
    assert said(cluster, namespace, "new")
