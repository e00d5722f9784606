"""``emu-push`` beside a run folder, to real remotes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from receive.run_folder import RunFolder
from tests import remotes
from tests.commands import BIN, TIMEOUT_S, options
from tests.remotes import PASSWORD
from tests.site import Fault, Site, serving
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"table.dat": b"main", "table.f0": bytes(range(256)) * 500, "ANTENNA/table.dat": b"ants"}


class Receiver:
    """A receiver as its run folder shows it."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.results.mkdir()
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        self._folder = RunFolder(self.run_folder)
        self._held = ExitStack()
        self._told: dict[str, Any] = {}

    def begin(self, attempt: int = 0) -> None:
        self._held.enter_context(self._folder.hold())
        base = str(self.results / "recv-vis.ms")
        self._told = {"attempt": attempt, "base": base}
        self._folder.write_run(
            self._told
            | {
                "pid": os.getpid(),
                "folder": str(self.results),
                "outputs_before": sorted(path.name for path in self.results.iterdir()),
                "process_index": 0,
                "process_count": 1,
            }
        )

    def write(self, name: str = "recv-vis.ms", extra: bytes = b"") -> Path:
        path = self.results / name
        for file, content in FILES.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(content + extra)
        return path

    def end(self, status: str = "complete", *sets: Path) -> None:
        codes = {"complete": 0, "stopped": 143, "failed": 8}
        self._folder.write_result(
            self._told
            | {
                "status": status,
                "exit_code": codes[status],
                "sets": [str(path) for path in sets],
                "lost": False,
                "error": None,
                "summary": {"sets": [str(path) for path in sets]},
            }
        )
        self._held.close()

    def crash(self) -> None:
        self._held.close()

    def complete(self, *names: str, attempt: int = 0) -> list[Path]:
        """Run from beginning to end."""
        self.begin(attempt)
        sets = [self.write(name) for name in names or ("recv-vis.ms",)]
        self.end("complete", *sets)
        return sets

    def pushed(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.run_folder / "push.json").read_text())
        return content


@pytest.fixture
def receiver(tmp_path):
    made = Receiver(tmp_path)
    yield made
    made.crash()


@pytest.fixture(params=["webdav", "s3"])
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


