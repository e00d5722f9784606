"""Fixtures of the charts' tests: both Helms.  They need binaries, no cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cluster.charts.rendering import Helm


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all tests of this folder."""
    item.add_marker(pytest.mark.patient)


@pytest.fixture(scope="session")
def helm_binaries() -> dict[str, Path]:
    """Return Helm 3 and 4: of the environment or the PATH, else those of the test bed."""
    given = {
        name: os.environ.get(f"VIS_RECEIVE_{name.upper()}") or shutil.which(name)
        for name in ("helm3", "helm4")
    }
    if all(given.values()):
        return {name: Path(str(path)) for name, path in given.items()}
    # Only here: with both at hand, no test bed is needed.
    from testbed.build import binaries  # noqa: PLC0415

    folder = binaries()
    return {name: folder / name for name in given}


@pytest.fixture(params=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest, helm_binaries: dict[str, Path]) -> Helm:
    """Return each Helm in turn."""
    return Helm(helm_binaries[request.param])


@pytest.fixture
def helm3(helm_binaries: dict[str, Path]) -> Helm:
    """Return Helm 3, where one of them is enough."""
    return Helm(helm_binaries["helm3"])
