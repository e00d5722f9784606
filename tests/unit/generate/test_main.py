from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generate.__main__ import PARTS, main
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_the_committed_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--root", str(REPOSITORY)]) == 0, capsys.readouterr().out


def test_check_says_what_is_stale_and_writing_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ["--root", str(tmp_path)]
    shared = tmp_path / "charts" / "receive" / "templates" / "shared"
    shared.mkdir(parents=True)
    (shared / "_names.tpl").write_text("names")
    before = sorted(tmp_path.rglob("*"))
    assert main(["--check", *root]) == 1
    said = capsys.readouterr().out
    for name in ("configuration.md", "metrics.md", "sizing.md", "values.schema.json"):
        assert f"{name} is not up to date" in said
    assert sorted(tmp_path.rglob("*")) == before
    for part in PARTS:
        assert main([part, *root]) == 0
    assert main(["--check", *root]) == 0
    copy = tmp_path / "charts" / "emulator" / "templates" / "shared" / "_names.tpl"
    assert copy.read_text() == "names"
    copy.write_text("other names")
    assert main(["charts", "--check", *root]) == 1
    assert main(["sizing", "--check", *root]) == 0


def test_a_part_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pages"])
    assert ended.value.code == 2
    assert "no such part: pages; there are configuration, metrics" in capsys.readouterr().err
