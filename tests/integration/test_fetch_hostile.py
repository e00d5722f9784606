"""``emu-fetch-model``, and ``emu-push`` for its configuration, against servers that mean harm."""

from __future__ import annotations

import base64
import gzip
import logging
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from receive.command import cli
from receive.fetch.app import PROG, main
from testbed.certificates import Authority
from tests import archives
from tests.commands import options
from tests.hostile import ANSWERS, OK, Hostile, fixed, random_answer, redirect, serving
from tests.integration.push.pushes import Receiver, push
from tests.memory import measured
from tests.site import Fault, Site
from tests.site import serving as serving_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "model.tar.gz"
MOST_MIB = 100
QUICK = ("--retries", "0", "--stall-timeout", "2", "--timeout", "6", "--max-unpacked", "200 MiB")


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with serving({name: answer for name, (answer, _) in ANSWERS.items()}) as up:
        up.answers |= {name.replace(" ", "%20"): answer for name, answer in up.answers.items()}
        yield up


def fetch(folder: Path, url: object, *flags: str) -> tuple[int, str, float]:
    """Fetch a model; return exit code, standard error and the most memory, in MiB."""
    arguments = ["--to", folder / "model", *options({"model.url": url}), *flags]
    done, mib = measured(folder, "receive.fetch.app", arguments)
    return done.returncode, done.stderr, mib


@pytest.fixture(scope="module")
def baseline_mib(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Return the memory that a fetch of a small model takes."""
    folder = tmp_path_factory.mktemp("baseline")
    (folder / MODEL).write_bytes(archives.packed("tar.gz"))
    code, errors, mib = fetch(folder, folder / MODEL)
    assert code == 0, errors
    return mib


def assert_one_line(code: int, errors: str) -> str:
    """See that a command ended in one line of the family of our errors; return the line."""
    assert code in {2, 3, 4, 5}, errors
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if "error: " in line]
    assert len(lines) == 1, errors
    assert errors.rstrip().endswith(lines[0])
    assert lines[0].isprintable()
    assert len(lines[0]) < 600
    return lines[0]


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_takes_memory_or_time_or_a_traceback(hostile, tmp_path, baseline_mib, name):
    url = hostile.url(name.replace(" ", "%20"))
    code, errors, mib = fetch(tmp_path, url, *QUICK)
    line = assert_one_line(code, errors)
    assert ANSWERS[name][1] in line
    assert "proxy" not in line
    assert mib - baseline_mib < MOST_MIB
    assert {path.name for path in (tmp_path / "model").iterdir()} == {".sim-vis.ms.lock"}


def test_any_answer_ends_in_one_line(tmp_path, capfd, monkeypatch):
    """In this process, as five hundred others would take their time."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    before, handlers = signal.getsignal(signal.SIGTERM), logging.getLogger().handlers[:]
    try:
        with serving() as hostile:
            for seed in range(500):
                answer = random_answer(random.Random(seed))
                hostile.answers = {str(number): fixed(*answer) for number in range(2)}
                arguments = [
                    "--to",
                    str(tmp_path / "model"),
                    *options({"model.url": hostile.url("1")}),
                ]
                quick = ["--stall-timeout", "2", "--timeout", "5", "--retries", "0"]
                code = cli.run(PROG, main, [*arguments, *quick])
                assert_one_line(code, capfd.readouterr().err)
    finally:
        signal.signal(signal.SIGTERM, before)
        logging.getLogger().handlers[:] = handlers
        logging.captureWarnings(capture=False)


# --- redirects ----------------------------------------------------------------------------------


def asked_with_credentials(hostile: Hostile) -> list[bool]:
    quiet = base64.b64encode(b"me:quiet")
    return [quiet in request for request in hostile.requests]


def test_redirects_are_followed_and_credentials_stay_with_their_host(tmp_path, hostile):
    content = archives.packed("tar.gz")
    with serving() as other:
        other.answers["last"] = fixed(OK + b"\r\n", content)
        hostile.answers["first"] = fixed(redirect(b"second?x"))
        hostile.answers["second"] = fixed(redirect(other.url("last").encode()))
        url = hostile.url("first").replace("127", "me:quiet@127")
        code, errors, _ = fetch(tmp_path, url, *QUICK)
        assert code == 0, errors
        assert asked_with_credentials(hostile) == [True, True]
        assert asked_with_credentials(other) == [False]


def test_what_was_encrypted_is_not_fetched_in_the_clear(tmp_path, monkeypatch, hostile):
    authority = Authority(tmp_path / "authority")
    certificate = authority.give("site", "site", hosts=("IP:127.0.0.1",))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    site = Site({MODEL: archives.packed("tar.gz")}, certificate=certificate)
    with serving_site(site):
        hostile.answers["first"] = fixed(redirect(site.url(MODEL).encode()))
        url = hostile.url("first")
        code, errors, _ = fetch(tmp_path, url, *QUICK)
        assert code == 0, errors
        hostile.answers["model"] = fixed(OK + b"\r\n", archives.packed("tar.gz"))
        site.faults = [Fault(302, {"Location": hostile.url("model")})]
        code, errors, _ = fetch(tmp_path, site.url("other"), *QUICK)
    assert "redirects from https to http" in assert_one_line(code, errors)


# --- the configuration of rclone ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "content", "words"),
    [
        ("gzip", gzip.compress(bytes(300 << 20)), "is larger than 1.0 MiB"),
        ("gzip", b"hello", "is not in the Content-Encoding"),
        ("gzip", gzip.compress(b"[far]" * 1000)[:-9], "the body ended after"),
        ("zstd", b"hello", "answers in the Content-Encoding zstd"),
    ],
    ids=["large", "not-gzip", "cut-short", "zstd"],
)
def test_a_configuration_that_is_packed_is_no_larger_than_it_may_be(
    tmp_path, hostile, encoding, content, words
):
    hostile.answers["conf"] = fixed(OK + f"Content-Encoding: {encoding}\r\n\r\n".encode(), content)
    receiver = Receiver(tmp_path)
    receiver.complete()
    done = push(receiver, None, rclone__configurl=hostile.url("conf"))
    assert done.returncode in {2, 4, 10}
    assert "Traceback" not in done.stderr
    assert words in done.stderr


def test_a_configuration_that_is_packed_is_unpacked(tmp_path, hostile):
    content = gzip.compress(b"[far]\ntype = local\n")
    hostile.answers["conf"] = fixed(OK + b"Content-Encoding: gzip\r\n\r\n", content)
    receiver = Receiver(tmp_path)
    receiver.complete()
    place = f"far:{tmp_path}/there.ms"
    done = push(receiver, None, rclone__configurl=hostile.url("conf"), rclone__command=place)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there.ms" / "table.dat").exists()


def test_a_configuration_elsewhere_than_in_the_web_is_not_fetched(tmp_path, hostile):
    hostile.answers["conf"] = fixed(redirect(b"file:///etc/passwd"))
    done = push(Receiver(tmp_path), None, rclone__configurl=hostile.url("conf"))
    assert done.returncode == 2
    assert "redirects to file:, which is not fetched" in done.stderr
