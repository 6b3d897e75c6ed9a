"""Intervals as Parquet files: revisions, merges, damage, and a writer that is killed."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.errors import PermanentError
from gateway.store import intervals
from gateway.store.interval_rows import IntervalColumns, day_number
from gateway.store.intervals import IntervalStore

DAY = date(2026, 1, 5)
METERS = tuple(f"M-{number:03d}" for number in range(6))


def columns(day=DAY, units=1000, meters=METERS, computed_at=1, **more) -> IntervalColumns:
    count = len(meters)

    def all_of(value) -> Any:
        return np.full(count, value, dtype=object if isinstance(value, str) else np.int64)

    figures = {
        "gas_day": day_number(day), "begins": 10, "ends": 20, "units": units, "decimals": 3, "status": "measured",
        "method": "register", "rules": "", "left_at": 9, "right_at": 21, "step_units": units, "who": "", "note": "",
        "computed_at": computed_at, **more,
    }  # fmt: skip
    return IntervalColumns(
        meter=np.array(meters, dtype=object),
        **{name: value if isinstance(value, np.ndarray) else all_of(value) for name, value in figures.items()},
    )


def add(store, *parts) -> list[int]:
    with store.adding() as adding:
        return [adding.add(part) for part in parts]


@pytest.fixture
def store(tmp_path) -> Any:
    made = IntervalStore(tmp_path / "intervals")
    yield made
    made.close()


def files(store) -> list[str]:
    return sorted(f"{file.parent.name}/{file.name[:10]}" for file in store._folder.glob("*/rev-*"))


def test_a_changed_row_becomes_a_revision_and_an_equal_one_nothing(store):
    assert add(store, columns()) == [6]
    assert add(store, columns(computed_at=2)) == [0]
    units = np.full(6, 1000)
    units[2] = -1
    assert add(store, columns(units=units, status="missing", computed_at=3)) == [6]
    assert add(store, columns(units=units, status="missing", meters=METERS, rules="V01", computed_at=4)) == [6]
    rows = store.of_meter("M-002", DAY, DAY)
    assert [(row.revision, row.units, row.status, row.rules, row.computed_at) for row in rows] == [
        (1, 1000, "measured", "", 1), (2, None, "missing", "", 3), (3, None, "missing", "V01", 4),
    ]  # fmt: skip
    assert rows[0].gas_day == "2026-01-05"
    assert store.of_meter("M-9", DAY, DAY) == []
    assert store.of_meter("M-002", DAY + timedelta(days=1), DAY + timedelta(days=9)) == []


def test_batches_of_one_pass_become_one_file_a_day(store):
    days = [DAY + timedelta(days=number) for number in range(3)]
    both = [columns(day, meters=meters) for meters in (METERS[3:], METERS[:3]) for day in days]
    assert add(store, *both) == [3] * 6
    assert files(store) == [f"gas_day={day}/rev-000001" for day in days]
    assert [row.gas_day for row in store.of_meter("M-004", days[0], days[-1])] == [str(day) for day in days]


def test_a_pass_that_fails_leaves_everything_as_it_was(store):
    add(store, columns())

    def failing() -> None:
        with store.adding() as adding:
            adding.add(columns(units=5))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert len(store.of_meter("M-000", DAY, DAY)) == 1
    assert add(store, columns(units=6)) == [6]


def test_estimates_are_the_newest_that_no_person_made(store):
    add(store, columns(status="estimated", method="like_days"))
    add(store, columns(DAY + timedelta(days=1), status="estimated", method="manual", who="li", note="seen"))
    add(store, columns(meters=METERS[:2], units=1001))
    found = store.estimates(METERS[:4], DAY, DAY + timedelta(days=1))
    assert found == {("M-002", "2026-01-05"): 1000, ("M-003", "2026-01-05"): 1000}


def test_only_one_process_adds(store):
    with store.adding(), pytest.raises(PermanentError), IntervalStore(store._folder).adding():
        pass


def test_days_with_many_files_and_months_that_are_over_are_merged(store):
    for number in range(intervals.MOST_DAY_FILES + 1):
        add(store, columns(units=number), columns(DAY + timedelta(days=1), units=number))
    add(store, columns(date(2026, 3, 1)))
    before = store.of_meter("M-003", DAY, date(2026, 3, 31))
    assert store.tidy(before=date(2026, 1, 20)) == 2
    assert files(store) == [f"gas_day=2026-0{day}/rev-00000{n}" for day, n in (("1-05", 6), ("1-06", 6), ("3-01", 1))]
    assert store.of_meter("M-003", DAY, date(2026, 3, 31)) == before
    assert store.tidy(before=date(2026, 3, 1)) == 1
    assert files(store) == ["gas_day=2026-03-01/rev-000001", "month=2026-01/rev-000001"]
    assert store.of_meter("M-003", DAY, date(2026, 3, 31)) == before
    assert store.tidy(before=date(2026, 3, 1)) == 0
    assert add(store, columns(units=77)) == [6]
    assert store.tidy(before=date(2026, 3, 1)) == 0, "a month is not made anew for one late day"
    assert [row.units for row in store.of_meter("M-003", DAY, DAY)] == [0, 1, 2, 3, 4, 77]


def test_a_large_month_is_split_by_meter(store, monkeypatch):
    monkeypatch.setattr(intervals, "SPLIT_ROWS", 100)
    many = tuple(f"M-{number:03d}" for number in range(60))
    add(store, columns(meters=many), columns(DAY + timedelta(days=1), meters=many))
    before = {meter: store.of_meter(meter, DAY, date(2026, 1, 31)) for meter in many}
    assert store.tidy(before=date(2026, 3, 1)) == 1
    pieces = list((store._folder / "month=2026-01").iterdir())
    assert 8 < len(pieces) <= 16
    assert {meter: store.of_meter(meter, DAY, date(2026, 1, 31)) for meter in many} == before
    assert len(store.files_of(DAY, DAY, "3")) == 1
    assert add(store, columns(meters=many)) == [0]
    assert store.tidy(before=date(2026, 3, 1)) == 0


def test_a_merge_that_is_cut_short_shows_nothing_twice(store, monkeypatch):
    for number in range(intervals.MOST_DAY_FILES + 1):
        add(store, columns(units=number))
    before = store.of_meter("M-003", DAY, DAY)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda _path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.tidy(before=DAY)
    assert len(files(store)) == intervals.MOST_DAY_FILES + 2
    assert store.of_meter("M-003", DAY, DAY) == before
    assert add(store, columns(units=4)) == [0]
    assert store.tidy(before=DAY) == 1
    assert (len(files(store)), store.of_meter("M-003", DAY, DAY)) == (1, before)


def test_a_damaged_file_is_left_out_set_aside_and_its_day_written_anew(store):
    add(store, columns())
    add(store, columns(DAY + timedelta(days=1)))
    (broken,) = (store._folder / f"gas_day={DAY}").glob("rev-*")
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    assert [row.gas_day for row in store.of_meter("M-000", DAY, DAY + timedelta(days=1))] == ["2026-01-06"]
    assert len(store.damage) == 1
    assert add(store, columns(), columns(DAY + timedelta(days=1))) == [6, 0]
    assert len(store.of_meter("M-000", DAY, DAY + timedelta(days=1))) == 2
    assert [file.name for file in (store._folder / "quarantine").iterdir()] == [f"gas_day={DAY}-{broken.name}"]


def test_any_flipped_byte_is_found_before_a_merge_spreads_it(store):
    add(store, columns())
    (file,) = (store._folder / f"gas_day={DAY}").glob("rev-*")
    whole = file.read_bytes()
    rng = np.random.default_rng(3)
    for at in rng.integers(0, len(whole), 30):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert not IntervalStore(store._folder).is_whole(file)
    file.write_bytes(whole)
    assert store.is_whole(file)


def test_readers_see_whole_days_while_another_process_adds_and_merges(store):
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.gateway.store.test_intervals import *\n"
        f"store = IntervalStore(Path({str(store._folder)!r}))\n"
        "for number in range(10**6):\n"
        "    add(store, columns(units=number))\n"
        "    if number % 3 == 2: store.tidy(before=DAY)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[3])
    try:
        seen = 0
        end = time.monotonic() + 20
        while seen < 25 and time.monotonic() < end:
            revisions = [row.revision for row in store.of_meter("M-001", DAY, DAY)]
            assert revisions == list(range(1, len(revisions) + 1))
            assert len(revisions) >= seen, "what was seen once stays"
            seen = len(revisions)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert seen >= 25
    revisions = [row.revision for row in store.of_meter("M-001", DAY, DAY)]
    assert revisions == list(range(1, len(revisions) + 1))
    assert add(store, columns(units=-1)) == [6]


def test_rows_of_an_older_release_keep_their_revisions(store):
    add(store, columns())
    (row,) = store.of_meter("M-000", DAY, DAY)
    old = [replace(row, meter="M-777", revision=number, units=None if number == 2 else 5) for number in (1, 2)]
    with store.adding() as adding:
        adding.keep(old)
    assert store.of_meter("M-777", DAY, DAY) == old


def test_meters_read_in_a_span_come_once_in_however_many_parts(store):
    add(
        store,
        columns(),
        columns(DAY + timedelta(days=1), left_at=30, right_at=-1, status="estimated", meters=METERS[:2]),
    )
    add(store, columns(units=1001, meters=METERS[:1]))
    span = (DAY, DAY + timedelta(days=1))
    for parts in (1, 3):
        assert read(store, *span, begin=0, end=31, parts=parts) == [(name, 1) for name in METERS]
    assert read(store, *span, begin=25, end=31) == [(name, 1) for name in METERS[:2]]
    assert read(store, *span, begin=22, end=30) == []


def test_counts_of_a_month_give_what_its_intervals_give(store):
    month, last = date(2026, 1, 1), date(2026, 1, 31)
    span = {"begin": 0, "end": 31}
    days = [month + timedelta(days=n) for n in range(3)]
    add(store, *(columns(day, status="measured" if n else "estimated") for n, day in enumerate(days)))
    plain = read(store, month, last, **span)
    assert plain == [(name, 2) for name in METERS]
    assert store.count_months(lambda _: 0, last) == 1
    assert store.count_months(lambda _: 0, last) == 0, "nothing came"
    (kept,) = (store.folder / "counts").iterdir()
    assert kept.suffix != ".parquet", "whoever reads intervals/*/*.parquet reads gas days"
    assert read(store, month, last, **span) == plain
    assert read(store, month, days[1], **span, parts=3) == [(name, 1) for name in METERS]
    assert read(store, month, last, begin=0, end=9) == []
    assert read(store, month, last, begin=22, end=31) == [], "counts from another moment on do not count"
    add(store, columns(date(2026, 1, 9), meters=METERS[:1]), columns(date(2026, 2, 1)))
    assert read(store, month, last, **span) == [(METERS[0], 3), *plain[1:]], "what came since counts too"
    store.tidy(before=date(2026, 3, 1))
    assert read(store, month, last, **span) == [(METERS[0], 3), *plain[1:]]
    assert store.count_months(lambda _: 0, last) == 2
    assert not kept.exists()
    fresh = max((store.folder / "counts").iterdir(), key=lambda file: file.stat().st_size)
    for file in (store.folder / "counts").iterdir():
        file.write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    assert read(store, month, last, **span) == [(METERS[0], 3), *plain[1:]], f"{fresh.name} is damaged"


def read(store, first, last, **more) -> list[tuple[str, int]]:
    found = store.read_meters(first, last, **more)
    return sorted(pair for names, days in found for pair in zip(names, days.tolist(), strict=True))
