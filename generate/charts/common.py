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
    name="model",
    doc="Where the telescope model, a Measurement Set, comes from; fetched by the container "
    "`model`.",
)

MODEL_FETCH = (
    Value(
        name="modelFetch.retries",
        default="",
        doc="How often in a row a fetch that fails for now is tried again. Empty: 8, for a "
        "server that is away for a minute and a half.",
        schema=count(0, optional=True),
    ),
    Value(
        name="modelFetch.stallTimeout",
        default="",
        doc="Seconds after which a connection that brings no answer, or less than 1 KiB/s, is "
        "given up. Empty: 30.",
        schema=amount(),
    ),
    Value(
        name="modelFetch.timeout",
        default="",
        doc="Seconds after which the fetch is given up, with all its attempts. Empty: 21600.",
        schema=amount(),
    ),
    Value(
        name="modelFetch.maxUnpacked",
        default="",
        doc="An archive that is, or unpacks to, more, in bytes or as 20Gi, is refused. Empty: "
        "100Gi.",
        schema=size(),
    ),
    Value(
        name="modelFetch.maxRatio",
        default="",
        doc="An archive that unpacks to more than so many times its size is refused. Empty: 300.",
        schema=amount(),
    ),
)

MODEL_RESOURCES = Value(
    name="modelResources",
    default={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    doc="Of the container `model`.",
    schema=kubernetes.resources(),
)

MULTUS = Value(
    name="network.multus",
    default="",
    doc="Further networks, by Multus: `NAMESPACE/NAME`, a list of them, or of its maps.",
    schema={
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
            name="proxy",
            doc="For the containers that reach out, `model` and `push`, and for no others.",
        ),
        Value(
            name="clusterDomain",
            default="cluster.local",
            doc="DNS domain of the cluster; never reached through the proxy.",
            schema=kubernetes.object_name(),
        ),
        Value(
            name="caBundle.configMap",
            default="",
            doc="ConfigMap with certificates (PEM) to trust instead of the image's, for a proxy "
            "that opens TLS or a site's own authority.",
            schema=kubernetes.object_name(),
        ),
        Value(
            name="caBundle.secret",
            default="",
            doc="Secret with them, instead of a ConfigMap.",
            schema=kubernetes.object_name(),
        ),
        Value(
            name="caBundle.key",
            default="ca.crt",
            doc="The key in it that holds the certificates.",
            schema=kubernetes.key_of_data(),
        ),
    ),
)


def image_values(name: str, repository: str, doc: str) -> tuple[Value, ...]:
    """Return the values of a container image."""
    main = name == "image"
    follows = "" if main else " Empty: that of `image`."
    return (
        Value(
            name=f"{name}.repository", default=repository, doc=doc, schema=kubernetes.repository()
        ),
        Value(
            name=f"{name}.tag",
            default="",
            doc="Its tag. Empty: the chart's appVersion." if main else f"Its tag.{follows}",
            schema=kubernetes.tag(),
        ),
        Value(
            name=f"{name}.digest",
            default="",
            doc="Its digest, `sha256:...`, instead of a tag.",
            schema=kubernetes.digest(),
        ),
        Value(
            name=f"{name}.pullPolicy",
            default="IfNotPresent" if main else "",
            doc=f"When it is pulled: Always, IfNotPresent or Never.{follows}",
            schema=text("Always", "IfNotPresent", "Never", ""),
        ),
    )


def rdma_values(ipc_lock: str) -> tuple[Value, ...]:
    """Return the values of an RDMA device; `ipc_lock` documents how memory may be locked."""
    return (
        Value(
            name="rdma.enabled",
            default=False,
            doc="Ask for an RDMA device.",
            schema=boolean(),
        ),
        Value(
            name="rdma.resource",
            default="rdma/hca_shared_devices_a",
            doc="The device plugin's name for it.",
            schema=kubernetes.device_name(),
        ),
        Value(name="rdma.count", default=1, doc="How many of them.", schema=count(1)),
        Value(
            name="rdma.ipcLock",
            default="none",
            doc=ipc_lock,
            schema=text("none", "root", "file"),
        ),
        Value(
            name="rdma.image",
            default="",
            doc="Image of the containers that use the device, REPOSITORY:TAG, where it is not that "
            "of the others; `file` needs one.",
            schema=kubernetes.image(),
        ),
    )


