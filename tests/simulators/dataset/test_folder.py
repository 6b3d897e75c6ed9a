from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigError, GatewayError
from simulators.dataset.folder import whole_folder


def test_a_folder_appears_when_all_is_written(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "city"
    with whole_folder(out) as part:
        (part / "a.csv").write_text("a")
        assert not out.exists()
    assert [file.name for file in out.iterdir()] == ["a.csv"]
    assert [file.name for file in out.parent.iterdir()] == ["city"]


def test_an_empty_folder_is_taken_and_a_full_one_refused(tmp_path: Path) -> None:
    out = tmp_path / "city"
    out.mkdir()
    with whole_folder(out) as part:
        (part / "a.csv").write_text("a")
    with pytest.raises(ConfigError, match="delete it first"), whole_folder(out):
        raise AssertionError
    assert (out / "a.csv").read_text() == "a"
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ConfigError, match="name another folder"), whole_folder(file):
        raise AssertionError
    assert file.read_text() == "mine"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "city") as part:
            (part / "a.csv").write_text("a")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_gives_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="no room left"), whole_folder(tmp_path / "city"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "readings.parquet")
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_beside_it_are_not_touched(tmp_path: Path) -> None:
    foreign = tmp_path / "city.part"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not written by gasgate"), whole_folder(tmp_path / "city"):
        raise AssertionError
    assert (foreign / "mine.txt").read_text() == "mine"


_WRITER = """
import sys, time
from pathlib import Path
from simulators.dataset.folder import whole_folder
with whole_folder(Path(sys.argv[1])) as part:
    (part / "half.csv").write_text("half")
    print("here", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_does_not_look_whole_and_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "city"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(out)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(ConfigError, match="another process writes"), whole_folder(out):
            raise AssertionError
        child.send_signal(signal.SIGKILL)
    assert not out.exists()
    assert (tmp_path / "city.part" / "half.csv").exists()
    with whole_folder(out) as part:
        (part / "whole.csv").write_text("whole")
    assert [file.name for file in out.iterdir()] == ["whole.csv"]
