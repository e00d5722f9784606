"""Namespaces for tests, under restricted Pod Security as careful operators have them."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster

RESTRICTED = (
    "pod-security.kubernetes.io/enforce=restricted",
    "pod-security.kubernetes.io/warn=restricted",
)


@contextlib.contextmanager
def new_namespace(cluster: Cluster) -> Iterator[str]:
    """Make a namespace under restricted Pod Security, and remove it afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *RESTRICTED)
    # Pods are refused until it is there.
    cluster.kubectl(
        *("wait", "--namespace", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    )
    try:
        yield name
    finally:
        # A namespace that ends takes no pod in the place of one that fails, and Kubernetes lets no
        # such pod go before its index has another: with a Job that runs it would never end.
        cluster.kubectl("delete", "jobs", "--all", "--namespace", name)
        cluster.kubectl("delete", "namespace", name, "--wait=false")
