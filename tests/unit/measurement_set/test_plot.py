"""ms-plot: a picture of every kind of set, of bounded cost, that says what it shows."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import matplotlib.image
import numpy as np
import pytest
from casacore.tables import table

from receive.command.errors import ConfigError, InputError, OutputError
from receive.measurement_set.plot import page, sample
from receive.measurement_set.plot.command import entry, main
from receive.measurement_set.plot.data import gather
from tests.unit.measurement_set.made_by_casacore import START_MJD_S, alter, make_set, subtable

if TYPE_CHECKING:
    from pathlib import Path

PANELS = {
    (row, column): (
        slice(90 + 450 * row, 450 + 450 * row),
        slice(80 + 520 * column, 500 + 520 * column),
    )
    for row in range(2)
    for column in range(3)
}


def decoded(source: Path | bytes) -> Any:
    image = matplotlib.image.imread(io.BytesIO(source) if isinstance(source, bytes) else source)
    assert image.shape == (960, 1600, 4)
    return image[..., :3]


def coloured(image: Any) -> Any:
    """Tell which dots are neither white nor a shade of grey: drawn data."""
    return image.max(axis=2) - image.min(axis=2) > 0.15


def test_the_lofar_set_is_drawn(lofar_ms: Path, tmp_path: Path) -> None:
    picture = tmp_path / "lofar.png"

    assert main([str(lofar_ms), "-o", str(picture)]) == 0

    image = decoded(picture)
    for rows, columns in PANELS.values():
        assert coloured(image)[rows, columns].sum() > 200


def test_the_title_says_what_was_observed(lofar_ms: Path) -> None:
    data = gather(lofar_ms)

    first, second = page.titles(data)

    assert first == "LOFAR, BEAM_0, 2013-03-29 13:59:53.006 to 2013-03-29 14:00:43.076 UTC"
    assert second == ("6 times, 8 antennas, 28 baselines, 8 channels, XX XY YX YY; 31 % flagged")
    with table(str(lofar_ms), ack=False) as main_table:
        assert data.facts.flagged == main_table.getcol("FLAG").mean()
    assert data.facts.notes == ()


def test_averages_are_of_what_is_not_flagged(tmp_path: Path) -> None:
    path = make_set(tmp_path / "a.ms", antennas=3, times=2, channels=4, pols=2)
    with subtable(path, "") as main_table:
        data, flag = main_table.getcol("DATA"), main_table.getcol("FLAG")
        data[1, 2:] = 1e9
        flag[1, 2:] = True
        flag[4] = True
        data[3, 0, 0] = complex(np.nan, 0)
        main_table.putcol("DATA", data)
        main_table.putcol("FLAG", flag)
        main_table.putcell("FLAG_ROW", 5, value=True)

    found = gather(path)

    np.testing.assert_allclose(found.row_amplitude[1], np.abs(data[1, :2]).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.row_visibility[1], data[1, :2].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.row_amplitude[3, 0], np.abs(data[3, 1:, 0]).mean(), rtol=1e-6)
    assert np.isnan(found.row_amplitude[4:]).all()
    np.testing.assert_allclose(
        found.spectrum_visibility[0, 1], data[[0, 3], 1].mean(axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(found.spectrum_visibility[1, 0], data[1, 0], rtol=1e-6)
    np.testing.assert_allclose(found.flag_fraction[0], [0, 0, 1 / 3, 1 / 3])
    assert found.row_flagged.tolist() == [False] * 4 + [True] * 2
    assert "1 unflagged values are not finite" in found.facts.notes


@pytest.mark.parametrize(
    "shape",
    [
        {"antennas": 2, "times": 1, "channels": 1, "pols": 1},
        {"antennas": 3, "times": 1, "channels": 6, "pols": 2},
        {"antennas": 6, "autocorrelations": True, "cross": False},
        {"antennas": 4, "autocorrelations": True},
    ],
)
def test_odd_shapes_give_a_page(tmp_path: Path, shape: dict[str, Any]) -> None:
    path = make_set(tmp_path / "odd.ms", **shape)

    image = decoded(page.draw(gather(path)))

    for place in ((0, 0), (0, 1), (1, 0), (1, 1), (1, 2)):
        rows, columns = PANELS[place]
        assert coloured(image)[rows, columns].any(), place


def test_autocorrelations_are_drawn_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    only = make_set(tmp_path / "only.ms", autocorrelations=True, cross=False)
    some = make_set(tmp_path / "some.ms", autocorrelations=True)
    alter(some, "", "DATA", 0, lambda data: data * 1000)

    assert gather(only).autocorrelations
    assert "autocorrelations only" in page.titles(gather(only))[1]
    rows, columns = PANELS[0, 2]
    assert not coloured(decoded(page.draw(gather(only))))[rows, columns].any()
    mixed = gather(some)
    assert np.isnan(mixed.row_amplitude[0]).all()
    assert np.nanmax(mixed.row_amplitude) < 2
    assert "autocorrelations left out of amplitudes and phases" in mixed.facts.notes


def test_a_set_that_is_all_flagged_says_so(tmp_path: Path) -> None:
    path = make_set(tmp_path / "flagged.ms")
    with subtable(path, "") as main_table:
        main_table.putcol("FLAG", np.ones_like(main_table.getcol("FLAG")))

    data = gather(path)

    assert page.titles(data)[1].endswith("100 % flagged")
    image = decoded(page.draw(data))
    rows, columns = PANELS[0, 0]
    assert not coloured(image)[rows, columns].any()
    assert (image[rows, columns].max(axis=2) < 0.5).any()  # the words


@pytest.mark.parametrize("order", ["TIME", "ANTENNA1,ANTENNA2,TIME"])
def test_a_large_set_is_thinned_out_and_the_picture_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(sample, "MAX_VALUES", 64 * 64)
    monkeypatch.setattr(sample, "MAX_CHANNELS", 32)
    path = make_set(tmp_path / "a.ms", antennas=8, times=50, channels=60, pols=2)
    if order != "TIME":
        path = tmp_path / "sorted.ms"
        with table(str(tmp_path / "a.ms"), ack=False) as made:
            made.sort(order).copy(str(path), deep=True).close()

    data = gather(path)

    note = data.facts.notes[0]
    assert note.startswith("shown: ")
    assert "1 in 2 channels" in note
    assert ("8 of 50 times, 8 of 28 baselines" if order == "TIME" else "of 1400 rows") in note
    assert 16 <= len(data.time_mjd_s) <= 64 * 64 // (30 * 2)
    assert data.row_amplitude.shape == (len(data.time_mjd_s), 2)
    assert data.channels.tolist() == list(range(0, 60, 2))
    assert data.spectrum_amplitude.shape[1:] == (30, 2)
    assert (data.facts.times, data.facts.baselines) == (50, 28)
    assert data.facts.start_mjd_s == START_MJD_S
    assert "about 0 % flagged" in page.titles(data)[1]
    np.testing.assert_array_equal(gather(path).time_mjd_s, data.time_mjd_s)
    assert decoded(page.draw(data)).any()


def test_only_one_data_description_is_drawn(tmp_path: Path) -> None:
    path = make_set(tmp_path / "two.ms", times=2)
    with subtable(path, "DATA_DESCRIPTION", 1):
        pass
    with subtable(path, "") as main_table:
        main_table.putcell("DATA_DESC_ID", 5, 1)
        main_table.putcell("DATA", 5, np.ones((2, 4), dtype=np.complex64))

    data = gather(path)

    assert len(data.time_mjd_s) == 5
    assert data.facts.notes == ("data description 0 of 2 only",)


def test_another_column_and_its_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_set(tmp_path / "my.ms")
    with subtable(path, "") as main_table:
        main_table.renamecol("DATA", "CORRECTED_DATA")
        main_table.addcols({"DATA": main_table.getcoldesc("CORRECTED_DATA")})
        main_table.putcol("DATA", main_table.getcol("CORRECTED_DATA"))
        main_table.putcolkeyword("CORRECTED_DATA", "UNIT", "Jy")
    monkeypatch.chdir(tmp_path)

    assert gather(path, "CORRECTED_DATA").unit == "Jy"
    assert main([str(path), "--column", "CORRECTED_DATA"]) == 0
    assert decoded(tmp_path / "my.png").any()
    with pytest.raises(ConfigError, match=r"no data column UVW: it has .*CORRECTED_DATA"):
        main([str(path), "--column", "UVW"])


def test_outliers_do_not_flatten_the_rest(tmp_path: Path) -> None:
    path = make_set(tmp_path / "a.ms")
    calm = decoded(page.draw(gather(path)))
    alter(path, "", "DATA", 4, lambda data: data * 1e6)

    burst = decoded(page.draw(gather(path)))

    rows, columns = PANELS[0, 0]
    assert coloured(burst)[rows, columns].any(axis=1).sum() > 10
    assert not np.array_equal(calm, burst)


def test_an_unwritable_picture_is_an_output_error(tmp_path: Path) -> None:
    path = make_set(tmp_path / "a.ms")
    with pytest.raises(OutputError, match=r"nowhere/a\.png cannot be written: No such file"):
        main([str(path), "-o", str(tmp_path / "nowhere" / "a.png")])
    with pytest.raises(ConfigError, match=r"must end in \.png"):
        main([str(path), "-o", str(tmp_path / "a.jpg")])


def test_a_missing_set_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        main([str(tmp_path / "none.ms")])


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_set(tmp_path / "a.ms")
    monkeypatch.delitem(sys.modules, "receive.measurement_set.plot.page")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("sys.argv", ["ms-plot", str(path)])

    assert entry() == 2
    assert "pip install vis-receive[plot]" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.31, "31 %"), (1e-9, "0.01 %"), (0.99999, "99.9 %")],
)
def test_a_little_is_not_nothing(fraction: float, text: str) -> None:
    assert page.percent(fraction) == text
