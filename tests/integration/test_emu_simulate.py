"""emu-simulate: the sets it makes, read with casacore and checked against astropy."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ITRS, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from casacore import tables

from emulator.simulate.app import main
from emulator.simulate.generate import Simulator
from receive.command import cli
from receive.measurement_set.read.reader import open_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.patient

C_M_S = 299792458.0


@pytest.fixture(autouse=True)
def _leave_warnings_alone() -> Iterator[None]:
    yield
    logging.captureWarnings(capture=False)


def simulate(path: Path, *argv: str) -> None:
    assert cli.run("emu-simulate", main, [*argv, str(path)]) == 0


def columns(path: Path, names: str, subtable: str = "") -> dict[str, Any]:
    with tables.table(str(path / subtable), ack=False) as table:
        return {name: table.getcol(name) for name in names.split()}


def around(centre: SkyCoord, east_arcsec: float, north_arcsec: float) -> SkyCoord:
    frame = centre.skyoffset_frame()
    return SkyCoord(east_arcsec * u.arcsec, north_arcsec * u.arcsec, frame=frame).icrs


def source_option(source: SkyCoord, flux_jy: float, index: float = 0.0) -> str:
    return f"--source={float(source.ra.deg)!r},{float(source.dec.deg)!r},{flux_jy},{index}"


def test_visibilities_are_those_of_an_independent_computation(tmp_path: Path) -> None:
    centre = SkyCoord(83.8, -30.2, unit="deg")
    sky = [(around(centre, 900, -400), 3.0, -0.7), (around(centre, -1500, 1100), 1.5, 0.4)]
    path = tmp_path / "sim.ms"
    simulate(
        path,
        *("--array", "meerkat", "--num-antennas", "m000,m048,m058,m061", "--integrations", "2"),
        *("--interval", "8", "--channels", "3", "--ra", "83.8", "--dec", "-30.2"),
        *("--start", "2024-01-15T20:00:00", "--pols", "XX,XY,YX,YY"),
        *(source_option(*source) for source in sky),
    )
    rows = columns(path, "DATA UVW TIME ANTENNA1 ANTENNA2")
    position = columns(path, "POSITION", "ANTENNA")["POSITION"]
    freq = columns(path, "CHAN_FREQ", "SPECTRAL_WINDOW")["CHAN_FREQ"][0]
    assert rows["DATA"].shape == (12, 3, 4)
    frame = centre.skyoffset_frame()
    for row in range(12):
        # The delay of a source against the phase centre, by astropy's directions in ITRF: no UVW
        # of ours, and no l, m, n.
        time = Time(rows["TIME"][row] / 86400, format="mjd", scale="utc")
        baseline = position[rows["ANTENNA2"][row]] - position[rows["ANTENNA1"][row]]
        with iers.conf.set_temp("auto_download", False):
            towards = [
                c.transform_to(ITRS(obstime=time)).cartesian.xyz.value
                for c in (centre, *(source for source, _, _ in sky))
            ]
        directions = [v / np.linalg.norm(v) for v in towards]
        expected = np.zeros(3, complex)
        for (_, flux, index), direction in zip(sky, directions[1:], strict=True):
            path_m = baseline @ (direction - directions[0])
            spectrum = flux * (freq / freq[0]) ** index
            expected += spectrum * np.exp(2j * np.pi * freq / C_M_S * path_m)
        # Aberration stretches the field by 1e-4; a synthesis calls that direction cosines of
        # the catalogue.  On 7 km, 0.5 degrees off, at 1.3 GHz: 2 pi x 30,000 x 0.009 x 1e-4.
        np.testing.assert_allclose(rows["DATA"][row, :, 0], expected, atol=0.15)
        # The same by the sum over l, m, n of the catalogue and the set's own UVW: exact.
        exact = np.zeros(3, complex)
        for source, flux, index in sky:
            offset = source.transform_to(frame)
            l = math.cos(offset.lat.rad) * math.sin(offset.lon.rad)  # noqa: E741
            m = math.sin(offset.lat.rad)
            n = math.sqrt(1 - l * l - m * m)
            turns = rows["UVW"][row] @ [l, m, n - 1] * freq / C_M_S
            exact += flux * (freq / freq[0]) ** index * np.exp(2j * np.pi * turns)
        np.testing.assert_allclose(rows["DATA"][row, :, 0], exact, atol=2e-5)
        np.testing.assert_array_equal(rows["DATA"][row, :, 3], rows["DATA"][row, :, 0])
        assert not rows["DATA"][row, :, 1:3].any()


def test_an_image_shows_the_source_where_it_is(tmp_path: Path) -> None:
    centre = SkyCoord(250.0, 34.0, unit="deg")
    path = tmp_path / "vla.ms"
    simulate(
        path,
        *("--array", "vla-c", "--ra", "250.0", "--dec", "34.0", "--channels", "1"),
        *("--start", "2024-06-21T06:30:00", "--integrations", "6", "--interval", "300"),
        *("--pols", "XX,YY", "--noise", "0.5"),
        source_option(around(centre, 160, -230), 2.0),
    )
    rows = columns(path, "DATA UVW")
    wavelengths = rows["UVW"] * 1.4e9 / C_M_S
    pixel_arcsec = 10.0
    offsets = np.radians(np.arange(-40, 41) * pixel_arcsec / 3600)
    # The transform that belongs to V = sum of S exp(+2 pi i (u l + v m + w (n - 1))).
    n1 = np.sqrt(1 - offsets[:, None] ** 2 - offsets**2) - 1
    image = np.zeros((81, 81))
    for (east, north, outwards), value in zip(wavelengths, rows["DATA"][:, 0, 0], strict=True):
        phase = east * offsets[None, :] + north * offsets[:, None] + outwards * n1
        image += (value * np.exp(-2j * np.pi * phase)).real
    image /= len(wavelengths)
    north_index, east_index = np.unravel_index(image.argmax(), image.shape)
    assert (east_index - 40) * pixel_arcsec == 160
    assert (north_index - 40) * pixel_arcsec == -230
    assert image.max() == pytest.approx(2.0, abs=0.1)


def test_times_weights_and_centroids_belong_together(tmp_path: Path) -> None:
    path = tmp_path / "rough.ms"
    simulate(
        path,
        *("--num-antennas", "10", "--weights", "random", "--flag-fraction", "0.3", "--seed", "5"),
        *("--integrations", "5", "--interval", "4", "--channels", "32", "--noise", "1"),
    )
    rows = columns(
        path,
        "DATA FLAG FLAG_ROW WEIGHT_SPECTRUM WEIGHT SIGMA TIME TIME_CENTROID INTERVAL EXPOSURE UVW",
    )
    width_hz = columns(path, "CHAN_WIDTH", "SPECTRAL_WINDOW")["CHAN_WIDTH"][0]
    assert len(rows["TIME"]) == 5 * 45
    assert (np.diff(np.unique(rows["TIME"])) == 4).all()
    assert (rows["INTERVAL"] == 4).all()
    assert (rows["EXPOSURE"] == 4).all()
    fraction = rows["WEIGHT_SPECTRUM"] / (np.abs(width_hz)[None, :, None] * 4)
    flagged = rows["FLAG"]
    assert 0.1 < flagged.mean() < 0.5
    assert (flagged == flagged[..., :1]).all()
    assert (fraction[flagged] == 0).all()
    assert fraction[~flagged].min() >= 0.25 - 1e-6
    assert fraction.max() <= 1
    assert (np.abs(rows["TIME_CENTROID"] - rows["TIME"]) < 0.375 * 4).all()
    assert np.ptp(rows["TIME_CENTROID"] - rows["TIME"]) > 0.1
    good = rows["WEIGHT"] > 0
    np.testing.assert_allclose(rows["SIGMA"][good], 1 / np.sqrt(rows["WEIGHT"][good]), rtol=1e-6)
    np.testing.assert_array_equal(rows["FLAG_ROW"], flagged.all(axis=(1, 2)))
    assert rows["DATA"].all()


def test_the_same_seed_gives_the_same_data_however_long_the_observation(tmp_path: Path) -> None:
    options = ["--num-antennas", "5", "--noise", "1", "--flag-fraction", "0.2"]
    options += ["--weights", "random", "--ra", "80", "--dec", "-30"]
    runs = {"a": ("3", "7"), "again": ("3", "7"), "longer": ("6", "7"), "other": ("3", "8")}
    read = {}
    for name, (integrations, seed) in runs.items():
        path = tmp_path / f"{name}.ms"
        simulate(path, *options, "--integrations", integrations, "--seed", seed)
        read[name] = columns(path, "DATA FLAG WEIGHT_SPECTRUM TIME_CENTROID UVW TIME")
    for name, values in read["a"].items():
        np.testing.assert_array_equal(values, read["again"][name], err_msg=name)
        np.testing.assert_array_equal(values, read["longer"][name][:30], err_msg=name)
    assert not np.array_equal(read["a"]["DATA"], read["other"]["DATA"])


def test_the_reader_makes_the_model_of_it(tmp_path: Path) -> None:
    path = tmp_path / "low.ms"
    simulate(
        path,
        *("--array", "lofar-hba", "--num-antennas", "6", "--autocorrelations"),
        *("--baseline-order", "lower", "--pols", "XX,YY", "--integrations", "3"),
    )
    model = open_set(path).model()
    assert (model.num_stations, model.num_baselines, model.num_pols) == (6, 21, 2)
    assert model.is_autocorrelated
    assert model.antenna1[:6].tolist() == [0, 0, 1, 0, 1, 2]
    assert model.antenna2[:6].tolist() == [0, 1, 1, 2, 2, 2]
    assert model.antennas.names[0] == "CS001HBA0"
    uvw = columns(path, "UVW")["UVW"][:21]
    np.testing.assert_array_equal(model.uvw(0), uvw)
    np.testing.assert_array_equal(model.compute_uvw(float(model.times_mjd_s[0])), uvw)


def test_autocorrelations_of_512_stations(tmp_path: Path) -> None:
    path = tmp_path / "auto.ms"
    simulate(path, "--array", "ska-low", "--auto-only", "--channels", "8", "--noise", "1")
    rows = columns(path, "DATA ANTENNA1 ANTENNA2 UVW")
    assert rows["DATA"].shape == (5120, 8, 4)
    np.testing.assert_array_equal(rows["ANTENNA1"], rows["ANTENNA2"])
    np.testing.assert_array_equal(rows["ANTENNA1"], np.tile(np.arange(512), 10))
    assert not rows["UVW"].any()
    assert not rows["DATA"][..., [0, 3]].imag.any()
    # All four default sources, 17.5 Jy at the first channel.
    assert rows["DATA"][:, 0, 0].real.mean() == pytest.approx(17.5, abs=0.1)


def test_history_says_how_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "sim.ms"
    simulate(path, "--num-antennas", "3", "--integrations", "2", "--seed", "42")
    text = "\n".join(columns(path, "MESSAGE", "HISTORY")["MESSAGE"])
    assert "--seed 42" in text
    assert "katpoint" in text
    assert "2 of 2 integrations simulated" in text


def test_it_ends_with_a_line_of_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(tmp_path / "sim.ms", "--num-antennas", "4", "--integrations", "5")
    out = capsys.readouterr().out
    assert "MeerKAT, 5 integrations, 30 rows, 15.0 KiB of visibilities in" in out.replace(
        "ki", "Ki"
    )
    assert "/s)" in out


def test_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate(tmp_path / "sim.ms", "--dry-run", "--array", "ska-low", "--channels", "100")
    assert not list(tmp_path.iterdir())
    out = capsys.readouterr().out
    assert "130816 baselines" in out
    assert "1308160 rows" in out
    assert "GiB on disk" in out


def test_list_of_arrays_needs_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run("emu-simulate", main, ["--list-arrays"]) == 0
    assert "ska-low" in capsys.readouterr().out


def refused(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = cli.run("emu-simulate", main, list(argv))
    lines = capsys.readouterr().err.strip().splitlines()
    return code, lines[-1]


def test_no_output_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = refused([], capsys)
    assert code == 2
    assert "OUT.ms" in line


def test_wrong_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = refused(["--array", "meercat", str(tmp_path / "x.ms")], capsys)
    assert code == 2
    assert "did you mean meerkat" in line


def test_unreadable_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("A 1 2\n")
    code, line = refused(["--antennas", str(table), str(tmp_path / "x.ms")], capsys)
    assert code == 3
    assert f"{table}: line 1: 3 columns" in line


def test_existing_output_is_replaced_only_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sim.ms"
    simulate(path, "--num-antennas", "3", "--integrations", "2")
    code, line = refused(["--num-antennas", "4", str(path)], capsys)
    assert code == 4
    assert str(path) in line
    assert len(columns(path, "TIME")["TIME"]) == 6
    simulate(path, "--num-antennas", "4", "--integrations", "1", "--overwrite")
    assert len(columns(path, "TIME")["TIME"]) == 6
    assert len(columns(path, "NAME", "ANTENNA")["NAME"]) == 4


def test_what_does_not_fit_on_the_disk_is_not_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "huge.ms"
    options = ["--integrations", "10000000", "--channels", "60000"]
    code, _ = refused([*options, str(path)], capsys)
    assert code == 4
    assert not list(tmp_path.iterdir())


def test_what_was_written_before_an_interrupt_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Simulator.integration

    def interrupted(self: Simulator, index: int) -> Any:
        if index == 3:
            raise KeyboardInterrupt
        return whole(self, index)

    monkeypatch.setattr(Simulator, "integration", interrupted)
    path = tmp_path / "sim.ms"
    assert cli.run("emu-simulate", main, ["--num-antennas", "3", str(path)]) == 130
    assert len(columns(path, "TIME")["TIME"]) == 9
    assert "3 of 10 integrations simulated" in columns(path, "MESSAGE", "HISTORY")["MESSAGE"]


def test_memory_does_not_grow_with_the_observation(tmp_path: Path) -> None:
    peaks = []
    for integrations in ("3", "12"):
        tracemalloc.start()
        simulate(tmp_path / f"{integrations}.ms", "--integrations", integrations, "--noise", "1")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_warning_when_the_field_is_below_the_horizon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(tmp_path / "sim.ms", "--num-antennas", "2", "--ra", "0", "--dec", "89")
    assert "below the horizon" in capsys.readouterr().err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    path = tmp_path / "sim.ms"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "emulator.simulate.app"),
            *("--random-antennas", "7", "--integrations", "2", str(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RANDOM, 2 integrations, 42 rows" in done.stdout
    assert len(columns(path, "TIME")["TIME"]) == 42
