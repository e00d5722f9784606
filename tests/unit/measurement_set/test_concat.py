from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from casacore.tables import table

from receive.command.cli import run
from receive.measurement_set import casacore_thread
from receive.measurement_set.compare.tables import Selection, diff_sets
from receive.measurement_set.compare.values import Tolerances
from receive.measurement_set.join.command import PROG, main
from tests.unit.measurement_set.made_by_casacore import subtable
from tests.unit.measurement_set.pieces import (
    Cut,
    cut_channels,
    reverse_channels,
    write_piece,
)
from tests.unit.measurement_set.writing import columns, make_model, make_template

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.model import TelescopeModel

DUMPS = 5
# Each piece's TIME_CENTROID was rounded to a microsecond.
SUMS = Tolerances(
    atol_of={"TIME_CENTROID": 2e-6}, rtol_of={"WEIGHT": 1e-6, "SIGMA": 1e-6}
)  # fmt: skip


class Scene:
    """A model, its template, and what one receiver writes of it."""

    def __init__(self, folder: Path, model: TelescopeModel) -> None:
        self.folder = folder
        self.model = model
        self.template = make_template(folder / "model.ms", model)

    def write(self, name: str, cut: Cut) -> Path:
        return write_piece(self.folder / name, self.template, self.model, cut)

    def write_all(self, cuts: Sequence[Cut]) -> list[Path]:
        return [self.write(f"piece-{number}.ms", cut) for number, cut in enumerate(cuts)]

    def whole(self) -> Path:
        return self.write("whole.ms", Cut(0, self.model.num_channels, tuple(range(DUMPS))))

    def concat(self, *arguments: Path | str) -> int:
        return run(PROG, main, [str(self.folder / "out.ms"), *map(str, arguments)])

    @property
    def out(self) -> Path:
        return self.folder / "out.ms"

    def assert_nothing_left(self) -> None:
        assert not [path for path in self.folder.iterdir() if path.name.startswith(".")]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, make_model(channels=7, dumps=DUMPS))


def assert_same(a: Path, b: Path, *ignore: str) -> None:
    report = diff_sets(
        a, b, selection=Selection(ignore=["HISTORY", *ignore]), tolerances=SUMS
    )  # fmt: skip
    assert report.same, "\n".join(map(str, report.differences))


@pytest.mark.parametrize("sizes", [(3, 3, 1), (1, 1, 1, 1, 1, 1, 1), (6, 1), (2, 5)])
@pytest.mark.parametrize("descending", [False, True])
def test_pieces_of_channels_become_what_one_receiver_writes(
    tmp_path: Path, sizes: tuple[int, ...], descending: bool
) -> None:
    model = make_model(channels=7, dumps=DUMPS)
    if descending:
        model = reverse_channels(model)
        if max(sizes) == 1:
            # Nothing but the sign of the widths tells that they descend.
            model = replace(model, channel_width_hz=-model.channel_width_hz)
    scene = Scene(tmp_path, model)
    pieces = scene.write_all(cut_channels(scene.model, sizes, DUMPS))
    shuffled = np.random.default_rng(7).permutation(len(pieces))
    assert scene.concat(*(pieces[number] for number in shuffled)) == 0
    # Pieces of one channel do not tell which of them holds the reference.
    ignore = ["SPECTRAL_WINDOW/REF_FREQUENCY"] if max(sizes) == 1 else []
    assert_same(scene.whole(), scene.out, *ignore)
    scene.assert_nothing_left()


def test_the_history_tells_what_was_joined(scene: Scene) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 4), DUMPS))
    assert scene.concat(*pieces) == 0
    with table(str(scene.out / "HISTORY"), ack=False) as history:
        messages = "\n".join(history.getcol("MESSAGE"))
    for wanted in (
        "wrote piece-0.ms",
        "piece-1.ms: wrote piece-1.ms",
        "ms-concat",
        f"channels 0 to 2 (1000.000000 to 1000.200000 MHz): {pieces[0]}",
        f"channels 3 to 6 (1000.300000 to 1000.600000 MHz): {pieces[1]}",
    ):
        assert wanted in messages


