"""``emu-push`` beside a run folder, to real remotes: what is pushed, and where."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.commands import TIMEOUT_S
from tests.integration.push.pushes import (
    ENVIRONMENT,
    FILES,
    command,
    contents,
    last_line,
    names,
    push,
)
from tests.site import Fault, Site, serving

# --- what is pushed, and where ------------------------------------------------------------------


def test_a_complete_set_is_pushed_as_it_is_and_compared(receiver, remote, conf):
    [made] = receiver.complete()
    conf.write_text(remote.config())
    conf.chmod(0o400)
    done = push(receiver, conf)
    assert done.returncode == 0, done.stderr
    assert names(remote) == {"demo.ms"}
    assert contents(remote.root / "bucket" / "demo.ms") == contents(made)
    way = "contents" if remote.kind == "webdav" else "hashes"
    assert done.stdout.startswith(f"pushed {made} to far:bucket/demo.ms: ")
    assert done.stdout.endswith(f", {way} compared\n")
    result = receiver.pushed()
    assert result["status"] == "pushed"
    [entry] = result["sets"]
    assert entry["destination"] == "far:bucket/demo.ms"
    assert entry["files"] == len(FILES)
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
