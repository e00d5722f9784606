"""A path means the same to us and to casacore in every command, or is refused in one line."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from casacore import tables

from emulator.simulate.app import main
from receive.command import cli
from receive.command.errors import VisReceiveError
from receive.measurement_set.read.table_name import refuse_misread_output, table_name
from tests.commands import ok, run, send, start_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulated import SimulatedSets

ARRAY = ("--array", "meerkat", "--num-antennas", "3", "--integrations", "2", "--channels", "2")
REFUSED = {2, 3, 4}
PIECES = [
    *("a", "b", " ", ":", "::", "$", "$FOO", "${FOO}", "$NONE", "$HOME", "~", "~root", ".", ".."),
    *("\\", "*", "?", "[", "{", "}", "'", '"', ";", "#", "%", ",", "=", "|", "&", "<", "(", "!"),
    *("@", "\n", "\t", "é", "\x01", os.fsdecode(b"\xff"), "-", "^", "`", "+", "Table: "),
]


def names(count: int) -> Iterator[str]:
    """Names of files made of what means something to somebody; every piece, then at random."""
    draw = random.Random(5)
    yield from (f"x{piece}y.ms" for piece in PIECES)
    yield from (piece for piece in PIECES if piece not in {".", ".."})
    yield from ("n" * 200, "n" * 201, "n" * 255)
    for _ in range(count):
        name = "".join(draw.choice(PIECES) for _ in range(draw.randint(1, 5)))
        if name not in {".", ".."}:
            yield name


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOO", "foo")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    return simulated_set(num_antennas=3, integrations=2, channels=2)


def files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("table.dat")}


@pytest.mark.parametrize("inside", [False, True], ids=["set", "folder"])
def test_casacore_makes_a_table_where_we_would_look_for_it(tmp_path: Path, inside: bool) -> None:
    description = tables.maketabdesc([tables.makescacoldesc("X", 0)])
    taken, said = 0, []
    for number, name in enumerate(names(300)):
        # Names of folders are as long as the file system takes.
        place = tmp_path / str(number)
        place.mkdir()
        path = place / name
        if inside:
            path.mkdir()
            path /= "set.ms"
        try:
            refuse_misread_output(path)
            opened = table_name(path)
        except VisReceiveError as error:
            said.append(str(error))
            continue
        taken += 1
        tables.table(opened, description, ack=False).close()
        assert files(place) == {str(path / "table.dat")}
        tables.table(table_name(path), ack=False).close()
    assert taken > 100
    assert len(said) > 50
    assert all("cannot be the path of a Measurement Set" in text for text in said)
    assert "\udcff" not in "".join(said)


def test_a_set_is_made_there_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(names(0)):
        place = tmp_path / str(number)
        place.mkdir()
        code = cli.run("emu-simulate", main, [*ARRAY, "--", str(place / name)])
        told = capsys.readouterr().err
        if code:
            assert code in REFUSED, told
            assert "Traceback" not in told
            assert len(told.splitlines()) == 1
            assert not list(place.iterdir())
        else:
            assert (place / name / "ANTENNA" / "table.dat").is_file()


@pytest.mark.parametrize("name", ["a::b.ms", "$HOME", "${FOO}.ms", "n" * 201, "x$FOO/o.ms", "::/o"])
def test_no_output_is_found_wanting_when_data_have_come(
    tmp_path: Path, model: Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    keys = ("-o", f"reception.datamodel={model}", "-o", f"reception.outputfilename={path}")
    for flags in (("--check",), ("-o", "reception.port_start=0")):
        done = run("emu-recv", *flags, *keys)
        assert done.returncode == 4, done.stderr
        assert "cannot be the path of a Measurement Set" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["$NONE: a b.ms", " ~ é;*.ms", "~"])
def test_odd_names_that_mean_the_same_are_used(tmp_path: Path, model: Path, name: str) -> None:
    shutil.copytree(model, tmp_path / "in" / name)
    receiver = start_receiver(
        tmp_path, tmp_path / "in" / name, {"reception.outputfilename": tmp_path / name}
    )
    assert send(receiver, tmp_path / "in" / name).returncode == 0
    assert receiver.wait() == 0, receiver.log
    # As a relative name, "~" would be a home.
    ok("ms-diff", "--ignore=HISTORY", "--round-trip", name, Path("in", name), cwd=tmp_path)
    ok("ms-recover", name, cwd=tmp_path)


@pytest.mark.parametrize("name", ["a::b.ms", "a${HOME}.ms", os.fsdecode(b"a\xff.ms"), "n" * 256])
@pytest.mark.parametrize(
    "command",
    [
        ("emu-send", "{}"),
        ("emu-recv", "--check", "-o", "reception.datamodel={}"),
        ("ms-diff", "{}", "{model}"),
        ("ms-diff", "--round-trip", "{model}", "{}"),
        ("ms-plot", "{}"),
        ("ms-recover", "{}"),
        ("ms-concat", "out.ms", "{}", "{model}"),
        ("ms-concat", "{}", "{model}", "{model}"),
        ("emu-fetch-model", "-o", "model.name={}", "--to", "."),
    ],
    ids=" ".join,
)
def test_every_command_refuses_what_casacore_reads_otherwise(
    tmp_path: Path, model: Path, command: tuple[str, ...], name: str
) -> None:
    if len(name) < 256 and "concat {}" not in " ".join(command):
        shutil.copytree(model, tmp_path / name)
    arguments = [word.replace("{}", name).replace("{model}", str(model)) for word in command]
    done = run(arguments[0], *arguments[1:], cwd=tmp_path)
    assert done.returncode in REFUSED, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_dots_go_where_links_go(tmp_path: Path, model: Path) -> None:
    (tmp_path / "far" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "folder")
    shutil.copytree(model, tmp_path / "far" / "set.ms")
    ok("ms-diff", tmp_path / "link" / ".." / "set.ms", model)
    ok("emu-simulate", *ARRAY, tmp_path / "link" / ".." / "made.ms")
    assert (tmp_path / "far" / "made.ms").is_dir()


def test_a_link_into_a_folder_that_casacore_cannot_name(tmp_path: Path) -> None:
    (tmp_path / "a::b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a::b")
    done = run("emu-simulate", *ARRAY, tmp_path / "link" / "o.ms")
    assert done.returncode == 4
    assert f"which is {tmp_path}/a::b/o.ms, cannot be the path" in done.stderr