def test_integrations_and_rows_that_a_piece_lacks_are_flagged(scene: Scene) -> None:
    pieces = scene.write_all([Cut(0, 3, (0, 1, 3, 4)), Cut(3, 4, (1, 2, 4))])
    baselines = scene.model.num_baselines
    holed = scene.folder / "holed.ms"
    with table(str(pieces[1]), ack=False) as rows:
        kept = np.delete(np.arange(rows.nrows()), 1)
        rows.selectrows(kept).copy(str(holed), deep=True, valuecopy=True).close()
    assert scene.concat(pieces[0], holed) == 0
    whole = scene.whole()
    [data, flag, time, uvw] = columns(scene.out, "DATA", "FLAG", "TIME", "UVW")
    [sent, sent_flag, sent_time, sent_uvw] = columns(whole, "DATA", "FLAG", "TIME", "UVW")
    np.testing.assert_array_equal(time, sent_time)
    np.testing.assert_array_equal(uvw, sent_uvw)
    absent = np.zeros(data.shape, np.bool_)
    absent[2 * baselines : 3 * baselines, :3] = True
    for dump in (0, 3):
        absent[dump * baselines : (dump + 1) * baselines, 3:] = True
    absent[baselines + 1, 3:] = True
    np.testing.assert_array_equal(flag, sent_flag | absent)
    np.testing.assert_array_equal(data, np.where(absent, 0, sent))


def test_baselines_are_matched_by_antennas_and_repeat(tmp_path: Path) -> None:
    model = make_model(channels=4, dumps=DUMPS)
    repeated = replace(
        model,
        antenna1=np.concatenate([model.antenna1, model.antenna1[:2]]),
        antenna2=np.concatenate([model.antenna2, model.antenna2[:2]]),
    )
    scene = Scene(tmp_path, repeated)
    pieces = scene.write_all(cut_channels(repeated, (2, 2), DUMPS))
    # The second piece has its rows the other way round within every time.
    order = np.arange(DUMPS * repeated.num_baselines).reshape(DUMPS, -1)
    order[:, :6] = order[:, 5::-1]
    turned = tmp_path / "turned.ms"
    with table(str(pieces[1]), ack=False) as rows:
        rows.selectrows(order.reshape(-1)).copy(str(turned), deep=True, valuecopy=True).close()
    assert scene.concat(pieces[0], turned) == 0
    assert_same(scene.whole(), scene.out)


def test_a_missing_piece_is_refused_and_named(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 2, 2), DUMPS))
    assert scene.concat(pieces[0], pieces[2]) == 3
    error = capsys.readouterr().err
    assert "2 channels are missing between" in error
    assert str(pieces[0]) in error
    assert str(pieces[2]) in error
    assert not scene.out.exists()
    scene.assert_nothing_left()


def test_a_missing_piece_can_be_filled_with_flags(scene: Scene) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 2, 2), DUMPS))
    assert scene.concat("--gaps", "fill", pieces[0], pieces[2]) == 0
    whole = scene.whole()
    [data, flag] = columns(scene.out, "DATA", "FLAG")
    [sent] = columns(whole, "DATA")
    assert flag[:, 3:5].all()
    np.testing.assert_array_equal(data[:, :3], sent[:, :3])
    np.testing.assert_array_equal(data[:, 5:], sent[:, 5:])
    report = diff_sets(whole, scene.out, selection=Selection(columns=["SPECTRAL_WINDOW/*"]))
    assert report.same, report.differences


def test_a_missing_piece_can_be_left_out(scene: Scene) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 2, 2), DUMPS))
    assert scene.concat("--gaps", "keep", pieces[2], pieces[0]) == 0
    with table(str(scene.out / "SPECTRAL_WINDOW"), ack=False) as window:
        expected = np.delete(scene.model.channel_freq_hz, [3, 4])
        np.testing.assert_array_equal(window.getcell("CHAN_FREQ", 0), expected)


@pytest.mark.parametrize(
    "cuts",
    [
        [Cut(0, 4, (0, 1)), Cut(3, 4, (0, 1))],
        [Cut(0, 7, (0, 1)), Cut(2, 2, (0, 1))],
        [Cut(0, 4, (0, 1)), Cut(4, 3, (0, 1)), Cut(0, 4, (0, 1))],
        [Cut(0, 7, (0, 1, 2)), Cut(0, 7, (2, 3))],
    ],
)
def test_pieces_that_overlap_are_refused(
    scene: Scene, cuts: list[Cut], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene.concat(*scene.write_all(cuts)) == 3
    assert "overlap" in capsys.readouterr().err
    assert not scene.out.exists()


def test_pieces_of_other_observations_are_refused_and_the_difference_named(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 4), DUMPS))

    def rename() -> None:
        with subtable(pieces[1], "OBSERVATION") as observation:
            observation.putcell("PROJECT", 0, "another")

    casacore_thread.run(rename)
    assert scene.concat(*pieces) == 3
    error = capsys.readouterr().err
    assert "not pieces of one observation: OBSERVATION.PROJECT" in error
    assert scene.concat("--ignore", "OBSERVATION/PROJECT", *pieces) == 0


