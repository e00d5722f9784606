"""What would end a run badly is told before it begins, by ``--check`` and by the run itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from casacore.tables import table

from tests.commands import BIN, ok, options, run, send, start_receiver
from tests.integration.test_bad_input import (
    CONFIG,
    NETWORK,
    OUTPUT,
    mounted,
    receive_arguments,
    refused,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.patient

DOC = Path(__file__).parents[2] / "docs" / "howto" / "consumer.md"


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    """10 channels, 6 baselines, 5 integrations."""
    return simulated_set(num_antennas=4, integrations=5, channels=10)


CHECK_OR_RUN = pytest.mark.parametrize("flags", [["--check"], []], ids=["check", "run"])


def test_check_tells_the_disk_needed_and_free_and_writes_nothing(
    model: Path, tmp_path: Path
) -> None:
    told = ok("emu-recv", "--check", *receive_arguments(model, tmp_path))
    assert re.search(
        r"^disk +\d.* needed for 5 integrations in .*received\.ms, \d.* free$", told, re.MULTILINE
    )
    assert not list(tmp_path.iterdir())
    null = receive_arguments(model, tmp_path, reception__consumer="null")
    assert "disk" not in ok("emu-recv", "--check", *null)


@CHECK_OR_RUN
@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"reception.outputfilename": "{there}"}, OUTPUT, ["there.ms", "exists", "overwrite"]),
        (
            {"reception.outputfilename": "{folder}", "reception.overwrite": True},
            OUTPUT,
            ["folder.ms", "not a Measurement Set"],
        ),
        ({"reception.outputfilename": "/nonexist/x.ms"}, OUTPUT, ["no folder /nonexist"]),
        ({"reception.consumer": "nope"}, CONFIG, ["nope", "mswriter, null"]),
        ({"reception.consumer": "null,null"}, CONFIG, ["named twice"]),
        ({"reception.num_ports": 6}, CONFIG, ["num_ports = 6", "10 channels", "give 5 or 10"]),
        ({"reception.num_ports": 11}, CONFIG, ["num_ports = 11", "give 10"]),
        (
            {"reception.interface_address": "127.0.0.1"},
            CONFIG,
            ["interface_address = 127.0.0.1", "multicast and ibverbs", "bind_hostname"],
        ),
        ({"reception.consumer": "json.JSONDecoder"}, CONFIG, ["consume"]),
    ],
)
def test_the_receiver_is_refused(
    model: Path,
    tmp_path: Path,
    flags: list[str],
    values: dict[str, Any],
    code: int,
    words: list[str],
) -> None:
    (tmp_path / "folder.ms").mkdir()
    places = {
        "{folder}": tmp_path / "folder.ms",
        "{there}": shutil.copytree(model, tmp_path / "there.ms"),
    }
    filled = {key: places.get(str(value), value) for key, value in values.items()}
    arguments = [*flags, *receive_arguments(model, tmp_path), *options(filled)]
    refused("emu-recv", code, *words, arguments=arguments)


@CHECK_OR_RUN
def test_a_read_only_folder(model: Path, tmp_path: Path, flags: list[str]) -> None:
    for folder in mounted(tmp_path / "disk", "size=99m,ro"):
        output = receive_arguments(model, tmp_path, reception__outputfilename=folder / "x.ms")
        refused("emu-recv", OUTPUT, "x.ms", "not writable", arguments=[*flags, *output])


def test_check_tells_that_the_disk_is_too_small(model: Path, tmp_path: Path) -> None:
    for folder in mounted(tmp_path / "disk", "size=1m"):
        output = receive_arguments(model, tmp_path, reception__outputfilename=folder / "x.ms")
        refused("emu-recv", OUTPUT, "x.ms", "are free", arguments=["--check", *output])


def test_check_of_several_receivers_adds_up_their_disk(model: Path, tmp_path: Path) -> None:
    """There is space for the sets of one or two of them, not for those of five."""
    (needed_mib,) = re.findall(
        r"^disk +([\d.]+) MiB needed",
        ok("emu-recv", "--check", *receive_arguments(model, tmp_path)),
        re.MULTILINE,
    )
    for folder in mounted(tmp_path / "disk", f"size={round(2.5 * float(needed_mib))}m"):
        values = {"transmission.channels_per_stream": 2}
        arguments = [
            *receive_arguments(model, tmp_path, reception__outputfilename=folder / "x.ms"),
            *options(values),
        ]
        ok("emu-recv", "--check", "--processes", "2", *arguments)
        refused(
            "emu-recv",
            OUTPUT,
            f"{folder / 'x-r0.ms'} with the sets of 4 other receivers takes",
            "are free",
            arguments=["--check", "--processes", "5", *arguments],
        )
        null = [*arguments, *options({"reception.consumer": "null"})]
        ok("emu-recv", "--check", "--processes", "5", *null)


@CHECK_OR_RUN
@pytest.mark.parametrize(
    ("name", "output", "values"),
    [
        ("vis.ms", "vis.ms", {}),
        ("vis.ms", "link.ms", {}),
        ("vis-s2.ms", "vis.ms", {"reception.max_scans": 2}),
        ("vis-p7.ms", "vis.ms", {"consumer.max_dumps_per_ms": 2}),
        ("vis-s3-p1.ms", "vis.ms", {"reception.max_scans": 0, "consumer.max_dumps_per_ms": 2}),
    ],
)
def test_the_model_is_never_overwritten(
    model: Path, tmp_path: Path, flags: list[str], name: str, output: str, values: dict[str, Any]
) -> None:
    own = shutil.copytree(model, tmp_path / name)
    (tmp_path / "link.ms").symlink_to(own)
    values = {"reception.overwrite": True} | values
    arguments = [
        *receive_arguments(own, tmp_path, reception__outputfilename=tmp_path / output),
        *options(values),
    ]
    refused("emu-recv", CONFIG, name, "reception.datamodel", arguments=[*flags, *arguments])
    with table(str(own), ack=False) as main:
        assert main.nrows() == 30


def test_a_model_whose_name_no_set_gets_is_no_obstacle(model: Path, tmp_path: Path) -> None:
    own = shutil.copytree(model, tmp_path / "vis-s2.ms")
    output = tmp_path / "vis.ms"
    ok("emu-recv", "--check", *receive_arguments(own, tmp_path, reception__outputfilename=output))


@pytest.mark.parametrize(
    "values",
    [
        {"transmission.target_host": "no.such.host.invalid"},
        {"transmission.endpoints": "127.0.0.1:5000,no.such.host.invalid:5001"}
        | {"transmission.channels_per_stream": 5},
    ],
)
def test_check_of_the_sender_looks_up_its_targets(model: Path, values: dict[str, Any]) -> None:
    arguments = ["--check", *options(values), model]
    refused("emu-send", NETWORK, "no.such.host.invalid", arguments=arguments)


@pytest.mark.parametrize("option", ["--ready-file", "--summary-file"])
@pytest.mark.parametrize("flags", [[], ["--check"], ["--processes", "2"]], ids=str)
def test_files_that_could_not_be_written(
    model: Path, tmp_path: Path, option: str, flags: list[str]
) -> None:
    (tmp_path / "file").touch()
    common = [
        *flags,
        *receive_arguments(model, tmp_path, transmission__channels_per_stream=5),
    ]
    for path, word in (
        (tmp_path / "none" / "told.json", f"no folder {tmp_path / 'none'}"),
        (tmp_path / "file" / "told.json", f"no folder {tmp_path / 'file'}"),
        (tmp_path, "is a folder"),
    ):
        refused("emu-recv", OUTPUT, option, word, arguments=[*common, option, path])
    for folder in mounted(tmp_path / "disk", "size=1m,ro"):
        arguments = [*common, option, folder / "told.json"]
        refused("emu-recv", OUTPUT, option, f"{folder} is not writable", arguments=arguments)


@pytest.mark.parametrize("flags", [[], ["--processes", "2"]], ids=str)
def test_a_summary_file_that_fails_at_the_end_costs_no_lines(
    model: Path, tmp_path: Path, flags: list[str]
) -> None:
    """Its folder goes away while the observation is received."""
    folder = tmp_path / "folder"
    folder.mkdir()
    values = {"transmission.channels_per_stream": 5}
    told = ["--summary-file", str(folder / "summary.json"), *flags]
    receiver = start_receiver(tmp_path, model, values, flags=told)
    folder.rmdir()
    assert send(receiver, model, values).returncode == 0
    assert receiver.wait() == OUTPUT, receiver.log
    assert "nothing was lost" in receiver.log
    assert f"emu-recv: error: --summary-file {folder / 'summary.json'}" in receiver.log
    assert "Traceback" not in receiver.log


def test_a_device_may_take_the_summary(model: Path, tmp_path: Path) -> None:
    receiver = start_receiver(tmp_path, model, flags=["--summary-file", "/dev/stdout"])
    assert send(receiver, model).returncode == 0
    assert receiver.wait() == 0, receiver.log
    assert '"payload_bytes":' in receiver.log


def test_a_run_too_short_for_a_rate_tells_none(model: Path, tmp_path: Path) -> None:
    receiver = start_receiver(tmp_path, model, {"reception.max_dumps": 1})
    send(receiver, model, {"reader.num_timestamps": 1})
    assert receiver.wait() == 0, receiver.log
    (line,) = [line for line in receiver.log.splitlines() if line.startswith("received 1 ")]
    assert re.fullmatch(
        r"received 1 integrations, [\d.]+ \w+, ended_by=max-dumps: nothing was lost", line
    )


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOC.read_text(), re.MULTILINE | re.DOTALL)


def test_the_consumer_of_the_documentation_as_typed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(code_blocks("python")[0])
    shutil.copytree(model, tmp_path / "sim.ms")
    (command,) = code_blocks("sh")
    # Where the tests' own receivers are: on ports that the system chooses.
    here = options({"reception.bind_hostname": "127.0.0.1", "reception.port_start": 0})
    typed = f"{command.strip()} {' '.join(here)} --ready-file ready.json"
    with subprocess.Popen(
        ["sh", "-c", typed],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ready = tmp_path / "ready.json"
        wait_until(lambda: ready.exists() or process.poll() is not None, "it is ready")
        assert ready.exists(), process.communicate()
        (port,) = json.loads(ready.read_text())["ports"]
        target = {"transmission.endpoints": f"127.0.0.1:{port}", "transmission.time_interval": -1}
        ok("emu-send", *options(target), model)
        printed, log = process.communicate()
    assert process.returncode == 0, log
    assert len(re.findall(r"^\S+ \d+\.\d+ \d+\.\d+$", printed, re.MULTILINE)) == 5, printed
    assert "done" in printed


CONSUMERS = """
class Plain:
    def __init__(self, config, tm): pass
    def consume(self, payload): pass

