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
            name="transmission",
            doc="The sender. For receivers in one cluster: `endpoints`, HOST:FIRST-LAST for each "
            "receiver, or one `target_host`.",
        ),
        Value(
            name="waitForReceivers",
            default=300,
            doc="How long the sender waits until the names of the receivers resolve, s; a pod's "
            "name resolves when its receiver is ready.",
            schema=count(0),
        ),
        MODEL,
        *MODEL_FETCH,
        Category(name="reader", doc="What the sender reads of the model."),
        Category(name="payload", doc="What heaps look like."),
        Category(
            name="reception",
            doc="What the sender must know of its receivers.",
            only=("telescope", "interface_address"),
        ),
        Category(name="vys", doc="Visibilities over RDMA."),
    ),
)
_RESOURCES = Section(
    title="Resources, network, deadlines",
    entries=(
        Value(
            name="resources",
            default={"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
            doc="Of the container `sender`.",
            schema=kubernetes.resources(),
        ),
        MODEL_RESOURCES,
        Value(
            name="network.hostNetwork",
            default=False,
            doc="Use the node's own network. Needs Pod Security's level `privileged`.",
            schema=boolean(),
        ),
        MULTUS,
        *rdma_values("How memory may be locked: `none`, `root` or `file`, as in chart `receive`."),
        Value(
            name="attempts",
            default=0,
            doc="How often sending begins anew after it failed; for a receiver, that is another "
            "scan.",
            schema=count(0),
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
_OLD = (
    Value(
        name="workflow",
        default=None,
        doc="Refused: a release of this chart is told its work by its values.",
        schema={},
    ),
    Value(
        name="version",
        default=None,
        doc="Means `image.tag`, where the image has none.",
        schema=kubernetes.tag(),
    ),
    Value(
        name="initContainersEnabled",
        default=None,
        doc="Means `model.pull`.",
        schema=boolean(),
    ),
)

EMULATOR = Chart(
    name="emulator",
    sections=(_SENDING, WAY_OUT, _RESOURCES, _PODS, NAMES),
    old=_OLD,
)
