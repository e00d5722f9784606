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
    OLD,
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
            "processes",
            "Receiver pods; each takes its share of the streams, so never more than streams.",
            count(1),
            default=1,
        ),
        MODEL,
        *MODEL_FETCH,
        Category("transmit", "The sender in each pod, which makes a release a test."),
        Category(
            "reception",
            "The receiver.",
            defaults={"idle_timeout": 600},
            reasons={
                "idle_timeout": "Not never, as elsewhere: over UDP the end of a stream can get "
                "lost, and nobody sits beside a pod to stop it. Ten minutes are longer than the "
                "pauses within an observation.",
            },
            hidden=("process_index", "process_count"),
        ),
        Category("transmission", "The sender; the receiver reads channels_per_stream too."),
        Category("reader", "What the sender reads of the model."),
        Category("payload", "What heaps look like."),
        Category("consumer", "What happens to integrations."),
        Category("vys", "Visibilities over RDMA."),
    ),
)
_RESULTS = Section(
    title="Results",
    entries=(
        Category("results", "Copying what was received, by the container `push`."),
        Category(
            "rclone",
            "Where it is copied to.",
            schemas={"secret": kubernetes.object_name()},
        ),
        Value(
            "storage.existingClaim",
            "Claim that all pods write to, each into RELEASE/INDEX; it stays as it is.",
            kubernetes.object_name(),
        ),
        Value(
            "storage.size",
            "Make a claim of this size instead. With neither, results lie in the pod and go "
            "with it.",
            kubernetes.quantity(),
        ),
        Value(
            "storage.storageClass",
            "Storage class of the claim made. Empty: the cluster's default.",
            kubernetes.object_name(),
        ),
        Value(
            "storage.accessModes",
            "Access modes of the claim made. Empty: ReadWriteOnce for one pod, ReadWriteMany "
            "for several.",
            kubernetes.access_modes(),
            default=[],
        ),
        Value(
            "storage.keep",
            "Keep the claim made, and the results in it, when the release is uninstalled.",
            boolean(),
            default=False,
        ),
        Value(
            "storage.ephemeral",
            "Make a claim of `storage.size` for each pod, which goes with the pod: for "
            "capacity only.",
            boolean(),
            default=False,
        ),
        Value(
            "storage.emptyDir",
            "Settings of the volume in the pod. A sizeLimit makes the node evict, and empty, a "
            "pod that reaches it.",
            kubernetes.empty_dir(),
            default={},
        ),
    ),
)
_RESOURCES = Section(
    title="Resources",
    entries=(
        Value(
            "resources",
            "Of the container `receiver`. Empty: 250m CPU; a memory limit of 4 x "
            "`reception.buffer_memory`, at least 2Gi, and half of it requested.",
            kubernetes.resources(),
            default={},
        ),
        MODEL_RESOURCES,
        Value(
            "senderResources",
            "Of the container `sender`.",
            kubernetes.resources(),
            default={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        ),
        Value(
            "pushResources",
            "Of the container `push`.",
            kubernetes.resources(),
            default={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        ),
        Value(
            "sharedMemory.size",
            "Size of a volume in memory, named `shared-memory`; it counts in the memory limit, "
            "and `extraContainers` may mount it. Empty: none.",
            kubernetes.quantity(),
        ),
        Value(
            "sharedMemory.mountPath",
            "Where the receiver mounts it.",
            kubernetes.mount_path(),
            default="/dev/shm",  # noqa: S108 (the place of shared memory in the container)
        ),
        Value(
            "hugepages",
            "Huge pages of the receiver by size, `{2Mi: 512Mi}`; mounted at /dev/hugepages.",
            kubernetes.huge_pages(),
            default={},
        ),
    ),
)
_NETWORK = Section(
    title="Network and RDMA",
    entries=(
        Value(
            "network.hostNetwork",
            "Use the node's own network. The monitor's port then keeps two pods off one node, "
            "unless `monitor.port` is 0. Needs Pod Security's level `privileged`.",
            boolean(),
            default=False,
        ),
        MULTUS,
        *rdma_values(
            "How memory may be locked: `none` (the node's runtime sets no limit), `root` (uid "
            "0 with IPC_LOCK) or `file` (`rdma.image`, whose interpreter has the capability). The "
            "latter two need level `privileged`, and with transport `ibverbs` they add NET_RAW, "
            "without which no card gives raw packets."
        ),
        Value(
            "service.publishNotReadyAddresses",
            "Publish a pod's name before its receiver is ready. As it is, a name that resolves "
            "means that packets can come.",
            boolean(),
            default=False,
        ),
        Value(
            "service.ipFamilyPolicy",
            "In which families a pod's name is published: `PreferDualStack` (all that the "
            "cluster has), `SingleStack`, `RequireDualStack`. Empty: Kubernetes' own choice.",
            text("", "SingleStack", "PreferDualStack", "RequireDualStack"),
            default="PreferDualStack",
        ),
        Value(
            "service.annotations",
            "Annotations of the headless Service.",
            kubernetes.annotation_map(),
            default={},
        ),
        Value(
            "networkPolicy.enabled",
            "Let in only packets for the receive ports and the monitor, let out only what "
            "`model` and `push` need.",
            boolean(),
            default=False,
        ),
        Value(
            "networkPolicy.from",
            "Peers that may send visibilities. Empty: anybody.",
            listing(),
            default=[],
        ),
        Value(
            "networkPolicy.monitorFrom",
            "Peers that may ask the monitor. Empty: anybody.",
            listing(),
            default=[],
        ),
        Value(
            "networkPolicy.egressPorts",
            "TCP ports that `model` and `push` may reach when there is no proxy; with one, it "
            "is the proxy's.",
            {"type": ["array", "null"], "items": kubernetes.port()},
            default=[80, 443],
        ),
        Value("networkPolicy.extraEgress", "Further egress rules.", listing(), default=[]),
    ),
)
_MONITOR = Section(
    title="Monitoring",
    entries=(
        Category(
            "monitor",
            "The receiver's own HTTP port, which the probes use.",
            defaults={"port": 8080, "bind_hostname": "0.0.0.0"},  # noqa: S104 (in its own pod)
            reasons={
                "hosts": "The chart lists those of the pods and the Service.",
                "token_file": "The chart makes one; an empty text asks for no token.",
            },
        ),
        Value(
            "stopToken",
            "Token that `POST /stop` asks for. Empty: one is made, and kept over upgrades.",
            text(),
        ),
        Value(
            "monitoring.annotations",
            "Annotate the pods with prometheus.io/scrape, port and path.",
            boolean(),
            default=False,
        ),
        Value(
            "monitoring.podMonitor.enabled",
            "Make a PodMonitor of the Prometheus operator, whose CRD must be there.",
            boolean(),
            default=False,
        ),
        Value(
            "monitoring.podMonitor.labels",
            "Labels by which Prometheus selects it.",
            kubernetes.labels(),
            default={},
        ),
        Value(
            "monitoring.podMonitor.interval",
            "How often metrics are read.",
            kubernetes.duration(),
            default="15s",
        ),
    ),
)
_JOB = Section(
    title="Failures, deadlines, disruptions",
    entries=(
        Value(
            "attempts",
            "How often the pod of an index is replaced after it failed; evictions do not "
            "count, and a wrong configuration is not tried again.",
            count(0),
            default=2,
        ),
        Value(
            "replaceLostPodsQuickly",
            "Replace a pod on a dead node at once, not when the node is back, gone or tainted "
            "out-of-service; but then evictions and configuration errors count as attempts.",
            boolean(),
            default=False,
        ),
        *deadlines(
            300,
            "Time for closing, and pushing, when a pod is told to stop; Kubernetes' own 30 s are "
            "too short.",
        ),
        Value(
            "podDisruptionBudget.enabled",
            "Block draining a node while a receiver is on it.",
            boolean(),
            default=False,
        ),
        Value(
            "podDisruptionBudget.minAvailable",
            "Pods that must stay. Empty: all.",
            count(0, optional=True),
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
            "extraContainers",
            "Further containers of the pods. They may mount the volumes `results`, `model` and "
            "`shared-memory`, and must end, or the pod never does.",
            kubernetes.named(),
            default=[],
        ),
    ),
)
_OLD = (
    *OLD,
    Value("replicas", "Means `processes`.", count(1, optional=True), default=None),
    Value("pvc.name", "Means `storage.existingClaim`.", kubernetes.object_name(), default=None),
    Value(
        "pvc.path",
        "Where the results are mounted too, besides /results.",
        kubernetes.mount_path(),
        default=None,
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
