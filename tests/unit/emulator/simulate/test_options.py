"""The command's options: what they make of an observation, and what they refuse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulator.simulate.options import (
    imperfections_from,
    join_negative_values,
    make_parser,
    observation_from,
    sources_from,
)
from receive.command.errors import ConfigError
from receive.icd.times import mjd_s_from_iso

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.simulate.observation import Observation


def parse(*argv: str) -> Any:
    return make_parser().parse_args(join_negative_values([*argv, "out.ms"]))


def observe(*argv: str) -> Observation:
    return observation_from(parse(*argv))


def test_the_default_is_meerkat_looking_up() -> None:
    observation = observe()
    assert observation.array.telescope == "MeerKAT"
    assert (len(observation.array), observation.channels, observation.integrations) == (64, 16, 10)
    assert observation.start_mjd_s == mjd_s_from_iso("2024-06-21T12:00:00")
    assert observation.polarisations == ("XX", "XY", "YX", "YY")
    assert min(observation.elevations_deg()) > 89.9
    assert len(sources_from(parse(), observation)) == 4


def test_each_array_brings_its_band() -> None:
    assert observe("--array", "ska-low").freq_start_hz == 150e6
    assert observe("--array", "ska-low").channel_width_hz == 781250
    assert observe("--freq-start", "1e8", "--channel-width", "-5e3").freq_hz[1] == 1e8 - 5e3


def test_negative_values_need_no_equals_sign() -> None:
    observation = observe("--ra", "5:35:17.3", "--dec", "-5:23:28")
    ra, dec = np.degrees(observation.centre_rad)
    assert ra == pytest.approx(83.822083)
    assert dec == pytest.approx(-5.391111)


def test_a_following_option_is_not_taken_for_a_value() -> None:
    assert join_negative_values(["--dec", "--noise", "1"]) == ["--dec", "--noise", "1"]


@pytest.mark.parametrize(
    ("argv", "kind"),
    [((), "cross"), (("--autocorrelations",), "all"), (("--auto-only",), "auto")],
)
def test_autocorrelations(argv: tuple[str, ...], kind: str) -> None:
    assert observe(*argv).baselines == kind


def test_sources_given_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sky.txt"
    path.write_text("10,-20,1.5\n")
    args = parse("--source", "1:00:00,-30:00:00,2,-0.7", "--sources", str(path))
    sources = sources_from(args, observation_from(args))
    assert [s.flux_jy for s in sources] == [2, 1.5]
    assert math.degrees(sources[0].ra_rad) == pytest.approx(15)


def test_a_table_with_a_site(tmp_path: Path) -> None:
    path = tmp_path / "local.csv"
    path.write_text("name,east,north,up\nA,0,0,0\nB,100,0,0\n")
    observation = observe("--antennas", str(path), "--site", "21.4,-30.7,1000")
    assert observation.num_baselines == 1
    assert np.linalg.norm(observation.model().uvw(0)) == pytest.approx(100)


def test_the_telescope_may_have_another_name() -> None:
    observation = observe("--telescope", "LOFAR", "--array", "ska-low", "--num-antennas", "4")
    assert observation.array.telescope == "LOFAR"
    assert observation.description().telescope == "LOFAR"


def test_random_antennas_come_from_the_seed() -> None:
    first = observe("--random-antennas", "5", "--seed", "1").array.positions_m
    second = observe("--random-antennas", "5", "--seed", "2").array.positions_m
    assert not np.array_equal(first, second)


def test_imperfections() -> None:
    args = parse("--noise", "2", "--flag-fraction", "0.1", "--weights", "random", "--seed", "9")
    got = imperfections_from(args)
    assert (got.noise_jy, got.flag_fraction, got.random_weights, got.seed) == (2, 0.1, True, 9)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--array", "meercat"), "did you mean meerkat"),
        (("--num-antennas", "100"), "more than the 64"),
        (("--ra", "10"), "give both"),
        (("--ra", "ten", "--dec", "0"), "--ra: 'ten'"),
        (("--start", "yesterday"), "--start: .*yesterday"),
        (("--site", "1,2,3"), "--site: built-in arrays have their own"),
        (("--random-antennas", "3", "--site", "1,2"), "--site: '1,2'; expected LON,LAT,HEIGHT"),
        (("--random-antennas", "3", "--site", "1,95,0"), "--site: '1,95,0'"),
        (("--pols", "I"), "--pols: 'I'"),
        (("--random-antennas", "-1"), "--random-antennas: -1"),
    ],
)
def test_wrong_options_are_named(argv: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        observe(*argv)


def test_one_kind_of_array_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--array", "vla-a", "--random-antennas", "3")
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_the_help_explains_tables_sources_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    page = capsys.readouterr().out
    for words in ("name,east,north,up", "ska-low", "XX = YY", "exit codes", "--list-arrays"):
        assert words in page
