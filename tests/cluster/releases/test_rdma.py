"""The RDMA profile: devices of a plugin, rights to lock memory, and nodes without a real card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from images.__main__ import image_name
from testbed.build import binaries
from testbed.images import write_archive
from tests.cluster.device_plugin import DEVICE_FILE, VARIABLE, DevicePlugin
from tests.cluster.namespaces import new_namespace
from tests.cluster.release import Release, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import LocalCluster

pytestmark = [
    pytest.mark.cluster_wide,
    pytest.mark.usefixtures("images"),
    pytest.mark.needs("host-control", "local-images", "two-nodes"),
]

RESOURCE = "rdma/hca_shared_devices_a"
NODE, OTHER_NODE = "node-2", "node-1"
DEVICES = 2
CONFIG, NETWORK = 2, 5
NET_RAW, IPC_LOCK = 13, 14  # capability.h
# capability.h: version 2, effective; permitted, inheritable, and the upper halves of both.
LOCKING = b"".join(number.to_bytes(4, "little") for number in (0x02000001, 1 << IPC_LOCK, 0, 0, 0))
WAITING = {"transmit.model": False, "results.start_timeout": 120, "attempts": 0}
IBVERBS = {"reception.transport": "ibverbs", "reception.bind_hostname": "239.1.2.3"}
# As the card's driver does it: more than the limit allows, which then is none for those that may.
LOCK_MEMORY = """
import ctypes, mmap, resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
page = mmap.mmap(-1, mmap.PAGESIZE)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
failed = ctypes.CDLL(None).mlock(ctypes.c_void_p(address), mmap.PAGESIZE)
print("refused" if failed else "locked")
"""


@pytest.fixture(scope="module")
def devices(cluster: LocalCluster) -> Iterator[DevicePlugin]:
    """Return the plugin that offers two devices on one of two nodes."""
    plugin = DevicePlugin(cluster, NODE, RESOURCE, DEVICES)
    with plugin.running():
        plugin.wait_until_offered(DEVICES)
        yield plugin


@pytest.fixture
def privileged(cluster: LocalCluster) -> Iterator[str]:
    """Return a namespace whose pods may have any right."""
    level = ("pod-security.kubernetes.io/enforce=privileged", "pod-security.kubernetes.io/warn-")
    with new_namespace(cluster) as name:
        cluster.kubectl("label", "--overwrite", "namespace", name, *level)
        yield name


def in_receiver(release: Release, *command: str, index: int = 0) -> str:
    return release.kubectl("exec", release.pod(index), "-c", "receiver", "--", *command)


def status(text: str) -> dict[str, str]:
    """Return a /proc/PID/status by its names."""
    parts = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in parts}


def has(capabilities: str, number: int) -> bool:
    return bool(int(capabilities, 16) >> number & 1)


def waits_for_a_device(release: Release) -> list[dict[str, Any]]:
    """Return the pods that no node has a device for."""
    return [
        pod
        for pod in release.pods()
        for one in pod["status"].get("conditions", [])
        if one["type"] == "PodScheduled" and f"Insufficient {RESOURCE}" in one.get("message", "")
    ]


def test_restricted_pods_are_where_devices_are_and_the_rest_wait(
    cluster: LocalCluster, namespace: str, devices: DevicePlugin
) -> None:
    assert devices.allocatable(OTHER_NODE) == 0
    release = Release(cluster, namespace, "shared")
    values = {"processes": 3, "rdma.enabled": True, "transmission.channels_per_stream": 4}
    release.install(WAITING | values)
    release.wait_until_ready(DEVICES)
    until(lambda: waits_for_a_device(release), "a pod waits for a device")

    [waiting] = waits_for_a_device(release)
    running = [pod for pod in release.pods() if pod["status"]["phase"] == "Running"]
    assert waiting["status"]["phase"] == "Pending"
    assert {pod["spec"]["nodeName"] for pod in running} == {NODE}
    events = release.kubectl("get", "events", "--field-selector=reason=FailedScheduling")
    assert waiting["metadata"]["name"] in events
    assert f"Insufficient {RESOURCE}" in events
    given = set()
    for pod in running:
        [receiver] = pod["spec"]["containers"]
        assert receiver["resources"]["limits"][RESOURCE] == "1"
        assert receiver["resources"]["requests"][RESOURCE] == "1"
        name = (pod["metadata"]["name"], "-c", "receiver", "--")
        given.add(release.kubectl("exec", *name, "printenv", VARIABLE).strip())
        assert release.kubectl("exec", *name, "ls", "-l", DEVICE_FILE).startswith("c")
    assert given == {"device-0", "device-1"}

    # In a restricted namespace the device is all that there is.
    inside = ("exec", running[0]["metadata"]["name"], "-c", "receiver", "--")
    seen = status(release.kubectl(*inside, "cat", "/proc/1/status"))
    assert seen["Uid"].split()[0] == "1000"
    assert {seen[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert seen["NoNewPrivs"] == "1"
    # Whatever the node's runtime allows is what there is.
    limits = release.kubectl(*inside, "cat", "/proc/1/limits")
    [of_node] = {line.split()[3] for line in limits.splitlines() if "locked memory" in line}
    by_shell = release.kubectl(*inside, "sh", "-c", "ulimit -l").strip()
    assert by_shell == of_node or int(by_shell) == int(of_node) // 1024
    assert release.kubectl(*inside, "python", "-c", LOCK_MEMORY) == "refused\n"
    release.uninstall()


def test_ways_of_locking_memory_without_limit(
    cluster: LocalCluster, privileged: str, devices: DevicePlugin, tmp_path: Path
) -> None:
    image = "localhost/vis-receive/bed-locks:1"
    write_archive(tmp_path / "locks.tar", image, binaries() / "probe", LOCKING)
    cluster.load_image(tmp_path / "locks.tar", image)
    by_root = Release(cluster, privileged, "root")
    by_file = Release(cluster, privileged, "file")
    # The sender beside it has no device, and so is not root.
    observes = {"attempts": 0, "transmission.time_interval": 0.5}
    by_root.install(observes | {"rdma.enabled": True, "rdma.ipcLock": "root"})
    # Any image shows what the chart allows.
    any_image = {"rdma.image": image_name("receive")}
    by_file.install(WAITING | {"rdma.enabled": True, "rdma.ipcLock": "file"} | any_image)

    by_root.wait_until_ready()
    seen = status(in_receiver(by_root, "cat", "/proc/1/status"))
    assert seen["Uid"].split()[0] == "0"
    assert int(seen["CapEff"], 16) == 1 << IPC_LOCK
    assert in_receiver(by_root, "python", "-c", LOCK_MEMORY) == "locked\n"
    by_root.wait_until_complete()
    assert "nothing was lost" in by_root.logs("receiver")

    # Of a user who is not root nothing is effective by itself: it takes the file.
    by_file.wait_until_ready()
    seen = status(in_receiver(by_file, "cat", "/proc/1/status"))
    assert seen["Uid"].split()[0] == "1000"
    assert not has(seen["CapEff"], IPC_LOCK)
    assert int(seen["CapBnd"], 16) == 1 << IPC_LOCK
    assert seen["NoNewPrivs"] == "0"
    made = by_file.pods(0)[-1]["spec"]
    locks = {
        "name": "locks",
        "image": image,
        "args": ["read", "/proc/self/status"],
        "securityContext": made["containers"][0]["securityContext"],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "locks"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": made["securityContext"],
            "containers": [locks],
        },
    }
    cluster.apply(pod, namespace=privileged)
    ended = ("wait", "pod/locks", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s")
    by_file.kubectl(*ended)
    seen = status(by_file.kubectl("logs", "locks"))
    assert seen["Uid"].split()[0] == "1000"
    assert int(seen["CapEff"], 16) == 1 << IPC_LOCK
    by_file.uninstall()


def test_a_node_without_a_card_and_a_configuration_without_an_interface(
    cluster: LocalCluster, namespace: str, devices: DevicePlugin
) -> None:
    no_card = Release(cluster, namespace, "no-card")
    no_interface = Release(cluster, namespace, "no-interface")
    values = {"rdma.enabled": True, "attempts": 1}
    no_card.install(WAITING | IBVERBS | values | {"reception.interface_address": "eth0"})
    no_interface.install(WAITING | IBVERBS | values)

    assert no_interface.wait_until_ended() == "Failed"
    # It does not get better: not tried again.
    assert len(no_interface.pods()) == 1
    # The first of the pod's commands to read the configuration says so.
    assert no_interface.exit_code("model") == CONFIG
    assert "reception.interface_address" in no_interface.logs("model").splitlines()[-1]
    assert no_interface.job()["status"]["failedIndexes"] == "0"

    assert no_card.wait_until_ended() == "Failed"
    # A driver may come back: tried again.
    assert len(no_card.pods()) == 2
    assert no_card.exit_code("receiver") == NETWORK
    [said] = [line for line in no_card.logs("receiver").splitlines() if "error" in line.lower()]
    assert "reception.transport = ibverbs: this machine has no RDMA device" in said
    assert "Traceback" not in no_card.logs("receiver")


def test_a_plugin_that_goes_takes_its_devices_and_not_the_pods(
    cluster: LocalCluster, namespace: str
) -> None:
    plugin = DevicePlugin(cluster, OTHER_NODE, "rdma/of_another_plugin", 2)
    release = Release(cluster, namespace, "goes-on")
    values = {"rdma.enabled": True, "rdma.resource": plugin.resource, "rdma.count": "2"}
    with plugin.running():
        plugin.wait_until_offered(2)
        release.install(WAITING | values)
        release.wait_until_ready()
        given = in_receiver(release, "printenv", VARIABLE).strip()
        assert sorted(given.split(",")) == ["device-0", "device-1"]
    plugin.wait_until_offered(0)
    with plugin.running():
        plugin.wait_until_offered(2)
        cluster.restart_kubelet(plugin.node)
        until(lambda: plugin.registrations() == 2, "the new kubelet is told")
        plugin.wait_until_offered(2)
    assert release.pods(0)[-1]["status"]["phase"] == "Running"
    asked = ("exec", release.pod(), "-c", "receiver", "--", "printenv", "VIS_RECEIVE_INDEX")
    # A kubelet that has just begun has yet to learn of its pods.
    until(lambda: release.kubectl(*asked, check=False) == "0\n", "the new kubelet knows the pod")
