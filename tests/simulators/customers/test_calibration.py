from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import calibration
from benchmarks.calibration_figures import KWH_PER_M3, Loads, figures_of

DAYS = 150


def write(folder: Path, factor: float) -> tuple[Path, Path]:
    """Write simulated homes of another seed as if they were measured ones, with `factor` times their gas."""
    dates = [date(2024, 10, 1) + timedelta(days=n) for n in range(DAYS)]
    season = np.linspace(23.0, -4.0, DAYS)
    weather = {
        "date": dates,
        "temperature_mean_c": season,
        "wind_speed_m_s": np.full(DAYS, 3.0),
        "global_irradiance_w_m2": np.full(DAYS, 90.0),
    }
    pq.write_table(pa.table(weather), folder / "weather.parquet")
    homes = calibration.simulate(calibration.read_weather(folder / "weather.parquet"), 160, seeds=(77,))
    kwh = factor * KWH_PER_M3
    loads = {
        "meter": np.repeat(np.arange(160), DAYS),
        "date": dates * 160,
        "kwh": homes.daily.ravel() * kwh,
        "hour_q25_kwh": homes.quartiles[0].ravel() * kwh,
        "hour_median_kwh": homes.quartiles[1].ravel() * kwh,
        "hour_q75_kwh": homes.quartiles[2].ravel() * kwh,
    }
    pq.write_table(pa.table(loads), folder / "loads.parquet")
    return folder / "loads.parquet", folder / "weather.parquet"


def test_homes_of_another_seed_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loads, weather = write(tmp_path, 1.0)
    errors = calibration.run(quick=True, loads=loads, weather=weather)
    assert errors["daily sum of the same yearly sum, RMSE / mean"] < 0.08
    assert abs(errors["zero days, error of the share"]) < 0.02
    assert errors["shares, mean absolute error"] < 0.05
    assert "80 measured homes" in capsys.readouterr().out


def test_homes_that_use_twice_as_much_are_told_apart(tmp_path: Path) -> None:
    loads, weather = write(tmp_path, 2.0)
    errors = calibration.run(quick=True, loads=loads, weather=weather)
    assert errors["yearly sum, relative error"] == pytest.approx(-0.5, abs=0.15)
    assert errors["daily sum, RMSE / mean"] > 0.4


def test_without_files_it_says_what_it_wants() -> None:
    with pytest.raises(SystemExit, match="give --loads FILE"):
        calibration.run()


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    loads, weather = write(tmp_path, 1.0)
    with pytest.raises(SystemExit, match=r"weather\.parquet: lacks the columns meter, kwh"):
        calibration.run(loads=weather, weather=weather)
    with pytest.raises(SystemExit, match="cannot be read"):
        calibration.run(loads=loads, weather=tmp_path / "none.parquet")
    pq.write_table(pq.read_table(weather).slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(SystemExit, match="has no rows"):
        calibration.run(loads=loads, weather=tmp_path / "empty.parquet")
    pq.write_table(pq.read_table(weather).slice(0, 70), tmp_path / "summer.parquet")
    with pytest.raises(SystemExit, match="wants 25 days or more below 6"):
        calibration.run(loads=loads, weather=tmp_path / "summer.parquet")


def test_figures_of_loads_worked_out_by_hand() -> None:
    daily = np.tile([[1.0, 0.0, 0.0, 3.0], [2.0, 2.0, 2.0, 0.0]], 30)
    felt = np.where(np.arange(120) < 60, 0.0, 25.0)
    figures = figures_of(Loads(daily, np.zeros((3, *daily.shape))), felt)
    assert figures["zero days, share"] == pytest.approx(3 / 8)
    assert figures["yearly use, mean, m3"] == pytest.approx(1.25 * 365)
    assert figures["runs of one day, share"] == pytest.approx(0.5)
    assert figures["runs of 2 to 7 days, share"] == pytest.approx(0.5)
    assert figures["hours, median is 0 when warm, share"] == 1.0
