"""Values that both charts take: image, model, the way out, the pod."""

from __future__ import annotations

from generate.charts import kubernetes
from generate.charts.value import (
    Category,
    Section,
    Value,
    amount,
    boolean,
    count,
    listing,
    mapping,
    size,
    text,
)

MODEL = Category(
    "model",
    "Where the telescope model, a Measurement Set, comes from; fetched by the container `model`.",
)

MODEL_FETCH = (
    Value(
        "modelFetch.retries",
        "How often in a row a fetch that fails for now is tried again. Empty: 8, for a "
        "server that is away for a minute and a half.",
        count(0, optional=True),
    ),
    Value(
        "modelFetch.stallTimeout",
        "Seconds after which a connection that brings no answer, or less than 1 KiB/s, is "
        "given up. Empty: 30.",
        amount(),
    ),
    Value(
        "modelFetch.timeout",
        "Seconds after which the fetch is given up, with all its attempts. Empty: 21600.",
        amount(),
    ),
    Value(
        "modelFetch.maxUnpacked",
        "An archive that is, or unpacks to, more, in bytes or as 20Gi, is refused. Empty: 100Gi.",
        size(),
    ),
    Value(
        "modelFetch.maxRatio",
        "The largest allowed ratio of unpacked to packed size of an archive. Empty: 300.",
        amount(),
    ),
)

