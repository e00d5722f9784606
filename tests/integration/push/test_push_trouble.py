"""``emu-push`` with remotes that do not work and receivers that do not end well."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from tests import remotes
from tests.commands import TIMEOUT_S
from tests.integration.push.pushes import (
    ENVIRONMENT,
    command,
    contents,
    last_line,
    names,
    push,
)

# --- remotes that do not work -------------------------------------------------------------------


def test_wrong_credentials_end_after_the_attempts(receiver, remote, conf):
    receiver.complete()
    conf.write_text(remote.config(password="wrong-password"))  # noqa: S106
    done = push(receiver, conf, results__retries=1)
    assert done.returncode == 10
    assert "attempt 1 of 2 failed" in done.stderr
    line = last_line(done)
    assert "attempt 2 of 2 failed" in line
    words = {"webdav": "401", "s3": "SignatureDoesNotMatch", "sftp": "unable to authenticate"}
    assert words[remote.kind] in line
    assert receiver.pushed()["status"] == "failed"
    assert names(remote) == set()


def test_a_remote_that_only_gives(receiver, conf, tmp_path):
    [made] = receiver.complete()
    with remotes.serving("http", tmp_path / "remote") as remote:
        conf.write_text(remote.config())
        done = push(receiver, conf)
        assert done.returncode == 10
        assert "attempt 1 of 1 failed" in last_line(done)
        assert names(remote) == set()
    shutil.copytree(made, remote.root / "bucket" / "demo.ms")
    with remotes.serving("http", tmp_path / "remote") as remote:
        conf.write_text(remote.config())
        done = push(receiver, conf)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(", contents compared\n")


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
                    "matplotlib", "scipy", "emulator", "aiohttp", "prometheus_client",
                    "psutil",
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