class PlainClose(Plain):
    async def consume(self, payload): pass
    def close(self): pass

class Verbose(Plain):
    async def consume(self, payload): raise ValueError("first line\\n\\n  second line")
"""


@CHECK_OR_RUN
@pytest.mark.parametrize(("name", "method"), [("Plain", "consume"), ("PlainClose", "close")])
def test_a_consumer_that_is_not_async(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    name: str,
    method: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.py").write_text(CONSUMERS)
    arguments = receive_arguments(model, tmp_path, reception__consumer=f"theirs.{name}")
    words = [f"theirs.{name}", f"async def {method}(...)"]
    refused("emu-recv", CONFIG, *words, arguments=[*flags, *arguments])


def test_what_a_consumer_raises_is_told_in_one_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.py").write_text(CONSUMERS)
    receiver = start_receiver(tmp_path, model, {"reception.consumer": "mswriter,theirs.Verbose"})
    send(receiver, model)
    assert receiver.wait() == 8, receiver.log
    lines = [line for line in receiver.log.splitlines() if "second line" in line]
    assert lines
    for line in lines:
        assert "theirs.Verbose failed: ValueError: first line second line" in line


def test_modules_of_the_working_folder_only_where_python_may_look(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    (tmp_path / "theirs.py").write_text(CONSUMERS)
    arguments = receive_arguments(model, tmp_path, reception__consumer="theirs.Verbose")
    done = run("emu-recv", "--check", *arguments)
    assert done.returncode == CONFIG
    assert "No module named 'theirs'" in done.stderr
