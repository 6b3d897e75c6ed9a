from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.dataset import read_dataset
from simulators.__main__ import app
from simulators.dataset import command


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["dataset", *map(str, arguments)])


def test_it_writes_a_city_and_says_how_much(tmp_path: Path) -> None:
    out = tmp_path / "city"
    done = _run(out, "--zones", "1", "--meters-per-zone", "4", "--days", "2", "--start", "2025-03-01", "--flats", "0")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{out}: ")
    assert "readings of 4 meters" in done.stdout
    assert done.stderr == ""
    assert read_dataset(out).settings.start.isoformat() == "2025-02-28T22:00:00+00:00"


def test_a_large_tiled_city_is_written_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LARGE_METERS", 20)
    sizes = ("--network", "tiles", "--zones", "2", "--meters-per-zone", "12", "--days", "1", "--preset", "field")
    done = _run(tmp_path / "city", *sizes)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "city" / "network.geojson").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--zones", "30000", "--meters-per-zone", "5000"), "--network tiles, which knows no limit"),
        (("--network", "tiles", "--zones", "30000", "--meters-per-zone", "5000", "--days", "1100"), "another disk"),
        (("--start", "2024-02-30"), "write it as 2024-10-01"),
        (("--start", "1999-01-01"), "from 2015 to 2034"),
        (("--mix", "nobody"), "chinese_city"),
        (("--network", "files"), "belong together"),
        (("--source", "somewhere"), "belong together"),
        (("--network", "schutterwald", "--zones", "900"), "ask for fewer"),
        (("--days", "0"), "--days"),
        (("--preset", "none"), "--preset"),
    ],
)
def test_a_wrong_call_is_told_what_to_do_and_leaves_nothing(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    done = _run(tmp_path / "city", *options)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", "").split())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_taken_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = _run(tmp_path)
    assert done.exit_code == 2
    assert "delete it first" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("simulators.dataset.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys.modules["simulators.dataset"], "exam", None, raising=False)
    monkeypatch.delattr(sys.modules["simulators.dataset"], "exam")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = _run(tmp_path / "city")
    assert done.exit_code == 1
    assert "gasgate[simulators]" in done.stderr