def command(
    receiver: Receiver, conf: Path | None, *flags: str, **values: Any
) -> list[str | os.PathLike[str]]:
    settings = {"rclone.command": "far:bucket/demo.ms", "results.retries": 0}
    settings |= {name.replace("__", "."): value for name, value in values.items()}
    given = ["--rclone-config", conf] if conf is not None else []
    return [
        BIN / "emu-push",
        "--run-folder",
        receiver.run_folder,
        "--scratch",
        receiver.run_folder.with_name("scratch"),
        *given,
        *options({name: value for name, value in settings.items() if value is not None}),
        *flags,
    ]


ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
} | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def push(
    receiver: Receiver, conf: Path | None, *flags: str, **values: Any
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(receiver, conf, *flags, **values),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=ENVIRONMENT,
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert not list(receiver.run_folder.with_name("scratch").glob("rclone.conf"))
    return done


class Pushing:
    """A push at work."""

    def __init__(self, receiver: Receiver, conf: Path | None, **values: Any) -> None:
        self._log_path = receiver.run_folder.with_name("push.log")
        with self._log_path.open("w") as log:
            self.process = subprocess.Popen(
                command(receiver, conf, **values), stdout=log, stderr=log, env=ENVIRONMENT
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.log or self.process.poll() is not None, words)
        assert words in self.log

    def end(self) -> int:
        return self.process.wait(TIMEOUT_S)


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


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def names(remote: remotes.Remote) -> set[str]:
    return {path.name for path in (remote.root / "bucket").iterdir()}


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


# --- what is pushed, and where ------------------------------------------------------------------


def test_a_complete_set_is_pushed_as_it_is_and_compared(receiver, remote, conf):
    [made] = receiver.complete()
    conf.write_text(remote.config())
    conf.chmod(0o400)
    done = push(receiver, conf)
    assert done.returncode == 0, done.stderr
    assert names(remote) == {"demo.ms"}
    assert contents(remote.root / "bucket" / "demo.ms") == contents(made)
    way = "hashes" if remote.kind == "s3" else "contents"
    assert done.stdout.startswith(f"pushed {made} to far:bucket/demo.ms: ")
    assert done.stdout.endswith(f", {way} compared\n")
    result = receiver.pushed()
    assert result["status"] == "pushed"
    [entry] = result["sets"]
    assert entry["destination"] == "far:bucket/demo.ms"
    assert entry["bytes"] == sum(map(len, FILES.values()))
    assert entry["compared"] == way


def test_it_waits_for_the_end(receiver, webdav, conf, pushing):
    conf.write_text(webdav.config())
    started = pushing(receiver, conf)
    receiver.begin()
    made = receiver.write()
    started.wait_for("waiting for its end")
    assert names(webdav) == set()
    receiver.end("complete", made)
    assert started.end() == 0, started.log
    assert names(webdav) == {"demo.ms"}


@pytest.mark.parametrize(
    ("sets", "attempt", "values", "expected"),
    [
        (["recv-vis.ms"], 0, {}, {"demo.ms"}),
        (["recv-vis-s1.ms"], 0, {}, {"demo.ms"}),
        (["recv-vis-a2.ms"], 2, {}, {"demo-2.ms"}),
        (["recv-vis-s1.ms", "recv-vis-s2.ms"], 0, {}, {"demo-s1.ms", "demo-s2.ms"}),
        (["recv-vis-a1-p1.ms", "recv-vis-a1-p2.ms"], 1, {}, {"demo-p1-1.ms", "demo-p2-1.ms"}),
        (["recv-vis-s1-p1.ms", "recv-vis-s1-p2.ms"], 0, {}, {"demo-s1-p1.ms", "demo-s1-p2.ms"}),
        (["recv-vis-r3.ms"], 0, {"reception__process_index": 3}, {"demo-3.ms"}),
        (["recv-vis-a1-r3-p1.ms"], 1, {"reception__process_index": 3}, {"demo-3-p1-1.ms"}),
    ],
)  # fmt: skip
def test_names_of_several_sets_receivers_and_attempts(
    receiver, webdav, conf, sets, attempt, values, expected
):
    receiver.complete(*sets, attempt=attempt)
    conf.write_text(webdav.config())
    count = {"reception__process_count": 4} if values else {}
    done = push(receiver, conf, **values, **count)
    assert done.returncode == 0, done.stderr
    assert names(webdav) == expected


def test_what_is_there_already_is_never_overwritten(receiver, remote, conf):
    receiver.complete()
    conf.write_text(remote.config())
    there = remote.root / "bucket" / "demo.ms"
    there.mkdir()
    (there / "table.dat").write_bytes(b"an earlier one")
    done = push(receiver, conf)
    assert done.returncode == 0, done.stderr
    assert "there is something else at far:bucket/demo.ms already" in done.stderr
    assert contents(there) == {"table.dat": b"an earlier one"}
    assert names(remote) == {"demo.ms", "demo-1.ms"}
    assert receiver.pushed()["sets"][0]["destination"] == "far:bucket/demo-1.ms"


def test_the_sets_of_a_run_that_goes_beside_another_stay_together(receiver, webdav, conf):
    conf.write_text(webdav.config())
    for part in (1, 2):
        there = webdav.root / "bucket" / f"demo-p{part}.ms"
        there.mkdir()
        (there / "table.dat").write_bytes(b"an earlier one")
    receiver.complete("recv-vis-p1.ms", "recv-vis-p2.ms", "recv-vis-p3.ms")
    for _ in range(2):
        assert push(receiver, conf).returncode == 0
        # Without its number the third would look like one of the others'.
        assert names(webdav) == {
            *("demo-p1.ms", "demo-p2.ms"),
            *("demo-p1-1.ms", "demo-p2-1.ms", "demo-p3-1.ms"),
        }


def test_a_file_there_is_no_place_for_a_set(receiver, webdav, conf):
    receiver.complete()
    conf.write_text(webdav.config())
    (webdav.root / "bucket" / "demo.ms").write_bytes(b"a file")
    assert push(receiver, conf).returncode == 0
    assert names(webdav) == {"demo.ms", "demo-1.ms"}


def test_what_was_pushed_already_is_not_pushed_again(receiver, remote, conf):
    receiver.complete()
    conf.write_text(remote.config())
    assert push(receiver, conf).returncode == 0
    done = push(receiver, conf)
    assert done.returncode == 0
    assert "is at far:bucket/demo.ms already" in done.stderr
    assert names(remote) == {"demo.ms"}


# --- where the configuration comes from ---------------------------------------------------------


def test_a_configuration_from_a_url(receiver, webdav, tmp_path):
    receiver.complete()
    secret = tmp_path / "secret.json"
    with serving(Site({"rclone.conf": webdav.config().encode()})) as site:
        site.faults = [Fault(503)]
        url = site.url("rclone.conf?dl=hush")
        secret.write_text(json.dumps({"rclone": {"configurl": url}}))
        done = push(receiver, None, "-c", str(secret), "-vv")
    assert done.returncode == 0, done.stderr
    assert "hush" not in done.stderr
    assert names(webdav) == {"demo.ms"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Fault(404), "answered 404"), (Fault(body=b"<html>", status=200), "is a web page")],
)
def test_a_url_that_gives_no_configuration_ends_it_early(receiver, fault, words):
    with serving(Site(always=fault)) as site:
        done = push(receiver, None, rclone__configurl=site.url("rclone.conf?dl=hush"))
    assert done.returncode == 2
    assert words in last_line(done)
    assert "hush" not in done.stderr


