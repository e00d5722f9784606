"""Fixtures that every kind of test shares: the real set, and the project's own commands."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def lofar_ms_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a LOFAR Measurement Set that nobody here made; tests must not change it."""
    archive = SHARED_DATA / "tNDPPP-generic.MS.tgz"
    if not archive.exists():
        pytest.skip("the LOFAR set is not there: it lies in ../shared/data, outside the project")
    folder = tmp_path_factory.mktemp("lofar")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.glob("*.MS"))


@pytest.fixture
def lofar_ms(lofar_ms_source: Path) -> Path:
    """Return the LOFAR Measurement Set (read only)."""
    return lofar_ms_source
