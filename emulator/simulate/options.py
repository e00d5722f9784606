"""The options of emu-simulate, and the observation that they describe."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.simulate.antenna_table import Site
from emulator.simulate.arrays import (
    RANDOM_SITE,
    Array,
    builtin_names,
    load_builtin,
    load_file,
    random_array,
)
from emulator.simulate.imperfections import Imperfections
from emulator.simulate.observation import Observation, parse_polarisations
from emulator.simulate.sky import (
    Source,
    default_sources,
    parse_dec,
    parse_ra,
    parse_source,
    read_sources,
)
from receive.command.cli import plain_parser
from receive.command.errors import ConfigError, InputError
from receive.icd.times import mjd_s_from_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ARRAY = "meerkat"
DEFAULT_START = "2024-06-21T12:00:00"
"""Fixed, so that the same command makes the same set on any day."""

_DESCRIPTION = """\
Makes an observation that never took place, as a Measurement Set: antennas where real ones stand,
UVW as the Earth turns, and the visibilities of point sources, with noise and flags if you like.
The same options and the same --seed always give the same data.
"""

_EPILOG = """\
examples:
  emu-simulate sim.ms                        MeerKAT, 10 integrations, 16 channels, four sources
  emu-simulate --array ska-low --num-antennas 16 --channels 64 --integrations 60 low.ms
  emu-simulate --array vla-d --dec=-5:23:28 --ra 5:35:17 --source 5:35:17,-5:23:28,1.5,-0.7 orion.ms
  emu-simulate --antennas my.csv --noise 0.5 --flag-fraction 0.1 --weights random rough.ms
  emu-simulate --list-arrays                 what arrays there are, and whose coordinates

tables of antennas (--antennas); commas, semicolons, tabs or blanks between the columns:
  name x y z [diameter]                      ITRF metres; this line may be left out
  name,east,north,up[,diameter]              metres from --site; this line must be there
  x y z diameter pad [name]                  CASA's .cfg form, # coordsys=XYZ or LOC before it

sources are unpolarised points: XX = YY = RR = LL = I, cross-hands 0; no antenna beam, no smearing.