def test_a_url_that_is_away_is_asked_again_at_the_end(receiver):
    receiver.complete()
    done = push(receiver, None, rclone__configurl="http://127.0.0.1:1/hush")
    assert done.returncode == 10
    assert "it is tried again when there is something to push" in done.stderr
    assert "given up after 1 attempts" in last_line(done)
    assert "hush" not in done.stderr


def test_a_remote_without_credentials(receiver, tmp_path):
    receiver.complete()
    there = tmp_path / "there" / "demo.ms"
    values = {"rclone__command": f":local:{there}", "rclone__anonymous": "true"}
    done = push(receiver, None, **values)
    assert done.returncode == 0, done.stderr
    assert contents(there).keys() == FILES.keys()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rclone__command": None}, "rclone.command is not given"),
        ({"rclone__command": "/tmp/x"}, "accepted: remote:path"),  # noqa: S108
        ({"rclone__command": "far:"}, "the root of the remote would be filled"),
        ({"rclone__command": "far:/"}, "the root of the remote would be filled"),
        ({"rclone__command": "--delete:x"}, "would be an option of rclone"),
        ({"rclone__command": "-x:y"}, "would be an option of rclone"),
        ({"rclone__command": "near:x"}, "has no remote near; it has: far, other"),
    ],
)
def test_a_destination_that_cannot_be_ends_it_before_the_receiver_has_begun(
    receiver, conf, values, words
):
    conf.write_text("[far]\ntype = local\n[other]\ntype = local\n")
    done = push(receiver, conf, **values)
    assert done.returncode == 2
    assert words in last_line(done)


def test_no_configuration_at_all(receiver):
    done = push(receiver, None)
    assert done.returncode == 2
    assert "--rclone-config, rclone.configurl, or rclone.anonymous" in last_line(done)


def test_without_rclone(receiver, conf):
    conf.write_text("[far]\ntype = local\n")
    done = subprocess.run(
        command(receiver, conf),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=ENVIRONMENT | {"PATH": "/nowhere"},
    )
    assert done.returncode == 2
    assert "there is no rclone on the PATH" in last_line(done)


# --- remotes that do not work -------------------------------------------------------------------


def test_wrong_credentials_end_after_the_attempts(receiver, remote, conf):
    receiver.complete()
    conf.write_text(remote.config(password="wrong-password"))  # noqa: S106
    done = push(receiver, conf, results__retries=1)
    assert done.returncode == 10
    assert "attempt 1 of 2 failed" in done.stderr
    line = last_line(done)
    assert "attempt 2 of 2 failed" in line
    assert ("401" if remote.kind == "webdav" else "SignatureDoesNotMatch") in line
    assert receiver.pushed()["status"] == "failed"
    assert names(remote) == set()


def test_a_remote_that_is_down_for_good(receiver, conf):
    receiver.complete()
    conf.write_text(remotes.config("webdav", 1))
    done = push(receiver, conf)
    assert done.returncode == 10
    assert "connection refused" in last_line(done)


def test_a_remote_that_comes_is_waited_for(receiver, conf, tmp_path, pushing):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    [made] = receiver.complete()
    conf.write_text(remotes.config("webdav", port))
    started = pushing(receiver, conf, results__retries=5)
    started.wait_for("attempt 1 of 6 failed")
    with remotes.serving("webdav", tmp_path / "remote", port) as remote:
        assert started.end() == 0, started.log
        assert contents(remote.root / "bucket" / "demo.ms") == contents(made)