MODEL_RESOURCES = Value(
    "modelResources",
    "Of the container `model`.",
    kubernetes.resources(),
    default={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
)

MULTUS = Value(
    "network.multus",
    "Further networks, by Multus: `NAMESPACE/NAME`, a list of them, or of its maps.",
    {
        "anyOf": [
            {"type": ["string", "null"]},
            {"type": "array", "items": {"type": ["string", "object"]}},
        ]
    },
)

WAY_OUT = Section(
    title="The way out of the cluster",
    entries=(
        Category(
            "proxy", "For the containers that reach out, `model` and `push`, and for no others."
        ),
        Value(
            "clusterDomain",
            "DNS domain of the cluster; never reached through the proxy.",
            kubernetes.object_name(),
            default="cluster.local",
        ),
        Value(
            "caBundle.configMap",
            "ConfigMap with certificates (PEM) to trust instead of the image's, for a proxy "
            "that opens TLS or a site's own authority.",
            kubernetes.object_name(),
        ),
        Value(
            "caBundle.secret", "Secret with them, instead of a ConfigMap.", kubernetes.object_name()
        ),
        Value(
            "caBundle.key",
            "The key in it that holds the certificates.",
            kubernetes.key_of_data(),
            default="ca.crt",
        ),
    ),
)


def image_values(name: str, repository: str, doc: str) -> tuple[Value, ...]:
    """Return the values of a container image."""
    main = name == "image"
    follows = "" if main else " Empty: that of `image`."
    return (
        Value(f"{name}.repository", doc, kubernetes.repository(), default=repository),
        Value(
            f"{name}.tag",
            "Its tag. Empty: the chart's appVersion." if main else f"Its tag.{follows}",
            kubernetes.tag(),
        ),
        Value(f"{name}.digest", "Its digest, `sha256:...`, instead of a tag.", kubernetes.digest()),
        Value(
            f"{name}.pullPolicy",
            f"When it is pulled: Always, IfNotPresent or Never.{follows}",
            text("Always", "IfNotPresent", "Never", ""),
            default="IfNotPresent" if main else "",
        ),
    )


def rdma_values(ipc_lock: str) -> tuple[Value, ...]:
    """Return the values of an RDMA device; `ipc_lock` documents how memory may be locked."""
    return (
        Value("rdma.enabled", "Ask for an RDMA device.", boolean(), default=False),
        Value(
            "rdma.resource",
            "The device plugin's name for it.",
            kubernetes.device_name(),
            default="rdma/hca_shared_devices_a",
        ),
        Value("rdma.count", "How many of them.", count(1), default=1),
        Value("rdma.ipcLock", ipc_lock, text("none", "root", "file"), default="none"),
        Value(
            "rdma.image",
            "Image of the containers that use the device, REPOSITORY:TAG, where it is not that "
            "of the others; `file` needs one.",
            kubernetes.image(),
        ),
    )


IMAGE_PULL_SECRETS = Value(
    "imagePullSecrets",
    "Secrets for pulling images, `[{name: NAME}]`.",
    kubernetes.pull_secrets(),
    default=[],
)

NAMES = Section(
    title="Names and labels",
    entries=(
        Value(
            "fullnameOverride",
            "Name of everything instead of the release's name. Not to be changed by an "
            "upgrade: that would end the observation and begin another.",
            text(),
        ),
        Value(
            "labels",
            "Labels of every object but the pods, whose own (`podLabels`) cannot change.",
            kubernetes.labels(),
            default={},
        ),
    ),
)

OLD = (
    Value(
        "workflow",
        "Refused: a release of this chart is told its work by its values.",
        {},
        default=None,
    ),
    Value(
        "version", "Means `image.tag`, where the image has none.", kubernetes.tag(), default=None
    ),
    Value("initContainersEnabled", "Means `model.pull`.", boolean(), default=None),
)

SECURITY = (
    Value(
        "podSecurityContext",
        "Security context of the pod; the default satisfies Pod Security's level `restricted`.",
        mapping(),
        default={
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    ),
    Value(
        "securityContext",
        "Security context of each container; `rdma.ipcLock` adds to it.",
        mapping(),
        default={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    ),
    Value(
        "serviceAccount.create",
        "Make a service account. It has no rights, and the pods get no token of it.",
        boolean(),
        default=True,
    ),
    Value(
        "serviceAccount.name",
        "Its name. Empty: that of the release, or `default` where none is made.",
        kubernetes.object_name(),
    ),
    Value(
        "serviceAccount.annotations",
        "Annotations of the service account.",
        kubernetes.annotation_map(),
        default={},
    ),
)

SCHEDULING = (
    Value("podLabels", "Further labels of the pods.", kubernetes.labels(), default={}),
    Value(
        "podAnnotations",
        "Further annotations of the pods.",
        kubernetes.annotation_map(),
        default={},
    ),
    Value("nodeSelector", "Labels that a node must have.", kubernetes.labels(), default={}),
    Value("tolerations", "Taints of nodes that the pods put up with.", listing(), default=[]),
    Value("affinity", "Affinity of the pods.", mapping(), default={}),
    Value(
        "topologySpreadConstraints",
        "How the pods are spread over nodes and zones.",
        listing(),
        default=[],
    ),
    Value("priorityClassName", "Priority class of the pods.", kubernetes.object_name()),
)

EXTRAS = (
    Value(
        "extraEnv",
        "Further environment variables of the chart's own containers.",
        kubernetes.environment(),
        default=[],
    ),
    Value("extraVolumes", "Further volumes of the pods.", kubernetes.named(), default=[]),
    Value(
        "extraVolumeMounts",
        "Where the chart's own containers mount them.",
        kubernetes.named("mountPath"),
        default=[],
    ),
)


def deadlines(grace_s: int, grace_doc: str) -> tuple[Value, ...]:
    """Return the values that say how long a Job and its pods may take."""
    return (
        Value("terminationGracePeriodSeconds", grace_doc, count(0), default=grace_s),
        Value(
            "activeDeadlineSeconds",
            "End the Job after so long, whatever it does: its pods are deleted, and with them "
            "their logs. Empty: never.",
            count(1, optional=True),
        ),
        Value(
            "ttlSecondsAfterFinished",
            "Remove the ended Job, its pods and their logs after so long. Empty: with the "
            "release. An upgrade after that is refused, since it would begin anew.",
            count(0, optional=True),
        ),
    )
