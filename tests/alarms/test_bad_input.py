"""What files may hold by mistake, analysed as a whole: what cannot be known is said, and nobody is blamed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.city_data import make_series
from gateway.errors import ConfigError
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch
from tests.alarms.bad_city import a_bad_city, answer_of, meter_row
from tests.alarms.small_city import a_network

YEAR_US = 365 * 86_400_000_000
HOME = "M-1-3"


def verdicts(answer, zone) -> Any:
    return Counter(row["verdict"] for row in answer["loss"] if row["zone"] == zone)


def found(answer) -> Any:
    return {(finding["kind"], finding["meter"] or finding["zone"]) for finding in answer["findings"]}


def test_the_healthy_city_is_assessed_every_day_and_has_no_findings(tmp_path):
    answer = answer_of(a_bad_city(), tmp_path)
    assert found(answer) == set()
    assert [verdicts(answer, zone) for zone in ("CITY", "R-1", "R-2")] == [{"normal": 16}] * 3


def spoilt(spoil) -> Any:
    city = a_bad_city()
    rows = city.of(HOME) & city.during(8, 10)
    spoil(city, rows)
    return city


def its_clock(years) -> Any:
    def spoil(city, rows):
        city.readings["time"][rows] += years * YEAR_US

    return spoil


def its_register(change) -> Any:
    def spoil(city, rows):
        city.readings["register_m3"][rows] = change(city.readings["register_m3"][rows])

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(its_clock(-25), id="clock-years-back"),
        pytest.param(its_clock(70), id="clock-years-ahead"),
        pytest.param(its_register(lambda x: -x), id="negative"),
        pytest.param(its_register(lambda x: x * 0), id="zero"),
        pytest.param(its_register(lambda x: x * 50), id="fifty-fold"),
        pytest.param(its_register(lambda x: x * 0 + 1e300), id="huge"),
        pytest.param(its_register(lambda x: x * np.nan), id="not-a-number"),
        pytest.param(its_register(lambda x: x * np.inf), id="infinite"),
        pytest.param(lambda city, rows: city.without(rows), id="missing"),
        pytest.param(lambda city, rows: city.more(rows), id="doubled"),
        pytest.param(lambda city, rows: city.more(rows, register_m3=np.zeros(rows.sum())), id="contradicting"),
    ],
)
def test_two_days_of_rubbish_from_one_meter_blame_nobody_and_leave_other_zones_alone(tmp_path, spoil):
    answer = answer_of(spoilt(spoil), tmp_path)
    assert found(answer) == set()
    assert verdicts(answer, "R-2") == {"normal": 16}
    assert verdicts(answer, "R-1")["normal"] >= 11


@pytest.mark.parametrize("value", [-5.0, 1e7, 1e300, np.nan])
def test_a_register_far_off_what_it_can_show_is_unknown_and_not_still(tmp_path, value):
    city = a_bad_city()
    city.readings["register_m3"][city.of(HOME) & city.during(8, 10)] = value
    assert verdicts(answer_of(city, tmp_path), "R-1")["high"] == 0


def test_pressures_that_no_network_has_are_left_out():
    values = [200.0, 1e300, -1e300, np.nan, np.inf, -500.0, 2.4, 50_000.0]
    times = np.arange(len(values)) * 1_800_000_000
    rows = ReadingBatch.build(np.zeros(len(values), dtype=np.uint32), times, times, np.array(values))
    kept = make_series(a_network(), Quantity.PRESSURE_GAUGE_KPA, ["P-1"], rows)
    assert kept.value.tolist() == [200.0, 2.4]


@pytest.mark.parametrize("jump", [5000.0, -700.0])
def test_a_register_that_jumps_for_good_is_no_theft(tmp_path, jump):
    city = a_bad_city()
    city.readings["register_m3"][city.of(HOME) & city.during(8, 99)] += jump
    answer = answer_of(city, tmp_path)
    assert found(answer) == set()
    assert verdicts(answer, "R-1")["not_assessable"] <= 2


def test_a_day_without_readings_is_not_assessable_and_so_are_its_neighbours_at_most(tmp_path):
    city = a_bad_city()
    city.without(city.during(8, 9.01))
    answer = answer_of(city, tmp_path)
    assert found(answer) == set()
    unknown = [row["gas_day"] for row in answer["loss"] if row["zone"] == "R-1" and row["verdict"] == "not_assessable"]
    assert "2025-11-10" in unknown
    assert set(unknown) <= {"2025-11-09", "2025-11-10", "2025-11-11"}


def test_when_all_meters_fall_silent_every_later_day_is_not_assessable_and_nobody_is_blamed(tmp_path):
    city = a_bad_city()
    city.without(city.during(9, 99))
    answer = answer_of(city, tmp_path)
    assert {kind for kind, _ in found(answer)} <= {"silent"}
    assert verdicts(answer, "R-1") == verdicts(answer, "CITY") == {"normal": 8, "not_assessable": 8}


def test_when_only_customers_fall_silent_the_gas_they_use_is_no_loss(tmp_path):
    city = a_bad_city()
    city.without(city.during(9, 99) & ~city.of("V-1") & ~city.of("V-2"))
    answer = answer_of(city, tmp_path)
    assert {kind for kind, _ in found(answer)} <= {"silent"}
    assert verdicts(answer, "R-1") == {"normal": 8, "not_assessable": 8}


def test_one_silent_meter_is_reported_and_widens_the_loss_of_its_zone(tmp_path):
    city = a_bad_city()
    city.without(city.during(9, 99) & city.of(HOME))
    answer = answer_of(city, tmp_path)
    assert found(answer) == {("silent", HOME)}
    assert verdicts(answer, "R-1")["high"] == 0


def test_a_supply_meter_that_never_sent_leaves_its_zone_and_those_above_not_assessable(tmp_path):
    city = a_bad_city()
    city.without(city.of("V-2"))
    answer = answer_of(city, tmp_path)
    assert found(answer) == set()
    assert verdicts(answer, "R-1") == {"normal": 16}
    assert verdicts(answer, "R-2") == verdicts(answer, "CITY") == {"not_assessable": 16}
    reasons = {row["reason"] for row in answer["loss"] if row["zone"] == "R-2"}
    assert reasons == {"supply meter was not read"}


def test_a_second_inlet_that_never_sent_is_not_taken_for_no_gas(tmp_path):
    city = a_bad_city()
    city.meters["V-9"] = meter_row("V-9", "R-1", "supply")
    assert verdicts(answer_of(city, tmp_path), "R-1") == {"not_assessable": 16}


def test_a_zone_without_a_supply_meter_has_no_loss_and_its_customers_are_not_blamed(tmp_path):
    city = a_bad_city()
    del city.meters["V-2"]
    answer = answer_of(city, tmp_path)
    assert found(answer) == set()
    assert verdicts(answer, "R-1") == {"normal": 16}
    assert verdicts(answer, "R-2") == {}


def test_a_supply_meter_that_stands_still_supplies_nothing_that_could_be_assessed(tmp_path):
    city = a_bad_city()
    city.readings["register_m3"][city.of("V-1")] = 1000.0
    answer = answer_of(city, tmp_path)
    assert found(answer) == set()
    assert verdicts(answer, "R-1") == {"not_assessable": 16}


def test_a_meter_that_is_listed_in_the_wrong_zone_makes_no_likely_theft(tmp_path):
    city = a_bad_city()
    city.meters[HOME] = meter_row(HOME, "R-2")
    answer = answer_of(city, tmp_path)
    assert [f for f in answer["findings"] if f["kind"] != "leak" and f["score"] > 0.2] == []
    assert verdicts(answer, "R-1")["high"] + verdicts(answer, "R-1")["not_assessable"] > 0


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda city: city.without(city.during(-9, 99)), id="no-rows"),
        pytest.param(lambda city: city.without(~city.of(HOME)), id="one-meter"),
        pytest.param(lambda city: its_clock(-25)(city, city.during(-9, 99)), id="all-clocks-years-back"),
        pytest.param(lambda city: its_register(lambda x: x * np.nan)(city, city.during(-9, 99)), id="all-nan"),
        pytest.param(lambda city: its_register(lambda x: x * 0)(city, city.during(-9, 99)), id="all-zero"),
    ],
)
def test_where_nothing_can_be_known_every_row_says_so(tmp_path, spoil):
    city = a_bad_city(days=5)
    spoil(city)
    answer = answer_of(city, tmp_path)
    assert found(answer) == set()
    assert [verdicts(answer, zone) for zone in ("CITY", "R-1", "R-2")] == [{"not_assessable": 5}] * 3


@pytest.mark.parametrize(("days", "homes"), [(1, 1), (1, 8), (2, 1)])
def test_a_day_and_a_meter_are_enough(tmp_path, days, homes):
    answer = answer_of(a_bad_city(days=days, homes=homes), tmp_path)
    assert found(answer) == set()
    assert verdicts(answer, "R-1").total() == days


def in_settings(**keys) -> Any:
    return lambda city: city.settings.update(keys)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda city: city.zones.__setitem__(1, "R-1,GONE,regulator,R-1,"), "zones.csv:3: column parent_id: 'GONE'"),
        (lambda city: city.zones.__setitem__(0, "CITY,R-1,city,City,"), "zones.csv:2: column parent_id: 'CITY' lies"),
        (lambda city: city.zones.append(city.zones[1]), "zones.csv:5: column zone_id: 'R-1' stands here twice"),
        (lambda city: city.meters.update(x=city.meters[HOME]), "meters.csv:20: column meter_id: 'M-1-3' stands here"),
        (lambda city: city.events.append("M-1-3,yesterday,exchange,,"), "events.csv:2: column time: 'yesterday'"),
        (lambda city: city.events.append("M-1-3"), "events.csv:2: column time: ''"),
        (lambda city: city.events.append("M-1-3,2025-11-05,account_close,,"), "events.csv:2: column event: 'account_c"),
        (lambda city: city.weather.append("2025-11-30,nan"), "weather.csv:5: column temperature_mean_c: 'nan'"),
        (in_settings(timezone='"Mars/Base"'), "dataset.toml: key timezone: "),
        (in_settings(timezone='"Asia"'), "dataset.toml: key timezone: "),
        (in_settings(gas_day_start='"25:00"'), "dataset.toml: key gas_day_start: "),
        (in_settings(customer_pressure_kpa="2.4"), "dataset.toml: key customer_pressure_kpa: "),
        (in_settings(customer_pressure_kpa="nan"), "dataset.toml: key customer_pressure_kpa: "),
        (in_settings(base_pressure_kpa="0"), "dataset.toml: key base_pressure_kpa: "),
        (in_settings(base_temperature_c="-273.15"), "dataset.toml: key base_temperature_c: "),
        (in_settings(start="0001-01-01T00:00:00Z"), "dataset.toml: key start: "),
        (in_settings(end="9999-12-31T00:00:00Z"), "dataset.toml: key end: "),
        (in_settings(end="2025-10-01T00:00:00Z"), "dataset.toml: key end: "),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_place_and_remedy(tmp_path, spoil, told):
    city = a_bad_city(days=1, homes=8)
    spoil(city)
    with pytest.raises(ConfigError) as error:
        answer_of(city, tmp_path)
    problems = [problem.removeprefix(f"{tmp_path / 'data'}/") for problem in error.value.problems]
    assert any(problem.startswith(told) for problem in problems), problems
    assert not (tmp_path / "findings.json").exists()


@pytest.mark.parametrize("name", ["dataset.toml", "zones.csv", "meters.csv", "readings.parquet"])
@pytest.mark.parametrize("content", [None, b"", bytes(range(256)) * 9], ids=["missing", "empty", "rubbish"])
def test_a_file_that_is_missing_empty_or_rubbish_is_named(tmp_path, name, content):
    def spoil(data):
        (data / name).unlink()
        if content is not None:
            (data / name).write_bytes(content)

    with pytest.raises(ConfigError) as error:
        answer_of(a_bad_city(days=1, homes=1), tmp_path, spoil)
    assert any(name in problem for problem in error.value.problems), error.value.problems


HURT = st.sampled_from(["time", "received", "register_m3"])
BAD = st.one_of(
    st.sampled_from([0.0, -1.0, 1e300, -1e300, float("nan"), float("inf"), 99_999.999, 1e6]),
    st.floats(-1e5, 1e7, allow_nan=False),
)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_whatever_few_readings_say_the_answer_holds_and_nobody_is_accused(tmp_path_factory, data):
    city = a_bad_city(days=4, homes=3)
    count = len(city.readings["time"])
    for _ in range(data.draw(st.integers(1, 6))):
        column, row = data.draw(HURT), data.draw(st.integers(0, count - 1))
        if column == "register_m3":
            city.readings[column][row] = data.draw(BAD)
        else:
            city.readings[column][row] = data.draw(st.integers(-(2**60), 2**60)) // 1_000_000 * 1_000_000
    answer = answer_of(city, tmp_path_factory.mktemp("hurt"))
    assert {kind for kind, _ in found(answer)} <= {"leak", "silent"}
