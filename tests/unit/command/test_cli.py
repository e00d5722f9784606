from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from receive import __version__
from receive.command import cli, errors
from receive.config.arguments import common_parser, load_config

if TYPE_CHECKING:
    import argparse

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def quiet_logging():
    """Put logging back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("receive", "emulator"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger("spead2").filters.clear()
    logging.captureWarnings(capture=False)


def command(body: str) -> list[str]:
    """Return the command line of a small command of which `body` is the main function."""
    code = (
        "import sys\nfrom receive.command import cli, errors\ndef main(argv):\n"
        + textwrap.indent(textwrap.dedent(body), "    ")
        + "\nsys.exit(cli.run('emu-x', main))\n"
    )
    return [sys.executable, "-c", code]


def run(body: str, *args: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(body), *args],
        stderr=subprocess.PIPE,
        stdout=options.pop("stdout", subprocess.PIPE),
        text=True,
        check=False,
        cwd=REPOSITORY,
        **options,
    )


def parse(*argv: str) -> argparse.Namespace:
    return common_parser("emu-x", "Does things.").parse_args(argv)


def test_options_and_file_make_the_configuration(tmp_path):
    file = tmp_path / "a.ini"
    file.write_text("[reception]\nring_heaps = 3\nmax_dumps = 4\n")
    args = parse("-c", str(file), "-o", "reception.ring_heaps=5", "--option", "reader.num_chan=2")
    config = load_config(args)
    assert config["reception.ring_heaps"] == 5
    assert config["reception.max_dumps"] == 4
    assert config["reader.num_chan"] == 2
    assert load_config(parse())["reception.ring_heaps"] == 16


def test_of_several_files_the_last_one_wins(tmp_path):
    first, second = tmp_path / "a.ini", tmp_path / "b.json"
    first.write_text("[reception]\nring_heaps = 3\nmax_dumps = 4\n")
    second.write_text('{"reception": {"ring_heaps": 5}}')
    config = load_config(parse("-c", str(first), "--config", str(second)))
    assert config["reception.ring_heaps"] == 5
    assert config["reception.max_dumps"] == 4
    assert config.place_of("reception.ring_heaps").startswith(str(second))
    second.write_text('{"reception": {"ring_heap": 5}}')
    with pytest.raises(errors.ConfigError, match=re.escape(f"{second}:1: unknown key")):
        load_config(parse("-c", str(first), "-c", str(second)))


def test_parsers_share_no_list_of_options():
    parse("-o", "reader.num_chan=2", "-c", "a.ini")
    assert parse().option == []
    assert parse().config is None


def test_verbosity_counts():
    assert parse().verbose == 0
    assert parse("-vv", "--verbose").verbose == 3


def test_help_shows_the_exit_codes(capsys):
    assert cli.run("emu-x", lambda argv: len(str(parse("--help")))) == 0
    out = capsys.readouterr().out
    assert "Does things." in out
    assert "--option KEY=VALUE" in out
    for error in (errors.ConfigError, errors.NetworkError, errors.ConsumerError):
        assert re.search(rf"^  {error.exit_code}  ", out, re.MULTILINE)


def test_version(capsys):
    assert cli.run("emu-x", lambda argv: len(str(parse("--version")))) == 0
    assert capsys.readouterr().out == f"emu-x {__version__}\n"


def test_wrong_usage_is_2(capsys):
    assert cli.run("emu-x", lambda argv: len(str(parse("--nothing")))) == 2
    assert "--nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "kind",
    [
        errors.ConfigError,
        errors.InputError,
        errors.OutputError,
        errors.NetworkError,
        errors.NothingReceivedError,
        errors.DataLostError,
        errors.ConsumerError,
    ],
)
def test_errors_of_the_user_are_one_line_and_a_code(capsys, kind):
    def main(argv):
        raise kind("a.ms: is no\n  Measurement Set")

    assert cli.run("emu-x", main) == kind.exit_code
    captured = capsys.readouterr()
    assert captured.err == "emu-x: error: a.ms: is no Measurement Set\n"
    assert captured.out == ""


def test_arguments_and_code_are_passed_on():
    seen = []

    def main(argv):
        seen.append(argv)
        return 7

    assert cli.run("emu-x", main, ["a", "b"]) == 7
    assert cli.run("emu-x", main) == 7
    assert seen == [["a", "b"], None]


def test_a_defect_shows_a_traceback_and_how_to_report_it(capsys):
    def main(argv):
        raise ZeroDivisionError("oh")

    assert cli.run("emu-x", main) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: oh" in err
    assert "Please report it" in err


def test_an_os_error_of_something_else_is_a_defect(capsys):
    def main(argv):
        raise BrokenPipeError(32, "Broken pipe")

    assert cli.run("emu-x", main) == 1
    assert "Please report it" in capsys.readouterr().err


def test_a_full_disk_that_nobody_caught_is_4(capsys):
    def main(argv):
        raise OSError(28, "No space left on device", "a.ms")

    assert cli.run("emu-x", main) == 4
    assert capsys.readouterr().err == "emu-x: error: a.ms: No space left on device\n"


def test_interrupted_is_130(capsys):
    def main(argv):
        raise KeyboardInterrupt

    assert cli.run("emu-x", main) == 130
    assert capsys.readouterr().err == "emu-x: stopped\n"


def test_exit_with_a_text_is_1():
    def main(argv):
        sys.exit("text")

    assert cli.run("emu-x", main) == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_error(unbuffered):
    with subprocess.Popen(
        command("while True:\n    print('x' * 1000)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_4(unbuffered):
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = run("print('x')\nreturn 0", stdout=full, env=environment)
    assert done.returncode == 4
    assert done.stderr == "emu-x: error: standard output: No space left on device\n"


LOG = """
    import logging
    cli.setup_logging(int(sys.argv[1]))
    for name in ('receive.run.app', 'emulator.send', 'casacore'):
        for level in ('debug', 'info', 'warning'):
            getattr(logging.getLogger(name), level)('%s of %s', level, name)
    import warnings
    warnings.warn('deprecated thing')
    return 0
"""


@pytest.mark.parametrize(
    ("verbosity", "shown", "hidden"),
    [
        (0, ["info of receive.run.app", "warning of casacore"], ["debug of", "info of casacore"]),
        (1, ["debug of emulator.send", "debug of receive.run.app"], ["info of casacore"]),
        (2, ["debug of casacore"], []),
    ],
)
def test_log_lines_go_to_standard_error(verbosity, shown, hidden):
    done = run(LOG, str(verbosity))
    assert done.returncode == 0
    assert done.stdout == ""
    for words in [*shown, "deprecated thing"]:
        assert words in done.stderr
    for words in hidden:
        assert words not in done.stderr
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w+ \w+ of receive", done.stderr)


def test_setting_up_twice_shows_a_line_once(capsys):
    cli.setup_logging()
    cli.setup_logging()
    logging.getLogger("receive.run.app").info("ready")
    assert capsys.readouterr().err.count("ready") == 1


def test_verbose_errors_say_where_they_were_raised(capsys):
    def main(argv):
        cli.setup_logging(1)
        raise errors.InputError("a.ms: is empty")

    assert cli.run("emu-x", main) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("emu-x: error: a.ms: is empty\n")


def test_captured_warnings_are_log_lines(capsys):
    cli.setup_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    assert "old thing" in capsys.readouterr().err
