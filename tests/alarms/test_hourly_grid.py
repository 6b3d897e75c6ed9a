import numpy as np
import pytest

from alarms.analysis.hourly_grid import HourGrid, joined_grids, register_grid, state_grid
from gateway.meterdata.series import HOUR_US, Exchanges, Registers, Series

BEGIN = 480_000 * HOUR_US
NAN = np.nan


def facts(columns: slice) -> Registers:
    count = columns.stop - columns.start
    return Registers(np.full(count, 1e5), np.full(count, 6.0), np.full(count, 0.001))


def nothing(_columns: slice) -> Exchanges:
    return Exchanges.none()


def series_of(*rows: tuple[int, float, float, float]) -> Series:
    """Rows are (column, hour of the device's clock, hour of arrival, register)."""
    column, time, received, value = (np.array(part) for part in zip(*rows, strict=True))
    names = [f"M-{number}" for number in range(int(column.max()) + 1)]
    sent, came = (BEGIN + (part * HOUR_US).astype(np.int64) for part in (time, received))
    return Series.build(names, column.astype(np.int32), sent, came, value.astype(np.float64))


def grid_of(*rows: tuple[int, float, float, float], hours: int = 6) -> HourGrid:
    return register_grid(series_of(*rows), BEGIN, hours, facts, nothing)


def values(grid: HourGrid, hour: float, column: int = 0) -> list[float]:
    value, _ = grid.at(BEGIN + int(hour * HOUR_US), slice(0, grid.hours + 1))
    return [float(one) for one in value[:, column]]


def same(one: list[float], other: list[float]) -> None:
    np.testing.assert_allclose(one, other)


def test_a_reading_at_a_whole_hour_is_known_from_its_arrival_on():
    grid = grid_of((0, 0, 0.1, 10.0), (0, 1, 1.1, 11.0), (0, 2, 2.5, 13.0))
    same(values(grid, 1.2), [10.0, 11.0, NAN, NAN, NAN, NAN, NAN])
    same(values(grid, 2.4), [10.0, 11.0, NAN, NAN, NAN, NAN, NAN])
    same(values(grid, 2.5), [10.0, 11.0, 13.0, NAN, NAN, NAN, NAN])


def test_a_reading_seconds_before_the_hour_stands_for_it():
    grid = grid_of((0, 0.99, 1.1, 10.0), (0, 1.985, 2.1, 12.0))
    same(values(grid, 3.0), [NAN, 10.0, 12.0, NAN, NAN, NAN, NAN])


def test_readings_between_hours_are_joined_by_a_line_known_with_the_later_one():
    grid = grid_of((0, 0.5, 0.6, 10.0), (0, 2.5, 4.0, 14.0))
    same(values(grid, 3.9), [NAN] * 7)
    same(values(grid, 4.0), [NAN, 11.0, 13.0, NAN, NAN, NAN, NAN])


def test_far_readings_tell_only_a_mean():
    grid = grid_of((0, 0, 0.1, 10.0), (0, 6, 6.1, 16.0))
    value, wide = grid.at(BEGIN + 7 * HOUR_US, slice(0, 7))
    same(value[:, 0].tolist(), [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0])
    assert wide[:, 0].tolist() == [False, True, True, True, True, True, False]


def test_a_late_reading_changes_nothing_before_it_comes():
    rows = [(0, 0, 0.1, 10.0), (0, 1, 4.5, 13.0), (0, 2, 5.5, 13.5), (0, 3, 3.1, 16.0)]
    grid = grid_of(*rows)
    for hour in (3.0, 3.5, 4.5, 5.0, 5.5, 6.0):
        arrived = [row for row in rows if row[2] <= hour]
        same(values(grid, hour), values(grid_of(*arrived), hour))
    same(values(grid, 4.0), [10.0, 12.0, 14.0, 16.0, NAN, NAN, NAN])
    same(values(grid, 5.0), [10.0, 13.0, 14.5, 16.0, NAN, NAN, NAN])
    same(values(grid, 6.0), [10.0, 13.0, 13.5, 16.0, NAN, NAN, NAN])


def test_random_arrivals_give_what_the_arrived_readings_alone_give():
    rng = np.random.default_rng(8)
    for _ in range(20):
        time = np.sort(rng.uniform(0.0, 20.0, 14))
        register = np.cumsum(np.diff(time, prepend=0.0) * rng.uniform(0.0, 2.0, 14))
        late = np.where(rng.uniform(size=14) < 0.2, rng.uniform(2.0, 6.0, 14), 0.1)
        rows = [(0, float(t), float(t + d), float(v)) for t, d, v in zip(time, late, register, strict=True)]
        whole = grid_of(*rows, hours=20)
        for hour in (8.0, 14.0, 19.0):
            arrived = [row for row in rows if row[2] <= hour]
            same(values(whole, hour), values(grid_of(*arrived, hours=20), hour))


def test_nothing_is_compared_across_a_break():
    grid = grid_of((0, 0, 0.1, 500.0), (0, 1, 1.1, 501.0), (0, 2, 2.1, 30.0), (0, 3, 3.1, 31.0), (0, 4, 4.1, 32.0))
    step = np.diff(values(grid, 5.0))
    same(step.tolist(), [1.0, NAN, NAN, 1.0, NAN, NAN])


def test_a_rollover_is_undone():
    grid = grid_of((0, 0, 0.1, 99_999.0), (0, 1, 1.1, 1.0), (0, 2, 2.1, 2.0))
    same(np.diff(values(grid, 3.0))[:2].tolist(), [2.0, 1.0])


def test_grids_are_put_side_by_side_with_what_was_told_before():
    one = grid_of((0, 0, 0.1, 10.0), (0, 1, 4.5, 13.0), (0, 3, 3.1, 16.0))
    other = state_grid(series_of((0, 0, 0.1, 2.0), (0, 1, 1.1, 4.0)), BEGIN, 6)
    renamed = HourGrid(("P",), other.begin_us, other.value, other.told, other.wide, other.before)
    both = joined_grids([one, renamed], ["P", "none", "M-0"])
    same(values(both, 4.0, 2), values(one, 4.0))
    same(values(both, 5.0, 2), values(one, 5.0))
    same(values(both, 5.0, 0)[:2], [2.0, 4.0])
    assert np.isnan(values(both, 5.0, 1)).all()


@pytest.mark.parametrize("hours", [0, 3])
def test_how_many_hours_had_ended(hours):
    grid = grid_of((0, 0, 0.1, 10.0), (0, 1, 1.1, 11.0))
    assert grid.hours_until(BEGIN + int((hours + 0.5) * HOUR_US)) == hours
    assert grid.hours_until(BEGIN - HOUR_US) == 0
    assert grid.hours_until(BEGIN + 100 * HOUR_US) == 6
