"""What a chart shows of more readings than it has pixels."""

from __future__ import annotations

import numpy as np
import pytest

from api.services import series as service
from api.services.series import several
from api.services.thinning import Rows, drawn, rates
from gateway.errors import RefusedError
from gateway.model.reading import ReadingBatch, from_us

MINUTE = 60_000_000


def rows(values: object, spacing: int = MINUTE, start: int = 0) -> Rows:
    value = np.asarray(values, dtype=float)
    quality = np.where(np.isnan(value), 2 << 6, 0).astype(np.uint8)
    return Rows(start + np.arange(len(value), dtype=np.int64) * spacing, value, quality)


def lines(shown: Rows) -> list[list[float]]:
    """Return the pieces of the line that are drawn without a break."""
    pieces: list[list[float]] = [[]]
    for value in shown.value.tolist():
        if np.isnan(value):
            pieces.append([])
        else:
            pieces[-1].append(value)
    return pieces


def columns(shown: Rows, end: int, width: int) -> dict[int, tuple[float, float]]:
    """Return the lowest and highest value in each column of pixels."""
    found: dict[int, tuple[float, float]] = {}
    for time, value in zip(shown.time_us.tolist(), shown.value.tolist(), strict=True):
        if not np.isnan(value):
            low, high = found.get(time * width // end, (value, value))
            found[time * width // end] = min(low, value), max(high, value)
    return found


def test_few_readings_are_all_there() -> None:
    shown = drawn(rows([1.0, 2.0, 3.0]), 0, 3 * MINUTE, 100)
    assert shown.value.tolist() == [1.0, 2.0, 3.0]


def test_a_year_of_minutes_keeps_every_peak_in_its_column() -> None:
    dice = np.random.default_rng(1)
    value = dice.normal(size=525_600)
    value[[77, 300_000]] = 50.0, -50.0
    every = rows(value)
    end = len(value) * MINUTE
    shown = drawn(every, 0, end, 900)
    assert len(shown) <= 4 * 900
    assert columns(shown, end, 900) == columns(every, end, 900)
    assert (shown.time_us[0], shown.time_us[-1]) == (every.time_us[0], every.time_us[-1])
    assert (np.diff(shown.time_us) > 0).all()


def test_the_line_enters_and_leaves_each_column_where_it_did() -> None:
    shown = drawn(rows([5, 9, 1, 6, 7, 2, 8, 3]), 0, 8 * MINUTE, 2)
    assert shown.value.tolist() == [5, 9, 1, 6, 7, 2, 8, 3]
    shown = drawn(rows([5, 6, 9, 7, 1, 6, 6, 6]), 0, 8 * MINUTE, 1)
    assert shown.value.tolist() == [5, 9, 1, 6]


def test_a_bad_reading_breaks_the_line() -> None:
    assert lines(drawn(rows([1, 2, np.nan, np.nan, 3, 4]), 0, 6 * MINUTE, 600)) == [[1, 2], [3, 4]]


def test_bad_readings_at_the_ends_are_nothing() -> None:
    assert lines(drawn(rows([np.nan, 1, 2, np.nan]), 0, 4 * MINUTE, 600)) == [[1, 2]]
    assert len(drawn(rows([np.nan, np.nan]), 0, 2 * MINUTE, 600)) == 0


def test_readings_that_never_came_break_the_line() -> None:
    every = rows(np.arange(100.0))
    holed = every.take(np.flatnonzero((every.value < 40) | (every.value > 60)))
    pieces = lines(drawn(holed, 0, 100 * MINUTE, 1000))
    assert [(piece[0], piece[-1]) for piece in pieces] == [(0.0, 40.0 - 1), (61.0, 99.0)]


def test_a_late_reading_or_a_lazy_device_breaks_nothing() -> None:
    every = rows(np.arange(50.0))
    jittered = Rows(every.time_us + np.random.default_rng(2).integers(0, MINUTE // 3, 50), every.value, every.quality)
    assert len(lines(drawn(jittered, 0, 50 * MINUTE, 500))) == 1
    daily_passes = np.cumsum(np.tile([1, 1, 1, 1, 20], 10)) * MINUTE
    lazy = Rows(daily_passes, np.arange(50.0), np.zeros(50, np.uint8))
    assert len(lines(drawn(lazy, 0, int(daily_passes[-1]) + 1, 500))) == 1


def test_a_gap_over_many_columns_stays_one_among_thousands_of_small_ones() -> None:
    value = np.tile([1.0, np.nan], 50_000)
    value[40_000:60_000] = np.nan
    end = len(value) * MINUTE
    shown = drawn(rows(value), 0, end, 100)
    assert len(shown) <= 7 * 100
    hole = (shown.time_us > 40_000 * MINUTE) & (shown.time_us < 60_000 * MINUTE)
    assert not (~np.isnan(shown.value[hole])).any()
    before = np.flatnonzero(shown.time_us <= 40_000 * MINUTE)[-1]
    assert np.isnan(shown.value[before]), "the line must not cross the hole"


def test_a_register_becomes_a_use_per_hour() -> None:
    use = rates(rows([100.0, 100.5, np.nan, 101.5, 99.0, 99.25], spacing=30 * MINUTE))
    assert use.value[0] == pytest.approx(1.0)
    assert use.value[1] == pytest.approx(1.0)
    assert np.isnan(use.value[2]), "a register that went backwards tells no use"
    assert use.value[3] == pytest.approx(0.5)
    assert use.time_us.tolist() == [30 * MINUTE, 90 * MINUTE, 120 * MINUTE, 150 * MINUTE]
    assert len(rates(rows([1.0]))) == 0


class Store:
    """Readings of two registers, and how they were asked for."""

    def __init__(self, every: Rows, most: int = 10**9) -> None:
        self.every, self.most = every, most
        self.largest = 0

    async def history(self, points, start_us: int, end_us: int) -> ReadingBatch:
        inside = self.every.take(np.flatnonzero((self.every.time_us >= start_us) & (self.every.time_us < end_us)))
        if len(inside) > self.most:
            raise RefusedError(413, "too_many_rows", "")
        self.largest = max(self.largest, len(inside))
        time = inside.time_us
        return ReadingBatch(np.full(len(time), points[0], np.uint32), time, time, inside.value, inside.quality)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "index_of", lambda _parts, point: {"M-1/register_measured_m3": 1}.get(point))

    def made(every: Rows, most: int = 10**9):
        return type("Parts", (), {"store": Store(every, most)})

    return made


async def read(parts, end: int, width: int, *, use: bool = False) -> Rows:
    (found,) = await several(parts, ["M-1/register_measured_m3"], from_us(0), from_us(end), width, use=use)
    value = np.array([np.nan if one is None else one for one in found.values])
    return Rows(np.array(found.times_ms) * 1000, value, np.array(found.quality, np.uint8))


async def test_parts_of_the_store_join_without_a_seam(store) -> None:
    value = np.cumsum(np.random.default_rng(4).random(100_000))
    value[46_000:47_000] = np.nan
    every = rows(value)
    end = len(value) * MINUTE
    shown = await read(store(every), end, 300)
    whole = drawn(every, 0, end, 300)
    assert columns(shown, end, 300) == columns(whole, end, 300)
    assert len(lines(shown)) == len(lines(whole)) == 2
    assert (np.diff(shown.time_us) > 0).all()
    use = await read(store(every), end, 300, use=True)
    assert columns(use, end, 300) == columns(drawn(rates(every), 0, end, 300), end, 300)


async def test_what_the_store_cannot_answer_at_once_is_asked_for_in_smaller_parts(store) -> None:
    every = rows(np.arange(100_000.0))
    parts = store(every, most=3_000)
    shown = await read(parts, len(every) * MINUTE, 100)
    assert parts.store.largest <= 3_000
    assert (shown.value[0], shown.value[-1]) == (0.0, 99_999.0)
    assert len(lines(shown)) == 1


async def test_a_gap_between_two_parts_is_seen(store) -> None:
    every = rows(np.arange(100_000.0))
    border = service._PART_US // MINUTE
    holed = every.take(np.flatnonzero((every.value < border - 500) | (every.value > border + 500)))
    shown = await read(store(holed), len(every) * MINUTE, 1000)
    assert [(piece[0], piece[-1]) for piece in lines(shown)] == [(0, border - 501), (border + 501, 99_999)]


async def test_only_known_points_and_uses_of_registers_are_drawn(store) -> None:
    parts = store(rows([1.0]))
    for points, use, code in (
        (["M-2/register_measured_m3"], False, "unknown_point"),
        (["M-1/pressure_gauge_kpa"], True, "no_register"),
        (["M-1/register_measured_m3"] * 7, False, "too_many_points"),
    ):
        with pytest.raises(RefusedError) as refused:
            await several(parts, points, from_us(0), from_us(MINUTE), 10, use=use)
        assert refused.value.code == code
