"""The command ``emu-simulate``."""

from __future__ import annotations

import logging
import shlex
import sys
from typing import TYPE_CHECKING

from emulator.simulate.arrays import describe_arrays
from emulator.simulate.generate import Simulator, write_observation
from emulator.simulate.options import (
    imperfections_from,
    join_negative_values,
    make_parser,
    observation_from,
    sources_from,
)
from receive.command import cli
from receive.command.progress import format_bytes
from receive.measurement_set.write.space import required_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.simulate.observation import Observation

logger = logging.getLogger(__name__)

_LOW_DEG = 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate an observation as the arguments say; return the exit code."""
    arguments = join_negative_values(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    args = parser.parse_args(arguments)
    cli.setup_logging(args.verbose)
    if args.list_arrays:
        sys.stdout.write(describe_arrays())
        return 0
    if args.output is None:
        parser.error("where to? Name the Measurement Set to make: emu-simulate [options] OUT.ms")
    observation = observation_from(args)
    sources = sources_from(args, observation)
    simulator = Simulator(observation, sources, imperfections_from(args))
    size_bytes = required_bytes(simulator.model, observation.integrations)
    if args.dry_run:
        sys.stdout.write(
            f"{observation.summary()}\nsources: {len(sources)}\n"
            f"size: {observation.integrations * observation.num_baselines} rows, "
            f"{format_bytes(size_bytes)} on disk, "
            f"about {format_bytes(3 * observation.integration_bytes)} of memory\n"
        )
        return 0
    for line in observation.summary().splitlines():
        logger.debug("%s", line)
    _warn_of_horizon(observation)
    outcome = write_observation(
        args.output,
        simulator,
        overwrite=args.overwrite,
        history=[shlex.join(["emu-simulate", *arguments]), *observation.summary().splitlines()],
    )
    rate = outcome.data_bytes / max(outcome.elapsed_s, 1e-9)
    sys.stdout.write(
        f"{args.output}: {observation.array.telescope}, {outcome.integrations} integrations, "
        f"{outcome.rows} rows, {format_bytes(outcome.data_bytes)} of visibilities in "
        f"{outcome.elapsed_s:.1f} s ({format_bytes(rate)}/s)\n"
    )
    return 0


def _warn_of_horizon(observation: Observation) -> None:
    first, last = observation.elevations_deg()
    if min(first, last) < _LOW_DEG:
        logger.warning(
            "the phase centre is below the horizon for a part of the observation (elevation "
            "%.1f to %.1f degrees); simulated all the same",
            first,
            last,
        )


def entry() -> int:
    """Run the command; for the console script."""
    return cli.run("emu-simulate", main)


if __name__ == "__main__":
    sys.exit(entry())
