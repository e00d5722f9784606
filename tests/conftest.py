"""Fixtures that every kind of test shares: the real set, and the project's own commands."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.skips import is_ci, left_out

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the cluster be chosen; options must be known before the tests' own folder is read."""
    group = parser.getgroup("cluster")
    group.addoption(
        "--cluster",
        choices=("local", "existing", "none"),
        help="a Kubernetes of our own (the default where the machine can carry it), "
        "that of the current context, or none",
    )
    group.addoption(
        "--cluster-capabilities",
        default="",
        metavar="NAME,...",
        help="what an existing cluster can beyond what is seen, such as multicast",
    )


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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Name what was left out; under CI that fails the run."""
    skipped = left_out(session)
    if skipped and is_ci() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this machine could not carry."""
    session = terminalreporter._session
    if session is None:
        return
    for line in left_out(session):
        terminalreporter.write_line(f"LEFT OUT {line}")
