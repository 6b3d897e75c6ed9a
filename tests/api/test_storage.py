"""How much room the data take, as the system page says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.pages.parts import system_html
from api.services import storage
from api.services.storage import Storage
from api.text import texts


def test_the_parts_of_the_data_folder_are_measured_once_a_minute(tmp_path: Path) -> None:
    (tmp_path / "readings" / "days").mkdir(parents=True)
    (tmp_path / "readings" / "days" / "a").write_bytes(b"x" * 10_000_000)
    (tmp_path / "readings" / "b").write_bytes(b"x" * 4096)
    (tmp_path / "state.db").write_bytes(b"x" * 5000)
    (tmp_path / "other").write_bytes(b"x" * 5000)
    measured = Storage(tmp_path)
    room = measured.room()
    assert room is not None
    found = {part.part: (part.bytes, part.files) for part in room.parts}
    assert found["readings"][1] == 2
    assert 10_004_096 <= found["readings"][0] < 10_100_000
    assert found["state"] == (5000, 1)
    assert "spool" not in found
    assert 0 < room.free_bytes <= room.disk_bytes
    (tmp_path / "readings" / "c").write_bytes(b"x")
    assert measured.room() is room
    html = system_html.room(room, texts("en"))
    assert "Size, MB" in html
    assert "10.0" in html


def test_a_folder_that_cannot_be_read_is_unknown_and_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Storage(tmp_path / "none").room() is None
    assert system_html.room(None, texts("en")) == ""
    monkeypatch.setattr(storage, "_MOST_FILES", 3)
    (tmp_path / "spool").mkdir()
    for number in range(9):
        (tmp_path / "spool" / str(number)).write_bytes(b"x")
    room = Storage(tmp_path).room()
    assert room is not None
    assert room.parts[0].files == 3