exit codes: 0 done; 2 an option is wrong; 3 a table cannot be read; 4 the output exists, cannot be
written or does not fit on the disk; 130 stopped by Ctrl-C, what was written is closed
"""

_NEGATIVE = re.compile(r"-[\d.]")
_MAY_BE_NEGATIVE = ("--ra", "--dec", "--site", "--source", "--channel-width")


def make_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = plain_parser("emu-simulate", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "output", nargs="?", type=Path, metavar="OUT.ms", help="the Measurement Set to make"
    )
    parser.add_argument(
        "--list-arrays", action="store_true", help="show the built-in arrays and their sources"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.ms if it exists")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be made and its size, make nothing"
    )
    _add_antennas(parser.add_argument_group("antennas"))
    _add_pointing(parser.add_argument_group("pointing and time"))
    _add_band(parser.add_argument_group("band"))
    _add_sky(parser.add_argument_group("sky and imperfections"))
    return parser


def _add_antennas(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--array",
        metavar="NAME",
        help=f"a built-in array: {', '.join(builtin_names())} (default {DEFAULT_ARRAY})",
    )
    which.add_argument("--antennas", type=Path, metavar="FILE", help="a table of antennas, below")
    which.add_argument(
        "--random-antennas",
        type=int,
        metavar="N",
        help="N antennas at random places drawn from --seed: not a real array",
    )
    group.add_argument(
        "--num-antennas", metavar="N", help="only the first N, or those named: A,B,C"
    )
    group.add_argument(
        "--site",
        metavar="LON,LAT,HEIGHT",
        help="where local coordinates and random antennas are: degrees east, degrees north, "
        "metres above the WGS84 ellipsoid",
    )
    group.add_argument(
        "--telescope",
        metavar="NAME",
        help="TELESCOPE_NAME of the set (default: the array's); some CASA tasks, such as listobs, "
        "accept only names that CASA knows, and SKA-Low is not among them",
    )
    group.add_argument(
        "--autocorrelations",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="each antenna with itself too (default: no)",
    )
    group.add_argument(
        "--auto-only", action="store_true", help="nothing but each antenna with itself"
    )
    group.add_argument(
        "--baseline-order",
        choices=("upper", "lower"),
        default="upper",
        help="upper: 0-1 0-2 ... 1-2 (default); lower: 0-1 0-2 1-2 0-3, as LOFAR writes",
    )


def _add_pointing(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ra",
        metavar="ANGLE",
        help="phase centre, J2000: degrees, or hours as 12:30:49.4 (default: the zenith in the "
        "middle of the observation)",
    )
    group.add_argument("--dec", metavar="ANGLE", help="degrees, as -45.5 or -45:30:00")
    group.add_argument(
        "--name", default="SIMULATED", help="name of the field (default %(default)s)"
    )
    group.add_argument(
        "--start",
        default=DEFAULT_START,
        metavar="TIME",
        help="beginning of the first integration, UTC (default %(default)s)",
    )
    group.add_argument(
        "--integrations", type=int, default=10, metavar="N", help="default %(default)s"
    )
    group.add_argument(
        "--interval",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds of an integration (default %(default)s)",
    )


def _add_band(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--channels", type=int, default=16, metavar="N", help="default %(default)s")
    group.add_argument(
        "--freq-start",
        type=float,
        metavar="HZ",
        help="centre of the first channel (default: what is usual for the array)",
    )
    group.add_argument(
        "--channel-width", type=float, metavar="HZ", help="default: what is usual for the array"
    )
    group.add_argument(
        "--pols",
        default="XX,XY,YX,YY",
        metavar="LIST",
        help="one, two or four of XX,XY,YX,YY or of RR,RL,LR,LL (default %(default)s)",
    )


def _add_sky(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--source",
        action="append",
        metavar="RA,DEC,JY[,INDEX[,HZ]]",
        help="a point source: direction as --ra and --dec, flux density, spectral index and the "
        "frequency of the flux density (default 0, first channel); any number of times (default: "
        "four sources near the phase centre)",
    )
    group.add_argument("--sources", type=Path, metavar="FILE", help="sources, one on each line")
    group.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="JY",
        help="deviation of the noise in the real and in the imaginary part of each visibility "
        "(default %(default)s)",
    )
    group.add_argument(
        "--flag-fraction",
        type=float,
        default=0.0,
        metavar="F",
        help="how much is flagged, 0 to 1: antennas drop out for 4 integrations in a sixteenth "
        "of the band at a time (default %(default)s)",
    )
    group.add_argument(
        "--weights",
        choices=("full", "random"),
        default="full",
        help="full: all samples were correlated (default); random: a fraction from 1/4 to 1 of "
        "them, with time centroids to match",
    )
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is random (default 0)"
    )


def join_negative_values(argv: Sequence[str]) -> list[str]:
    """Return arguments in which ``--dec -45:30:00`` is ``--dec=-45:30:00``.

    argparse takes what begins with a minus for an option unless it is a plain number.
    """
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in _MAY_BE_NEGATIVE and _NEGATIVE.match(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def observation_from(args: argparse.Namespace) -> Observation:
    """Return the observation that parsed options describe."""
    array = _array(args)
    if (args.ra is None) != (args.dec is None):
        raise ConfigError("--ra and --dec: give both, or neither for the zenith")
    centre = None
    if args.ra is not None:
        centre = (parse_ra(args.ra, "--ra"), parse_dec(args.dec, "--dec"))
    try:
        start_mjd_s = mjd_s_from_iso(args.start)
    except InputError as error:
        raise ConfigError(f"--start: {error}") from error
    crosses = "all" if args.autocorrelations else "cross"
    return Observation(
        array=array,
        phase_centre_radec_rad=centre,
        start_mjd_s=start_mjd_s,
        integrations=args.integrations,
        interval_s=args.interval,
        freq_start_hz=array.freq_start_hz if args.freq_start is None else args.freq_start,
        channel_width_hz=(
            array.channel_width_hz if args.channel_width is None else args.channel_width
        ),
        channels=args.channels,
        polarisations=parse_polarisations(args.pols),
        baselines="auto" if args.auto_only else crosses,
        order=args.baseline_order,
        field_name=args.name,
    )


def sources_from(args: argparse.Namespace, observation: Observation) -> list[Source]:
    """Return the sources that parsed options name, or the default ones."""
    sources = [parse_source(text) for text in args.source or ()]
    if args.sources is not None:
        sources += read_sources(args.sources)
    return sources or default_sources(observation.centre_rad, observation.field_of_view_rad)


def imperfections_from(args: argparse.Namespace) -> Imperfections:
    """Return the imperfections that parsed options ask for."""
    return Imperfections(
        noise_jy=args.noise,
        flag_fraction=args.flag_fraction,
        random_weights=args.weights == "random",
        seed=args.seed,
    )


def _array(args: argparse.Namespace) -> Array:
    site = _site(args.site)
    if args.antennas is not None:
        array = load_file(args.antennas, site)
    elif args.random_antennas is not None:
        array = random_array(args.random_antennas, max(0, args.seed), site or RANDOM_SITE)
    elif site is not None:
        raise ConfigError("--site: built-in arrays have their own; it goes with --antennas FILE")
    else:
        array = load_builtin(args.array or DEFAULT_ARRAY)
    if args.telescope is not None:
        array = replace(array, telescope=args.telescope)
    return array if args.num_antennas is None else array.take(args.num_antennas)


def _site(text: str | None) -> Site | None:
    if text is None:
        return None
    try:
        longitude, latitude, height = (float(word) for word in text.split(","))
    except ValueError:
        longitude = latitude = height = math.nan
    # Heights on the ground, from the Dead Sea to Everest, with room for the geoid.
    if not (abs(longitude) <= 360 and abs(latitude) <= 90 and -600 <= height <= 10_000):  # noqa: PLR2004
        raise ConfigError(
            f"--site: {text!r}; expected LON,LAT,HEIGHT: degrees east, degrees north, metres, "
            "such as 21.44,-30.71,1086"
        )
    return Site(longitude, latitude, height)