def test_pieces_without_an_integration_in_common_are_refused(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene.concat(*scene.write_all([Cut(0, 3, (0, 1)), Cut(3, 4, (3, 4))])) == 3
    assert "no integration in common" in capsys.readouterr().err


def test_pieces_of_other_scans_are_refused(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene.concat(*scene.write_all([Cut(0, 3, (0,), 4), Cut(3, 4, (0,), 5)])) == 3
    assert "holds scan 4" in capsys.readouterr().err


@pytest.mark.parametrize("virtual", [False, True])
def test_pieces_of_time_follow_each_other(scene: Scene, virtual: bool) -> None:
    pieces = scene.write_all([Cut(0, 7, (0,)), Cut(0, 7, (1, 2)), Cut(0, 7, (3, 4))])
    flags = ["--virtual"] if virtual else []
    assert scene.concat(*flags, pieces[2], pieces[0], pieces[1]) == 0
    assert_same(scene.whole(), scene.out)
    assert (sum(f.stat().st_size for f in scene.out.rglob("*")) < 10_000) == virtual
    scene.assert_nothing_left()


def test_a_virtual_set_moves_along_with_its_pieces(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "together"
    folder.mkdir()
    pieces = scene.write_all([Cut(0, 7, (0, 1)), Cut(0, 7, (2, 3, 4))])
    moved = [folder / piece.name for piece in pieces]
    for piece, target in zip(pieces, moved, strict=True):
        piece.rename(target)
    assert run(PROG, main, ["--virtual", str(folder / "out.ms"), *map(str, moved)]) == 0
    folder.rename(tmp_path / "elsewhere")
    assert_same(scene.whole(), tmp_path / "elsewhere" / "out.ms")


def test_scans_keep_their_numbers(scene: Scene) -> None:
    pieces = scene.write_all([Cut(0, 7, (0, 1), 8), Cut(0, 7, (2, 3, 4), 9)])
    assert scene.concat(*pieces) == 0
    [scans] = columns(scene.out, "SCAN_NUMBER")
    baselines = scene.model.num_baselines
    assert scans.tolist() == [8] * 2 * baselines + [9] * 3 * baselines
    assert_same(scene.whole(), scene.out, "SCAN_NUMBER")


def test_pieces_of_channels_and_times_are_joined_in_two_steps(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    early, late = (0, 1), (2, 3, 4)
    cuts = [Cut(0, 3, early), Cut(3, 4, early), Cut(0, 3, late), Cut(3, 4, late)]
    pieces = scene.write_all(cuts)
    assert scene.concat(*pieces) == 3
    assert "join the pieces of each scan first" in capsys.readouterr().err
    for number in (0, 1):
        joined = scene.folder / f"scan-{number}.ms"
        assert run(PROG, main, [str(joined), *map(str, pieces[2 * number : 2 * number + 2])]) == 0
    assert scene.concat(scene.folder / "scan-0.ms", scene.folder / "scan-1.ms") == 0
    assert_same(scene.whole(), scene.out)


def test_a_virtual_set_of_channels_is_refused(scene: Scene) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 4), DUMPS))
    assert scene.concat("--virtual", *pieces) == 2


def test_an_output_that_exists_is_replaced_only_when_asked(scene: Scene) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 4), DUMPS))
    shutil.copytree(pieces[0], scene.out)
    assert scene.concat(*pieces) == 4
    assert_same(scene.out, pieces[0])
    assert scene.concat("--overwrite", *pieces) == 0
    assert_same(scene.whole(), scene.out)


def test_an_output_without_a_folder_is_refused(scene: Scene) -> None:
    pieces = scene.write_all(cut_channels(scene.model, (3, 4), DUMPS))
    assert run(PROG, main, [str(scene.folder / "no" / "out.ms"), *map(str, pieces)]) == 4


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["piece-0.ms"], 2),
        (["piece-0.ms", "piece-0.ms"], 2),
        (["piece-0.ms", "out.ms"], 2),
        (["piece-0.ms", "none.ms"], 3),
        ([], 2),
    ],
)
def test_wrong_arguments(scene: Scene, arguments: list[str], code: int) -> None:
    scene.write_all(cut_channels(scene.model, (3, 4), DUMPS))
    assert scene.concat(*(scene.folder / name for name in arguments)) == code
