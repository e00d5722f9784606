"""The arguments ``-c FILE`` and ``-o KEY=VALUE`` of commands that take a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.config import Config

if TYPE_CHECKING:
    import argparse


def common_parser(
    prog: str, description: str, epilog: str = cli.EXIT_CODES
) -> argparse.ArgumentParser:
    """Return a parser with the options of a command that takes a configuration."""
    parser = cli.plain_parser(prog, description, epilog)
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        action="append",
        metavar="FILE",
        help="configuration: INI, JSON or YAML; any number of times, later files win",
    )
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one configuration key, such as reception.transport=tcp; wins over the files; "
        "any number of times",
    )
    return parser


def load_config(args: argparse.Namespace) -> Config:
    """Return the configuration that the options of `common_parser` ask for.

    Raises
    ------
    ConfigError
        Something in them is unknown, wrong, malformed or cannot go together.
    """
    return Config.load(args.config, args.option)
