"""No credential of a destination stands in rclone's command line, the log or the result."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import remotes
from tests.integration.push.pushes import ENVIRONMENT, FILES, command, contents
from tests.remotes import PASSWORD, RCLONE, USER

if TYPE_CHECKING:
    from pathlib import Path


def watched(folder: Path) -> dict[str, str]:
    """An environment whose rclone notes its arguments before it does its work."""
    program = folder / "bin" / "rclone"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\ntr '\\0' ' ' < /proc/$$/cmdline >> {folder}/seen\nexec {RCLONE} \"$@\"\n"
    )
    program.chmod(0o755)
    return ENVIRONMENT | {"PATH": f"{program.parent}:{ENVIRONMENT['PATH']}"}


@pytest.mark.parametrize("form", ["described", "named", "wrong"])
def test_parameters_of_a_destination_are_seen_by_rclone_alone(receiver, tmp_path, conf, form):
    receiver.complete()
    with remotes.serving("s3", tmp_path / "remote") as up:
        secret = PASSWORD if form != "wrong" else 'not,"that":one'
        quoted = secret.replace('"', '""')
        keys = f',access_key_id={USER},secret_access_key="{quoted}"'
        if form == "named":
            text = up.config().replace(f"secret_access_key = {PASSWORD}", "secret_access_key = no")
            conf.write_text(text)
            to = f"far{keys}:bucket/demo.ms"
        else:
            conf.write_text("")
            to = f":s3,provider=Rclone,endpoint='http://127.0.0.1:{up.port}'{keys}:bucket/demo.ms"
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps({"rclone.command": to}))
        given = command(receiver, conf, "-v", "-v", "-c", str(settings), rclone__command=None)
        done = subprocess.run(
            given, capture_output=True, text=True, check=False, env=watched(tmp_path)
        )
        if form == "wrong":
            assert done.returncode == 10, done.stderr
        else:
            assert done.returncode == 0, done.stderr
            assert contents(up.root / "bucket" / "demo.ms").keys() == FILES.keys()
    shown = done.stdout + done.stderr + (receiver.run_folder / "push.json").read_text()
    seen = (tmp_path / "seen").read_text().replace("--ask-password", "")
    assert "bucket/demo.ms" in seen
    for piece in (secret[at : at + 4] for at in range(len(secret) - 3)):
        assert piece not in shown
        assert piece not in seen
