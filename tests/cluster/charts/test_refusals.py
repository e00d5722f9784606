"""What the charts refuse, by schema or template, and what they say to it."""

from __future__ import annotations

import pytest

SENDS = "transmission.target_host=h"

BY_TEMPLATE = [
    ("results.push=true", "there is no rclone.command"),
    ("results.push=true,rclone.command=s3:b", "set rclone.configurl or rclone.secret"),
    (
        "results.push=true,rclone.command=s3:b,rclone.secret=a,rclone.configurl=https://h",
        "rclone.configurl and rclone.secret are both given",
    ),
    ("proxy.use=true", "there is no proxy.server"),
    ("proxy.use=true,proxy.server=a b", "proxy.server holds a blank"),
    ("model.pull=false", "there is no reception.datamodel"),
    ("reception.datamodel=/other.ms", "model.pull fetches /model/sim-vis.ms"),
    ("reception.process_index=1", "comes from the pod's own index"),
    ("reception.process_count=4", "remove it and set processes"),
    ("storage.size=1Gi,storage.existingClaim=a", "remove one of them"),
    ("storage.size=1Gi,storage.emptyDir.sizeLimit=1Gi", "storage.emptyDir is given"),
    ("storage.ephemeral=true", "there is no storage.size"),
    ("monitor.port=0,monitoring.podMonitor.enabled=true", "monitor.port is 0"),
    ("monitor.bind_hostname=127.0.0.1", "the probes cannot reach it"),
    ("caBundle.configMap=a,caBundle.secret=b", "caBundle.configMap and caBundle.secret"),
    ("workflow=vis_receive", "workflow means nothing to this chart"),
    ("replicas=2,processes=3", "replicas, an old name of processes"),
    ("pvc.name=a,storage.existingClaim=b", "pvc.name, an old name"),
    ("initContainersEnabled=false,model.pull=true", "contradicts model.pull"),
    ("fullnameOverride=1st", "cannot be that of a Service"),
    (f"fullnameOverride={'n' * 61},processes=11", "longer than 63 characters"),
    ("image.repository=", "image.repository is empty"),
]
BY_SCHEMA = [
    ("nonsense=1", "nonsense"),
    ("reception.ringheaps=16", "ringheaps"),
    ("storage.claim=x", "claim"),
    ("reception.ring_heaps=many", "ring_heaps"),
    ("reception.transport=UDP", "transport"),
    ("transmit.model=maybe", "model"),
    ("reception.port_start=1,reception.receiver_port_start=1", "reception"),
    ("processes=0", "processes"),
    ("processes=two", "processes"),
    ("rdma.ipcLock=yes", "ipcLock"),
    ("storage.size=lots", "size"),
    ("tolerations=none", "tolerations"),
]


@pytest.mark.parametrize(("options", "message"), BY_TEMPLATE)
def test_what_cannot_go_together_is_one_sentence(helm, options, message):
    said = helm.refusal("receive", "--set", options)
    assert message in said
    assert len([line for line in said.splitlines() if "Error" in line]) == 1


@pytest.mark.parametrize(("options", "message"), BY_SCHEMA)
def test_the_schema_names_what_is_wrong(helm, options, message):
    said = helm.refusal("receive", "--set", options)
    assert message in said
    assert "schema" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("waitForReceivers=60", "nothing says where to send to"),
        ("transmission.endpoints={}", "nothing says where to send to"),
        (f"{SENDS},model.pull=false", "set model.name to the path"),
        (f"{SENDS},proxy.use=true", "there is no proxy.server"),
        (f"{SENDS},workflow=x", "workflow means nothing"),
        (f"{SENDS},processes=2", "processes"),
        (f"{SENDS},reception.ring_heaps=2", "ring_heaps"),
    ],
)
def test_what_the_emulator_refuses(helm, options, message):
    assert message in helm.refusal("emulator", "--set", options)


def test_a_refusal_shows_no_credential(helm):
    said = helm.refusal("receive", "--set", "proxy.use=true,proxy.server=me:hunter2@a b")
    assert "hunter2" not in said
