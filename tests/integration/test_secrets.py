"""No credential of a configuration is in a set, a log, a summary or a list of processes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from casacore import tables

from tests.commands import BIN, run, send
from tests.integration.monitored import Monitored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulated import SimulatedSets

HOSTILE = "ABCDEFGHJKLMNPQRSTUVWXYZ?/#@:%,;'=&+!$(){}[]\\"
PROGRAM = """\
import json, os, sys
from pathlib import Path
Path(sys.argv[2]).write_text(json.dumps({
    "arguments": Path("/proc/self/cmdline").read_text(), "TOKEN": os.environ["TOKEN"],
    "KEY": os.environ["KEY"],
}))
"""


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """3 integrations of 6 baselines."""
    return simulated_set(num_antennas=4, integrations=3, channels=8)


def secrets(seed: int) -> Iterator[str]:
    draw = random.Random(seed)
    while True:
        yield "".join(draw.choice(HOSTILE) for _ in range(16))


def configuration(folder: Path, seed: int) -> tuple[Path, list[str]]:
    """Return a file with a credential in every key that takes one, and the credentials."""
    made = secrets(seed)
    given = [next(made) for _ in range(6)]
    url, proxy, configurl, destination, token, key = given
    (folder / "key").write_text(f"{key}\n")
    program = folder / "program.py"
    program.write_text(PROGRAM)
    quoted = destination.replace('"', '""')
    content: dict[str, Any] = {
        "model.url": f"https://user:{url}@host.example/m.tgz",
        "proxy.server": f"http://user:{proxy}@proxy.example:3128",
        "rclone.configurl": f"https://host.example/rclone.conf?{configurl}",
        "rclone.command": f':s3,secret_access_key="{quoted}":bucket/x.ms',
        "consumer.command": [
            f"secret:TOKEN={token}",
            f"secret_file:KEY={folder / 'key'}",
            *(sys.executable, str(program), "{path}", str(folder / "told.json")),
        ],
    }
    path = folder / "configuration.json"
    path.write_text(json.dumps(content))
    return path, given


def pieces(given: list[str]) -> set[str]:
    return {text[at : at + 4] for text in given for at in range(len(text) - 3)}


@pytest.mark.parametrize("seed", range(3))
def test_credentials_are_told_to_whom_they_are_for_alone(
    observation: Path, tmp_path: Path, seed: int
) -> None:
    path, given = configuration(tmp_path, seed)
    flags = ("-c", path, "-v", "-v")
    monitored = Monitored(tmp_path, observation, {}, flags=flags)
    receiver = monitored.receiver
    shown = monitored.ask("/summary")[1]
    sent = send(receiver, observation, {"transmission.channels_per_stream": 4})
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    told = json.loads((tmp_path / "told.json").read_text())
    assert [told["TOKEN"], told["KEY"]] == given[-2:]
    with tables.table(str(tmp_path / "received.ms" / "HISTORY"), ack=False) as history:
        shown += "\n".join(history.getcol("MESSAGE")).replace("\\\\", "\\")
    shown += receiver.log + (tmp_path / "summary.json").read_text() + told["arguments"]
    shown += str(run("emu-recv", "-c", path, "--check", "-o", f"reception.datamodel={observation}"))
    assert ":s3,***:bucket/x.ms" in shown
    assert [piece for piece in pieces(given) if piece in shown] == []


@pytest.mark.parametrize("command", ["emu-fetch-model", "emu-push"])
def test_errors_of_what_goes_out_show_no_credential(tmp_path: Path, command: str) -> None:
    path, given = configuration(tmp_path, 7)
    more = {
        "emu-fetch-model": ["--to", tmp_path / "model", "--retries", "0"],
        "emu-push": ["--run-folder", tmp_path, "-o", "results.start_timeout=0"],
    }[command]
    done = subprocess.run(
        [BIN / command, "-v", "-v", "-c", path, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode not in {0, 1}, done.stderr
    assert [piece for piece in pieces(given) if piece in done.stdout + done.stderr] == []


def test_a_file_of_a_secret_that_is_not_there_is_known_at_once(
    observation: Path, tmp_path: Path
) -> None:
    done = run(
        "emu-recv",
        "--check",
        *("-o", f"reception.datamodel={observation}"),
        *("-o", f"consumer.command=secret_file:KEY={tmp_path}/no true"),
    )
    assert done.returncode == 2
    assert f"secret_file {tmp_path}/no cannot be read: No such file" in done.stderr