IMAGE_PULL_SECRETS = Value(
    name="imagePullSecrets",
    default=[],
    doc="Secrets for pulling images, `[{name: NAME}]`.",
    schema=kubernetes.pull_secrets(),
)

NAMES = Section(
    title="Names and labels",
    entries=(
        Value(
            name="fullnameOverride",
            default="",
            doc="Name of everything instead of the release's name. Not to be changed by an "
            "upgrade: that would end the observation and begin another.",
            schema=text(),
        ),
        Value(
            name="labels",
            default={},
            doc="Labels of every object but the pods, whose own (`podLabels`) cannot change.",
            schema=kubernetes.labels(),
        ),
    ),
)

SECURITY = (
    Value(
        name="podSecurityContext",
        default={
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        doc="Security context of the pod; the default satisfies Pod Security's level `restricted`.",
        schema=mapping(),
    ),
    Value(
        name="securityContext",
        default={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        doc="Security context of each container; `rdma.ipcLock` adds to it.",
        schema=mapping(),
    ),
    Value(
        name="serviceAccount.create",
        default=True,
        doc="Make a service account. It has no rights, and the pods get no token of it.",
        schema=boolean(),
    ),
    Value(
        name="serviceAccount.name",
        default="",
        doc="Its name. Empty: that of the release, or `default` where none is made.",
        schema=kubernetes.object_name(),
    ),
    Value(
        name="serviceAccount.annotations",
        default={},
        doc="Annotations of the service account.",
        schema=kubernetes.annotation_map(),
    ),
)

SCHEDULING = (
    Value(
        name="podLabels",
        default={},
        doc="Further labels of the pods.",
        schema=kubernetes.labels(),
    ),
    Value(
        name="podAnnotations",
        default={},
        doc="Further annotations of the pods.",
        schema=kubernetes.annotation_map(),
    ),
    Value(
        name="nodeSelector",
        default={},
        doc="Labels that a node must have.",
        schema=kubernetes.labels(),
    ),
    Value(
        name="tolerations",
        default=[],
        doc="Taints of nodes that the pods put up with.",
        schema=listing(),
    ),
    Value(name="affinity", default={}, doc="Affinity of the pods.", schema=mapping()),
    Value(
        name="topologySpreadConstraints",
        default=[],
        doc="How the pods are spread over nodes and zones.",
        schema=listing(),
    ),
    Value(
        name="priorityClassName",
        default="",
        doc="Priority class of the pods.",
        schema=kubernetes.object_name(),
    ),
)

EXTRAS = (
    Value(
        name="extraEnv",
        default=[],
        doc="Further environment variables of the chart's own containers.",
        schema=kubernetes.environment(),
    ),
    Value(
        name="extraVolumes",
        default=[],
        doc="Further volumes of the pods.",
        schema=kubernetes.named(),
    ),
    Value(
        name="extraVolumeMounts",
        default=[],
        doc="Where the chart's own containers mount them.",
        schema=kubernetes.named("mountPath"),
    ),
)


def deadlines(grace_s: int, grace_doc: str) -> tuple[Value, ...]:
    """Return the values that say how long a Job and its pods may take."""
    return (
        Value(
            name="terminationGracePeriodSeconds",
            default=grace_s,
            doc=grace_doc,
            schema=count(0),
        ),
        Value(
            name="activeDeadlineSeconds",
            default="",
            doc="End the Job after so long, whatever it does: its pods are deleted, and with them "
            "their logs. Empty: never.",
            schema=count(1, optional=True),
        ),
        Value(
            name="ttlSecondsAfterFinished",
            default="",
            doc="Remove the ended Job, its pods and their logs after so long. Empty: with the "
            "release. An upgrade after that is refused, since it would begin anew.",
            schema=count(0, optional=True),
        ),
    )
