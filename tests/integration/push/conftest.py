"""Fixtures of the tests of ``emu-push``: a receiver that ends as told, and real remotes."""

from __future__ import annotations

from typing import Any

import pytest

from tests import remotes
from tests.commands import TIMEOUT_S
from tests.integration.push.pushes import Pushing, Receiver


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all tests of this folder."""
    item.add_marker(pytest.mark.patient)


@pytest.fixture
def receiver(tmp_path):
    made = Receiver(tmp_path)
    yield made
    made.crash()


@pytest.fixture(params=["webdav", "s3", "sftp"])
def remote(request, tmp_path):
    with remotes.serving(request.param, tmp_path / "remote") as up:
        yield up


@pytest.fixture
def webdav(tmp_path):
    with remotes.serving("webdav", tmp_path / "remote") as up:
        yield up


@pytest.fixture
def conf(tmp_path):
    return tmp_path / "rclone.conf"


@pytest.fixture
def pushing():
    started: list[Pushing] = []

    def start(*arguments: Any, **values: Any) -> Pushing:
        started.append(Pushing(*arguments, **values))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(TIMEOUT_S)
