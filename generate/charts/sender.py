"""The values of chart `emulator`, in the order in which an operator touches them."""

from __future__ import annotations

from generate.charts import kubernetes
from generate.charts.common import (
    EXTRAS,
    IMAGE_PULL_SECRETS,
    MODEL,
    MODEL_FETCH,
    MODEL_RESOURCES,
    MULTUS,
    NAMES,
    OLD,
    SCHEDULING,
    SECURITY,
    WAY_OUT,
    deadlines,
    image_values,
    rdma_values,
)
from generate.charts.value import Category, Chart, Section, Value, boolean, count

_SENDING = Section(
    title="What is sent where",
    entries=(
        Category(
            "transmission",
            "The sender. For receivers in one cluster: `endpoints`, HOST:FIRST-LAST for each "
            "receiver, or one `target_host`.",
        ),
        Value(
            "waitForReceivers",
            "How long the sender waits until the names of the receivers resolve, s; a pod's "
            "name resolves when its receiver is ready.",
            count(0),
            default=300,
        ),
        MODEL,
        *MODEL_FETCH,
        Category("reader", "What the sender reads of the model."),
        Category("payload", "What heaps look like."),
        Category(
            "reception",
            "What the sender must know of its receivers.",
            only=("telescope", "interface_address"),
        ),
        Category("vys", "Visibilities over RDMA."),
    ),
)
_RESOURCES = Section(
    title="Resources, network, deadlines",
    entries=(
        Value(
            "resources",
            "Of the container `sender`.",
            kubernetes.resources(),
            default={"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        ),
        MODEL_RESOURCES,
        Value(
            "network.hostNetwork",
            "Use the node's own network. Needs Pod Security's level `privileged`.",
            boolean(),
            default=False,
        ),
        MULTUS,
        *rdma_values("How memory may be locked: `none`, `root` or `file`, as in chart `receive`."),
        Value(
            "attempts",
            "How often sending begins anew after it failed; for a receiver, that is another scan.",
            count(0),
            default=0,
        ),
        *deadlines(30, "Time to end the streams when the pod is told to stop."),
    ),
)
_PODS = Section(
    title="Image and pod",
    entries=(
        *image_values("image", "localhost/vis-receive/receive", "Image of the sender."),
        IMAGE_PULL_SECRETS,
        *SECURITY,
        *SCHEDULING,
        *EXTRAS,
    ),
)

EMULATOR = Chart(
    name="emulator",
    sections=(_SENDING, WAY_OUT, _RESOURCES, _PODS, NAMES),
    old=OLD,
)
