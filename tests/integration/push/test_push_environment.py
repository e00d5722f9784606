"""What surrounds ``emu-push`` changes neither what is copied nor what is compared."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.commands import TIMEOUT_S
from tests.integration.push.pushes import ENVIRONMENT, contents, names, push
from tests.proxy import proxying
from tests.remotes import RCLONE

FLAG = re.compile(r"^ +(?:-\w, )?--([a-z0-9-]+)", re.MULTILINE)


def variables(value: str) -> dict[str, str]:
    """Return a variable for each option that this rclone has."""
    done = subprocess.run(
        [RCLONE, "--config=", "help", "flags"],
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    flags = FLAG.findall(done.stdout)
    assert len(flags) > 500
    return {f"RCLONE_{flag.upper().replace('-', '_')}": value for flag in flags}


# Values that rclone accepts: it copies less, compares less, says less, or does nothing.
HARMFUL = {
    "RCLONE_LOG_LEVEL": "ERROR",
    "RCLONE_LOG_FILE": "{folder}/rclone.log",
    "RCLONE_QUIET": "true",
    "RCLONE_DRY_RUN": "true",
    "RCLONE_SIZE_ONLY": "true",
    "RCLONE_IGNORE_SIZE": "true",
    "RCLONE_IGNORE_CHECKSUM": "true",
    "RCLONE_IGNORE_EXISTING": "true",
    "RCLONE_EXCLUDE": "*.f0",
    "RCLONE_MAX_SIZE": "5B",
    "RCLONE_MAX_DEPTH": "1",
    "RCLONE_CONFIG": "/nowhere/rclone.conf",
    "RCLONE_CONFIG_DIR": "/nowhere",
    "RCLONE_CONFIG_FAR_GLOBAL.DRY_RUN": "true",
    "RCLONE_CONFIG_FAR_OVERRIDE.LOG_LEVEL": "ERROR",
}


def harmful(folder) -> dict[str, str]:
    return {name: value.format(folder=folder) for name, value in HARMFUL.items()}


@pytest.mark.parametrize("kind", ["harmful", "nonsense", "true", "1", "-1", ""])
def test_options_of_rclone_in_the_environment_change_nothing(
    receiver, webdav, conf, tmp_path, kind
):
    [made] = receiver.complete()
    conf.write_text(webdav.config())
    env = harmful(tmp_path) if kind == "harmful" else variables(kind)
    there = webdav.root / "bucket" / "demo.ms"
    assert push(receiver, conf, env=env).returncode == 0
    assert contents(there) == contents(made)
    # Of the same size and time, so that nothing but its contents tells.
    spoilt = there / "table.f0"
    times = spoilt.stat()
    spoilt.write_bytes(bytes(times.st_size))
    os.utime(spoilt, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = push(receiver, conf, env=env)
    assert done.returncode == 0, done.stderr
    assert "there is something else at far:bucket/demo.ms already" in done.stderr
    assert done.stdout.endswith(", contents compared\n")
    assert names(webdav) == {"demo.ms", "demo-1.ms"}
    assert contents(there.with_name("demo-1.ms")) == contents(made)
    assert not (tmp_path / "rclone.log").exists()


def test_such_options_would_change_what_rclone_does(webdav, conf, tmp_path):
    """Else the test above shows nothing."""
    conf.write_text(webdav.config())
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "table.f0").write_bytes(b"more than five")
    command = [RCLONE, f"--config={conf}", "copy", tmp_path / "here", "far:bucket/here"]
    for env in (variables("nonsense"), harmful(tmp_path)):
        env.pop("RCLONE_CONFIG")
        done = subprocess.run(
            command, env=ENVIRONMENT | env, capture_output=True, check=False, timeout=TIMEOUT_S
        )
        assert done.returncode != 0 or names(webdav) == set()


@pytest.mark.parametrize("option", ["log_level = ERROR", "quiet = true", "log_file = {}/log"])
def test_what_was_compared_is_not_read_from_the_log(receiver, webdav, conf, tmp_path, option):
    """A remote of the configuration may have options of rclone, too."""
    receiver.complete()
    conf.write_text(f"{webdav.config()}global.{option.format(tmp_path)}\n")
    done = push(receiver, conf)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(", contents compared\n")


def test_a_set_that_was_not_copied_is_not_there_as_it_is_here(receiver, webdav, conf):
    receiver.complete()
    conf.write_text(f"{webdav.config()}global.exclude = *.f0\nglobal.dry_run = true\n")
    done = push(receiver, conf)
    assert done.returncode == 10
    assert "3 files are here, 0 there" in done.stderr


def test_one_file_more_there_is_another_set(receiver, remote, conf):
    [made] = receiver.complete()
    conf.write_text(remote.config())
    assert push(receiver, conf).returncode == 0
    # By rclone, since its servers remember what is in a folder.
    command = [RCLONE, f"--config={conf}", "rcat", "far:bucket/demo.ms/more"]
    subprocess.run(command, input=b"x", check=True, timeout=TIMEOUT_S, env=ENVIRONMENT)
    assert push(receiver, conf).returncode == 0
    assert contents(remote.root / "bucket" / "demo-1.ms") == contents(made)


def test_a_file_that_lies_elsewhere_is_pushed(receiver, remote, conf, tmp_path):
    receiver.begin()
    made = receiver.write()
    elsewhere = tmp_path / "elsewhere"
    (made / "table.f0").rename(elsewhere)
    (made / "table.f0").symlink_to(elsewhere)
    receiver.end("complete", made)
    conf.write_text(remote.config())
    done = push(receiver, conf)
    assert done.returncode == 0, done.stderr
    assert contents(remote.root / "bucket" / "demo.ms") == contents(made)


def test_a_remote_that_the_environment_defines(receiver, webdav):
    receiver.complete()
    lines = dict(line.split(" = ") for line in webdav.config().splitlines() if " = " in line)
    env = {f"RCLONE_CONFIG_FAR_{name.upper()}": value for name, value in lines.items()}
    done = push(receiver, None, env=env, rclone__anonymous="true")
    assert done.returncode == 0, done.stderr
    assert names(webdav) == {"demo.ms"}


# --- proxies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("no_proxy", "through"),
    [
        ("", True),
        ("other.example", True),
        (".far.example", True),
        ("far.example:1", True),
        ("[2001:db8::1]", True),
        ("FAR.example", False),
        ("other.example far.example", False),
        ("*.EXAMPLE", False),
        ("*", False),
    ],
)
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_rclone_goes_through_the_proxy_that_the_fetcher_would(
    receiver, conf, no_proxy, through, variable
):
    receiver.complete()
    conf.write_text("[far]\ntype = http\nurl = http://far.example:9/\n")
    with proxying("me:quiet") as proxy:
        env = {variable: f"127.0.0.1:{proxy.port}", "NO_PROXY": no_proxy}
        done = push(receiver, conf, env=env)
    assert done.returncode == 10
    assert bool(proxy.urls) == through
