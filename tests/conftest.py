"""Fixtures that every kind of test shares: sets that are simulated, and those of LOFAR."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.lofar_set import make_lofar_set
from tests.simulated import SimulatedSets
from tests.skips import is_ci, left_out

REPOSITORY = Path(__file__).resolve().parent.parent
RECORDED = REPOSITORY.parent / "shared" / "data" / "tNDPPP-generic.MS.tgz"
"""A set that LOFAR recorded.  It lies outside the project, and is an extra where it is."""
LOFAR_SETS = ["made_lofar_ms", *(["recorded_lofar_ms"] if RECORDED.exists() else [])]
"""Names of the fixtures that give such a set here."""


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
def simulated_set(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> SimulatedSets:
    """Return what gives sets by the options of ``emu-simulate``; tests must not change them."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # that of all workers
    return SimulatedSets(folder / "simulated")


@pytest.fixture(scope="session")
def made_lofar_ms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a set as LOFAR writes them, made by casacore; tests must not change it."""
    return make_lofar_set(tmp_path_factory.mktemp("lofar") / "made.MS")


@pytest.fixture(scope="session")
def recorded_lofar_ms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a set that LOFAR recorded, where there is one; tests must not change it."""
    folder = tmp_path_factory.mktemp("lofar")
    with tarfile.open(RECORDED) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.glob("*.MS"))


@pytest.fixture(scope="session", params=LOFAR_SETS)
def lofar_ms(request: pytest.FixtureRequest) -> Path:
    """Return a set of LOFAR's (read only), the recorded one too where it is."""
    path: Path = request.getfixturevalue(request.param)
    return path


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