def test_what_arrived_damaged_is_seen_and_sent_again(receiver, webdav, conf, tmp_path):
    """Of the right size and time, so that nothing but its contents tells."""
    [made] = receiver.complete()
    conf.write_text(webdav.config())
    damaged = webdav.root / "bucket" / "demo.ms" / "table.f0"
    once = tmp_path / "once"
    folder = tmp_path / "bin"
    folder.mkdir()
    wrapper = folder / "rclone"
    wrapper.write_text(
        textwrap.dedent(f"""\
            #!/bin/sh
            "{remotes.RCLONE}" "$@"
            code=$?
            case " $* " in *" copy "*) if mkdir "{once}" 2>/dev/null; then
                touch -r "{damaged}" "{once}/time"
                printf x | dd of="{damaged}" conv=notrunc bs=1 seek=70000 2>/dev/null
                touch -r "{once}/time" "{damaged}"
            fi;; esac
            exit $code
            """)
    )
    wrapper.chmod(0o755)
    done = subprocess.run(
        command(receiver, conf, results__retries=1),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=ENVIRONMENT | {"PATH": f"{folder}:{ENVIRONMENT['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert "attempt 1 of 2 is not there as it is here" in done.stderr
    assert contents(damaged.parent) == contents(made)


# --- receivers that do not end well -------------------------------------------------------------


def test_a_receiver_that_never_begins(receiver, conf):
    conf.write_text("[far]\ntype = local\n")
    done = push(receiver, conf, results__start_timeout=0.3)
    assert done.returncode == 11
    assert "results.start_timeout" in last_line(done)


@pytest.mark.parametrize("status", ["stopped", "failed", "crashed"])
@pytest.mark.parametrize("partial", [False, True])
def test_what_did_not_end_well_is_pushed_only_if_asked_for(receiver, webdav, conf, status, partial):
    receiver.write("older.ms")
    receiver.begin()
    made = receiver.write()
    receiver.write(".hidden.ms")
    (receiver.results / "notes").mkdir()
    if status == "crashed":
        receiver.crash()
    else:
        receiver.end(status, made)
    conf.write_text(webdav.config())
    done = push(receiver, conf, results__push_partial=partial)
    assert done.returncode == 0, done.stderr
    assert names(webdav) == ({"demo.ms"} if partial else set())
    assert receiver.pushed()["status"] == ("pushed" if partial else "nothing")
    if not partial:
        assert "nothing is pushed: the receiver" in last_line(done)


def test_a_set_that_is_gone_is_a_failure(receiver, webdav, conf):
    receiver.begin()
    receiver.end("complete", receiver.results / "recv-vis.ms")
    conf.write_text(webdav.config())
    done = push(receiver, conf)
    assert done.returncode == 10
    assert "is not here" in last_line(done)
    assert push(receiver, conf, consumer__command="mv {path} /x").returncode == 0


# --- being told to stop -------------------------------------------------------------------------


def test_term_before_a_receiver_has_begun(receiver, conf, pushing):
    conf.write_text("[far]\ntype = local\n")
    started = pushing(receiver, conf)
    started.wait_for("waiting for a receiver")
    started.process.send_signal(signal.SIGTERM)
    assert started.end() == 143, started.log


@pytest.mark.parametrize(
    ("status", "partial", "code"),
    [("complete", False, 0), ("stopped", True, 0), ("stopped", False, 143)],
)
def test_term_waits_for_the_receiver_to_close(
    receiver, webdav, conf, pushing, status, partial, code
):
    conf.write_text(webdav.config())
    receiver.begin()
    started = pushing(receiver, conf, results__push_partial=partial)
    started.wait_for("waiting for its end")
    started.process.send_signal(signal.SIGTERM)
    started.wait_for("told to stop")
    assert started.process.poll() is None
    receiver.end(status, receiver.write())
    assert started.end() == code, started.log
    assert names(webdav) == (set() if code else {"demo.ms"})


# --- the image ----------------------------------------------------------------------------------


def test_it_needs_none_of_what_the_image_does_not_have(receiver, webdav, conf):
    receiver.complete()
    conf.write_text(webdav.config())
    program = textwrap.dedent("""\
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {
                    "numpy", "casacore", "numba", "llvmlite", "spead2", "astropy", "erfa",
                    "matplotlib", "scipy", "emulator",
                }:
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Missing())
        from receive.push.app import entry
        sys.exit(entry())
        """)
    arguments = command(receiver, conf)[1:]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert names(webdav) == {"demo.ms"}
