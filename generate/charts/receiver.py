"""The values of chart `receive`, in the order in which an operator touches them."""

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
from generate.charts.value import (
    Category,
    Chart,
    Section,
    Value,
    boolean,
    count,
    listing,
    text,
)

_OBSERVATION = Section(
    title="The observation",
    entries=(
        Value(
            name="processes",
            default=1,
            doc="Receiver pods; each takes its share of the streams, so never more than streams.",
            schema=count(1),
        ),
        MODEL,
        *MODEL_FETCH,
        Category(name="transmit", doc="The sender in each pod, which makes a release a test."),
        Category(
            name="reception",
            doc="The receiver.",
            defaults={"idle_timeout": 600},
            reasons={
                "idle_timeout": "Not never, as elsewhere: over UDP the end of a stream can get "
                "lost, and nobody sits beside a pod to stop it. Ten minutes are longer than the "
                "pauses within an observation.",
            },
            hidden=("process_index", "process_count"),
        ),
        Category(
            name="transmission",
            doc="The sender; the receiver reads channels_per_stream too.",
        ),
        Category(name="reader", doc="What the sender reads of the model."),
        Category(name="payload", doc="What heaps look like."),
        Category(name="consumer", doc="What happens to integrations."),
        Category(name="vys", doc="Visibilities over RDMA."),
    ),
)
_RESULTS = Section(
    title="Results",
    entries=(
        Category(name="results", doc="Copying what was received, by the container `push`."),
        Category(
            name="rclone",
            doc="Where it is copied to.",
            schemas={"secret": kubernetes.object_name()},
        ),
        Value(
            name="storage.existingClaim",
            default="",
            doc="Claim that all pods write to, each into RELEASE/INDEX; it stays as it is.",
            schema=kubernetes.object_name(),
        ),
        Value(
            name="storage.size",
            default="",
            doc="Make a claim of this size instead. With neither, results lie in the pod and go "
            "with it.",
            schema=kubernetes.quantity(),
        ),
        Value(
            name="storage.storageClass",
            default="",
            doc="Storage class of the claim made. Empty: the cluster's default.",
            schema=kubernetes.object_name(),
        ),
        Value(
            name="storage.accessModes",
            default=[],
            doc="Access modes of the claim made. Empty: ReadWriteOnce for one pod, ReadWriteMany "
            "for several.",
            schema=kubernetes.access_modes(),
        ),
        Value(
            name="storage.keep",
            default=False,
            doc="Keep the claim made, and the results in it, when the release is uninstalled.",
            schema=boolean(),
        ),
        Value(
            name="storage.ephemeral",
            default=False,
            doc="Make a claim of `storage.size` for each pod, which goes with the pod: for "
            "capacity only.",
            schema=boolean(),
        ),
        Value(
            name="storage.emptyDir",
            default={},
            doc="Settings of the volume in the pod. A sizeLimit makes the node evict, and empty, a "
            "pod that reaches it.",
            schema=kubernetes.empty_dir(),
        ),
    ),
)
_RESOURCES = Section(
    title="Resources",
    entries=(
        Value(
            name="resources",
            default={},
            doc="Of the container `receiver`. Empty: 250m CPU; a memory limit of 4 x "
            "`reception.buffer_memory`, at least 2Gi, and half of it requested.",
            schema=kubernetes.resources(),
        ),
        MODEL_RESOURCES,
        Value(
            name="senderResources",
            default={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
            doc="Of the container `sender`.",
            schema=kubernetes.resources(),
        ),
        Value(
            name="pushResources",
            default={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
            doc="Of the container `push`.",
            schema=kubernetes.resources(),
        ),
        Value(
            name="sharedMemory.size",
            default="",
            doc="Size of a volume in memory, named `shared-memory`; it counts in the memory limit, "
            "and `extraContainers` may mount it. Empty: none.",
            schema=kubernetes.quantity(),
        ),
        Value(
            name="sharedMemory.mountPath",
            default="/dev/shm",  # noqa: S108 (the place of shared memory in the container)
            doc="Where the receiver mounts it.",
            schema=kubernetes.mount_path(),
        ),
        Value(
            name="hugepages",
            default={},
            doc="Huge pages of the receiver by size, `{2Mi: 512Mi}`; mounted at /dev/hugepages.",
            schema=kubernetes.huge_pages(),
        ),
    ),
)
_NETWORK = Section(
    title="Network and RDMA",
    entries=(
        Value(
            name="network.hostNetwork",
            default=False,
            doc="Use the node's own network. The monitor's port then keeps two pods off one node, "
            "unless `monitor.port` is 0. Needs Pod Security's level `privileged`.",
            schema=boolean(),
        ),
        MULTUS,
        *rdma_values(
            "How memory may be locked: `none` (the node's runtime sets no limit), `root` (uid "
            "0 with IPC_LOCK) or `file` (`rdma.image`, whose interpreter has the capability). The "
            "latter two need level `privileged`, and with transport `ibverbs` they add NET_RAW, "
            "without which no card gives raw packets."
        ),
        Value(
            name="service.publishNotReadyAddresses",
            default=False,
            doc="Publish a pod's name before its receiver is ready. As it is, a name that resolves "
            "means that packets can come.",
            schema=boolean(),
        ),
        Value(
            name="service.ipFamilyPolicy",
            default="PreferDualStack",
            doc="In which families a pod's name is published: `PreferDualStack` (all that the "
            "cluster has), `SingleStack`, `RequireDualStack`. Empty: Kubernetes' own choice.",
            schema=text("", "SingleStack", "PreferDualStack", "RequireDualStack"),
        ),
        Value(
            name="service.annotations",
            default={},
            doc="Annotations of the headless Service.",
            schema=kubernetes.annotation_map(),
        ),
        Value(
            name="networkPolicy.enabled",
            default=False,
            doc="Let in only packets for the receive ports and the monitor, let out only what "
            "`model` and `push` need.",
            schema=boolean(),
        ),
        Value(
            name="networkPolicy.from",
            default=[],
            doc="Peers that may send visibilities. Empty: anybody.",
            schema=listing(),
        ),
        Value(
            name="networkPolicy.monitorFrom",
            default=[],
            doc="Peers that may ask the monitor. Empty: anybody.",
            schema=listing(),
        ),
        Value(
            name="networkPolicy.egressPorts",
            default=[80, 443],
            doc="TCP ports that `model` and `push` may reach when there is no proxy; with one, it "
            "is the proxy's.",
            schema={"type": ["array", "null"], "items": kubernetes.port()},
        ),
        Value(
            name="networkPolicy.extraEgress",
            default=[],
            doc="Further egress rules.",
            schema=listing(),
        ),
    ),
)
_MONITOR = Section(
    title="Monitoring",
    entries=(
        Category(
            name="monitor",
            doc="The receiver's own HTTP port, which the probes use.",
            defaults={"port": 8080, "bind_hostname": "0.0.0.0"},  # noqa: S104 (in its own pod)
            reasons={
                "hosts": "The chart lists those of the pods and the Service.",
                "token_file": "The chart makes one; an empty text asks for no token.",
            },
        ),
        Value(
            name="stopToken",
            default="",
            doc="Token that `POST /stop` asks for. Empty: one is made, and kept over upgrades.",
            schema=text(),
        ),
        Value(
            name="monitoring.annotations",
            default=False,
            doc="Annotate the pods with prometheus.io/scrape, port and path.",
            schema=boolean(),
        ),
        Value(
            name="monitoring.podMonitor.enabled",
            default=False,
            doc="Make a PodMonitor of the Prometheus operator, whose CRD must be there.",
            schema=boolean(),
        ),
        Value(
            name="monitoring.podMonitor.labels",
            default={},
            doc="Labels by which Prometheus selects it.",
            schema=kubernetes.labels(),
        ),
        Value(
            name="monitoring.podMonitor.interval",
            default="15s",
            doc="How often metrics are read.",
            schema=kubernetes.duration(),
        ),
    ),
)
_JOB = Section(
    title="Failures, deadlines, disruptions",
    entries=(
        Value(
            name="attempts",
            default=2,
            doc="How often the pod of an index is replaced after it failed; evictions do not "
            "count, and a wrong configuration is not tried again.",
            schema=count(0),
        ),
        Value(
            name="replaceLostPodsQuickly",
            default=False,
            doc="Replace a pod on a dead node at once, not when the node is back, gone or tainted "
            "out-of-service; but then evictions and configuration errors count as attempts.",
            schema=boolean(),
        ),
        *deadlines(
            300,
            "Time for closing, and pushing, when a pod is told to stop; Kubernetes' own 30 s are "
            "too short.",
        ),
        Value(
            name="podDisruptionBudget.enabled",
            default=False,
            doc="Block draining a node while a receiver is on it.",
            schema=boolean(),
        ),
        Value(
            name="podDisruptionBudget.minAvailable",
            default="",
            doc="Pods that must stay. Empty: all.",
            schema=count(0, optional=True),
        ),
    ),
)
_PODS = Section(
    title="Images and pods",
    entries=(
        *image_values(
            "image",
            "localhost/vis-receive/receive",
            "Image of the receiver, the sender and the model.",
        ),
        *image_values("pushImage", "localhost/vis-receive/push", "Image of the container `push`."),
        IMAGE_PULL_SECRETS,
        *SECURITY,
        *SCHEDULING,
        *EXTRAS,
        Value(
            name="extraContainers",
            default=[],
            doc="Further containers of the pods. They may mount the volumes `results`, `model` and "
            "`shared-memory`, and must end, or the pod never does.",
            schema=kubernetes.named(),
        ),
    ),
)
_OLD = (
    Value(
        name="workflow",
        default=None,
        doc="Refused: a release of this chart is told its work by its values.",
        schema={},
    ),
    Value(name="replicas", default=None, doc="Means `processes`.", schema=count(1, optional=True)),
    Value(
        name="version",
        default=None,
        doc="Means `image.tag`, where the image has none.",
        schema=kubernetes.tag(),
    ),
    Value(
        name="pvc.name",
        default=None,
        doc="Means `storage.existingClaim`.",
        schema=kubernetes.object_name(),
    ),
    Value(
        name="pvc.path",
        default=None,
        doc="Where the results are mounted too, besides /results.",
        schema=kubernetes.mount_path(),
    ),
    Value(
        name="initContainersEnabled",
        default=None,
        doc="Means `model.pull`.",
        schema=boolean(),
    ),
)

RECEIVE = Chart(
    name="receive",
    sections=(
        _OBSERVATION,
        _RESULTS,
        WAY_OUT,
        _RESOURCES,
        _NETWORK,
        _MONITOR,
        _JOB,
        _PODS,
        NAMES,
    ),
    old=_OLD,
)
