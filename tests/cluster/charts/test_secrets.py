"""Credentials inside a destination or a command are in the Secret, and in no other object."""

from __future__ import annotations

import json

import pytest

from receive.config import Config

HUSH = "HUSH-hush"
PUSHES = {"results": {"push": True}, "model": {"url": "https://host.example/m.tgz"}}
NO_CREDENTIAL = ["rsync", "-a", "{path}", "archive:/data/"]


def given(tmp_path, **values):
    # What Helm made of a file is remembered: each has a name of its own.
    path = tmp_path / f"values-{len(list(tmp_path.iterdir()))}.yaml"
    path.write_text(json.dumps(PUSHES | values))
    return path


@pytest.mark.parametrize(
    "to",
    [
        f":s3,access_key_id=a,secret_access_key={HUSH}:bucket/x.ms",
        f'far,pass="{HUSH},a:b":x.ms',
        f"https://user:{HUSH}@host.example/x.ms",
    ],
)
def test_a_destination_with_credentials(helm, tmp_path, to):
    release = helm.template("receive", given(tmp_path, rclone={"command": to, "anonymous": True}))
    assert "command" not in release.config["rclone"]
    secret = json.loads(release.secret["config.json"])
    assert secret["rclone"] == {"command": to}
    assert Config.from_mapping(secret)["rclone.command"] == to
    assert all(HUSH not in json.dumps(o) for o in release.manifests if o["kind"] != "Secret")
    if not to.startswith(":"):
        refusal = helm.refusal("receive", given(tmp_path, rclone={"command": to}))
        assert "nothing says what the remote of rclone.command (hidden) is" in refusal


@pytest.mark.parametrize(
    "command",
    [
        [f"secret:TOKEN={HUSH}", "upload", "{path}"],
        f"secret:TOKEN={HUSH} upload {{path}}",
        ["upload", f"https://user:{HUSH}@host.example/", "{path}"],
    ],
)
def test_a_command_with_credentials_is_the_receivers_alone(helm, tmp_path, command):
    consumer = {"command": command, "command_timeout": 5}
    values = {"consumer": consumer, "rclone": {"command": "s3:b", "secret": "remote"}}
    release = helm.template("receive", given(tmp_path, **values))
    assert json.loads(release.secret["command.json"]) == {"consumer": {"command": command}}
    assert HUSH not in release.secret["config.json"]
    assert all(HUSH not in json.dumps(o) for o in release.manifests if o["kind"] != "Secret")
    holders = [n for n in release.containers if "/etc/vis-receive-command" in release.mounts(n)]
    assert holders == ["receiver"]
    words = release.containers["receiver"]["command"]
    files = [words[at + 1] for at, word in enumerate(words) if word == "-c"]
    assert files == ["/etc/vis-receive/config.json", "/etc/vis-receive-command/command.json"]
    assert release.volumes()["command"]["secret"]["items"] == [
        {"key": "command.json", "path": "command.json"}
    ]
    # Who pushes must know that something may take sets away.
    assert Config.from_mapping(release.config)["consumer.command"]
    assert release.config["consumer"]["command_timeout"] == 5


def test_what_is_no_credential_stays_where_people_look(helm, tmp_path):
    rclone = {"command": "s3:bucket/x.ms", "secret": "remote"}
    values = given(tmp_path, rclone=rclone, consumer={"command": NO_CREDENTIAL})
    release = helm.template("receive", values)
    assert release.config["rclone"]["command"] == rclone["command"]
    assert release.config["consumer"]["command"] == NO_CREDENTIAL
    assert "command.json" not in release.secret
    assert "command" not in release.volumes()
