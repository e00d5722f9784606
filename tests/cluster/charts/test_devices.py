"""Devices, networks and the rights that they take, in both charts."""

from __future__ import annotations

import pytest


def test_an_rdma_device_is_the_receivers(helm):
    release = helm.template("receive", "--set", "rdma.enabled=true,rdma.count=2")
    name = "rdma/hca_shared_devices_a"
    resources = release.containers["receiver"]["resources"]
    assert int(resources["limits"][name]) == int(resources["requests"][name]) == 2
    assert name not in release.containers["sender"]["resources"]["limits"]
    assert "add" not in release.containers["receiver"]["securityContext"]["capabilities"]
    both = helm.template("receive", "--set", "rdma.enabled=true,transmission.transport=ibverbs")
    assert name in both.containers["sender"]["resources"]["limits"]
    off = helm.template("receive", "--set", "rdma.ipcLock=root")
    assert off.containers["receiver"]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("way", "context"),
    [
        ("root", {"runAsUser": 0, "runAsNonRoot": False, "allowPrivilegeEscalation": False}),
        ("file", {"allowPrivilegeEscalation": True}),
    ],
)
def test_ways_of_locking_memory(helm, way, context):
    options = f"rdma.enabled=true,rdma.ipcLock={way},rdma.image=h/rdma:1"
    release = helm.template("receive", "--set", options)
    assert release.containers["receiver"]["securityContext"] == context | {
        "capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]},
        "readOnlyRootFilesystem": True,
    }
    for name in ("model", "sender"):
        assert "add" not in release.containers[name]["securityContext"]["capabilities"]


def test_huge_pages_and_shared_memory(helm3):
    release = helm3.template("receive", "--set", "hugepages.2Mi=512Mi,sharedMemory.size=1Gi")
    assert release.containers["receiver"]["resources"]["limits"]["hugepages-2Mi"] == "512Mi"
    assert release.volumes()["hugepages"]["emptyDir"] == {"medium": "HugePages-2Mi"}
    assert release.volumes()["shared-memory"]["emptyDir"] == {
        "medium": "Memory",
        "sizeLimit": "1Gi",
    }
    assert {"/dev/shm", "/dev/hugepages"} <= set(release.mounts("receiver"))  # noqa: S108


@pytest.mark.parametrize(
    ("typed", "annotation"),
    [
        (("--set", "network.multus=fast"), "fast"),
        (("--set", "network.multus={a/fast,control}"), "a/fast,control"),
        (("--set-json", 'network.multus=[{"name":"fast"}]'), '[{"name":"fast"}]'),
    ],
)
def test_further_networks(helm, typed, annotation):
    template = helm.template("receive", *typed).job["template"]
    assert template["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"] == annotation


def test_the_nodes_network(helm3):
    pod = helm3.template("receive", "--set", "network.hostNetwork=true").pod
    assert (pod["hostNetwork"], pod["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")


@pytest.mark.parametrize("way", ["root", "file"])
def test_raw_packets_are_for_containers_that_take_them_from_the_card(helm, way):
    options = f"rdma.enabled=true,rdma.ipcLock={way},rdma.image=h/rdma:1"
    options += ",reception.transport=ibverbs"
    release = helm.template("receive", "--set", options)
    added = {
        name: container["securityContext"]["capabilities"].get("add")
        for name, container in release.containers.items()
    }
    assert added == {"model": None, "receiver": ["IPC_LOCK", "NET_RAW"], "sender": None}
    both = helm.template("receive", "--set", f"{options},transmission.transport=ibverbs")
    context = both.containers["sender"]["securityContext"]
    assert context["capabilities"]["add"] == ["IPC_LOCK", "NET_RAW"]


def test_an_image_with_capabilities_is_for_the_containers_that_have_them(helm):
    options = "rdma.enabled=true,rdma.ipcLock=file"
    release = helm.template("receive", "--set", f"{options},rdma.image=h/rdma:1")
    images = {name: container["image"] for name, container in release.containers.items()}
    assert images.pop("receiver") == "h/rdma:1"
    assert {image.partition(":")[0] for image in images.values()} == {
        "localhost/vis-receive/receive"
    }
    for chart in ("receive", "emulator"):
        said = helm.refusal(chart, "--set", f"{options},transmission.target_host=h")
        assert "there is no rdma.image" in said


def test_a_sender_release_takes_the_card_too(helm):
    options = "transmission.target_host=239.1.2.3,transmission.transport=ibverbs"
    release = helm.template("emulator", "--set", f"{options},rdma.enabled=true,rdma.ipcLock=root")
    sender = release.containers["sender"]
    assert sender["securityContext"]["capabilities"]["add"] == ["IPC_LOCK", "NET_RAW"]
    assert sender["securityContext"]["runAsUser"] == 0
    assert int(sender["resources"]["limits"]["rdma/hca_shared_devices_a"]) == 1
