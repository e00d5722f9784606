"""The cluster's name server: CoreDNS in a pod of the namespace kube-system."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from testbed.images import COREDNS

NAME = "coredns"
LABELS = {"k8s-app": "kube-dns"}
# Names of the cluster are never kept: a pod that just started is found at once.
COREFILE = """\
.:5353 {
    errors
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 1
    }
%(forward)s    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
}
"""


def name_servers(resolv_conf: str) -> list[str]:
    """Return the name servers that a pod can reach as the host does: not those on the loopback."""
    words = (line.split() for line in resolv_conf.splitlines())
    servers = [line[1] for line in words if line[:1] == ["nameserver"] and len(line) > 1]
    return [server for server in servers if not _is_loopback(server)]


def _is_loopback(server: str) -> bool:
    return ipaddress.ip_address(server.partition("%")[0]).is_loopback


def write_resolv_conf(folder: Path) -> list[str]:
    """Write what pods take for the host's resolv.conf; return its name servers."""
    host = Path("/etc/resolv.conf")
    servers = name_servers(host.read_text() if host.exists() else "")
    (folder / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in servers))
    return servers


def objects(address: str, servers: list[str]) -> list[dict[str, Any]]:
    """Return all objects of the name server.

    Parameters
    ----------
    address
        Its address among the services.
    servers
        Who is asked for names of elsewhere.
    """
    forward = f"    forward . {' '.join(servers)}\n" if servers else ""
    meta = {"name": NAME, "namespace": "kube-system", "labels": LABELS}
    reads = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    rbac = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": f"system:{NAME}"},
            "rules": reads,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"system:{NAME}"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": f"system:{NAME}"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"Corefile": COREFILE % {"forward": forward}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta | {"name": "kube-dns"},
            "spec": {
                "clusterIP": address,
                "selector": LABELS,
                "ports": [
                    {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "targetPort": 5353, "protocol": "TCP"},
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": LABELS},
                "template": {"metadata": {"labels": LABELS}, "spec": _pod()},
            },
        },
    ]


def _pod() -> dict[str, Any]:
    return {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        # A drain of the other node leaves the cluster its names.
        "nodeSelector": {"kubernetes.io/hostname": "node-1"},
        "containers": [
            {
                "name": NAME,
                "image": COREDNS,
                "imagePullPolicy": "Never",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
