"""Fixtures of tests of releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.namespaces import new_namespace
from tests.cluster.servers import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all tests of this folder."""
    item.add_marker(pytest.mark.release)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """Return a namespace for all of a module, whose releases run side by side."""
    with new_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def remote(cluster: Cluster, namespace: str, images: None) -> Remote:
    """Return a remote that takes what anybody pushes to it."""
    remote = Remote(cluster, namespace, "webdav", anonymous=True)
    remote.start()
    remote.wait_until_ready()
    return remote
