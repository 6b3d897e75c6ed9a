"""Three vectors for each rule: it fires, it just does not, and what it needs is missing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.meterdata.case import Corrector
from gateway.meterdata.rules import RULES, codes_of, doubts, judge
from gateway.meterdata.series import DAY_US, HOUR_US
from tests.gateway.meterdata.cases import a_case, days_of, exchange, facts, neighbours_of, rows_of

MINUTE_US = HOUR_US // 60


def fired(code, case, column=0) -> Any:
    """Return (hour, evidence) of each firing on one meter."""
    found = RULES[code].judge(case)
    return [
        (int(found.time[row]) / HOUR_US, {name: float(values[row]) for name, values in found.numbers.items()})
        for row in np.flatnonzero(found.column == column)
    ]


def hours(code, case, column=0) -> Any:
    return [hour for hour, _ in fired(code, case, column)]


def on(day) -> Any:
    return day * 24.0


def test_v01_gap():
    gap = days_of([[1.0, 2.0, None, 4.0, 5.0]])
    assert fired("V01", gap) == [(24.0, {"gap_h": 48.0, "allowed_h": 36.0})]
    late = rows_of([[1.0, 2.0, 3.0, 4.0, 5.0]])
    just = [(0, time + (12 * HOUR_US if at == 2 else 0), value) for at, (_, time, value) in enumerate(late)]
    assert hours("V01", a_case(just, meters=1, days=4)) == []
    over = [(0, time + (12 * HOUR_US + MINUTE_US if at == 2 else 0), value) for at, (_, time, value) in enumerate(late)]
    assert hours("V01", a_case(over, meters=1, days=4)) == [24.0]
    assert hours("V01", days_of([[1.0, 2.0, 3.0, None, None]])) == [48.0], "after the last reading"
    assert hours("V01", a_case([], meters=1, days=3)) == []
    hourly = [10.0 + 0.1 * hour for hour in range(49)]
    for lost, wanted in (({24}, [23.0]), ({23}, []), ({10, 11}, []), ({10, 11, 12}, [9.0])):
        came = [None if hour in lost else value for hour, value in enumerate(hourly)]
        assert hours("V01", a_case(rows_of([came], HOUR_US), meters=1, days=2)) == wanted, lost


def test_v02_conflict():
    two = [(0, 0, 1.0), (0, DAY_US, 2.0), (0, DAY_US, 2.001)]
    assert fired("V02", a_case(two, meters=1, days=1)) == [(24.0, {"lowest_m3": 2.0, "highest_m3": 2.001})]
    assert hours("V02", a_case([*two[:2], two[1]], meters=1, days=1)) == []
    assert hours("V02", a_case([(0, 0, 1.0), (0, DAY_US, 2.0), (0, DAY_US, np.nan)], meters=1, days=1)) == []


def test_v03_rollover():
    rolled = days_of([[99_950.0, 99_990.0, 70.0, 80.0]])
    assert fired("V03", rolled) == [(48.0, {"before_m3": 99_990.0, "after_m3": 70.0, "hours": 24.0})]
    # 6 m3/h for a day, a fifth more, a minute more, twice more for an hour: 184.92 m3
    assert hours("V03", days_of([[99_900.0, 99_910.0, 94.9, 104.9]])) == [48.0]
    beyond = days_of([[99_900.0, 99_910.0, 95.0, 105.0]])
    assert hours("V03", beyond) == []
    assert hours("V05", beyond) == [48.0]
    unknown = facts(1, flow=0.0)
    assert hours("V03", days_of([[99_900.0, 99_990.0, 900.0, 910.0]], registers=unknown)) == [48.0]
    assert hours("V03", days_of([[500.0, 600.0, 5.0, 15.0]], registers=unknown)) == []


def test_v04_exchange():
    case = days_of([[50.0, 52.0, 1.0, 3.0]], exchanges=exchange(0, DAY_US + DAY_US // 2, 53.5, 0.25))
    assert fired("V04", case) == [(36.0, {"old_m3": 53.5, "new_m3": 0.25})]
    outside = days_of([[50.0, 52.0, 54.0]], exchanges=exchange(0, -1, 3.0, 50.0))
    assert hours("V04", outside) == []
    unread = days_of([[50.0, 52.0, 1.0, 3.0]], exchanges=exchange(0, DAY_US + DAY_US // 2, np.nan, np.nan))
    ((hour, evidence),) = fired("V04", unread)
    assert hour == 36.0
    assert np.isnan(list(evidence.values())).all()
    assert unread.built.intervals.step_units[:, 0].tolist() == [2000, -1, 2000]


def test_v05_reset():
    assert fired("V05", days_of([[500.0, 501.0, 3.0, 4.0]])) == [
        (48.0, {"before_m3": 501.0, "after_m3": 3.0, "hours": 24.0})
    ]
    assert hours("V05", days_of([[5000.0, 5001.0, 184.9, 185.9]])) == [48.0]
    assert hours("V05", days_of([[5000.0, 5001.0, 185.0, 186.0]])) == [], "too much to have been counted since"
    assert hours("V05", days_of([[500.0, 501.0, None, None]])) == []


def test_v06_backwards():
    assert hours("V06", days_of([[500.0, 501.0, 450.0, 451.0, 452.0]])) == [48.0]
    assert hours("V06", days_of([[500.0, 501.0, 500.999, 501.5, 502.0]])) == [], "one step of the register"
    assert hours("V06", days_of([[501.0, 501.0, 500.998, 500.999, 502.0]])) == [48.0]
    assert hours("V06", days_of([[500.0, None, None]])) == []


def test_v07_too_fast():
    # 6 m3/h for a day, a fifth more, a minute more, twice more for an hour, two register steps: 184.922 m3
    assert hours("V07", days_of([[2.0, 186.93]])) == [24.0]
    assert hours("V07", days_of([[2.0, 186.92]])) == []
    assert hours("V07", days_of([[1.0, 2.0, 9000.0, 9001.0]], registers=facts(1, flow=0.0))) == []
    assert hours("V07", days_of([[1.0, None, None, 3 * 172.8]])) == []


def test_an_hour_of_three_times_the_largest_flow_is_counted():
    def read(hour: int, last: float) -> Any:
        return a_case([(0, 0, 1.0), (0, HOUR_US, 2.0), (0, hour * HOUR_US, last)], meters=1, days=1)

    assert hours("V07", read(2, 2.0 + 3 * 6.0)) == []
    assert hours("V07", read(2, 2.0 + 5 * 6.0)) == [2.0]
    assert hours("V07", read(9, 2.0 + 8 * 3 * 6.0)) == [9.0], "but no meter does so for a third of a day"


def test_v08_spike():
    assert fired("V08", days_of([[500.0, 501.0, 9000.0, 503.0, 504.0]])) == [(48.0, {"value_m3": 9000.0})]
    assert hours("V08", days_of([[500.0, 501.0, 3.0, 503.0, 504.0]])) == [48.0]
    stays = days_of([[500.0, 501.0, 9000.0, 9001.0, 9002.0]])
    assert hours("V08", stays) == []
    assert hours("V07", stays) == [48.0]
    assert hours("V08", days_of([[500.0, 501.0, 9000.0]])) == [], "nothing after it to judge by"


def test_rollover_exchange_reset_and_backwards_are_four_outcomes():
    cases = {
        "V03": days_of([[99_950.0, 99_990.0, 70.0, 80.0]]),
        "V04": days_of([[500.0, 501.0, 3.0, 4.0]], exchanges=exchange(0, DAY_US + DAY_US // 2, 501.5, 2.0)),
        "V05": days_of([[500.0, 501.0, 3.0, 4.0]]),
        "V06": days_of([[500.0, 501.0, 450.0, 451.0]]),
    }
    for wanted, case in cases.items():
        assert [code for code in ("V03", "V04", "V05", "V06", "V07", "V08") if hours(code, case)] == [wanted]
    units = {code: case.built.intervals.step_units[1, 0] for code, case in cases.items()}
    # 10 m3 to the end and 70; 0.5 on the old meter and 1 on the new; no step in the others
    assert units == {"V03": 80_000, "V04": 1500, "V05": -1, "V06": -1}


def level(days, before, after, at) -> Any:
    uses = [before if day < at else after for day in range(days)]
    return list(np.round(100.0 + np.concatenate([[0.0], np.cumsum(uses)]), 3))


def one_day_of(use, days=12) -> Any:
    uses = [1.0] * (days - 1) + [use]
    return list(np.round(100.0 + np.concatenate([[0.0], np.cumsum(uses)]), 3))


def test_v09_unusual_use():
    assert fired("V09", days_of(neighbours_of([one_day_of(5.1)]))) == [
        (on(11), {"use_m3": pytest.approx(5.1), "expected_m3": pytest.approx(1.0), "class_m3": pytest.approx(1.0)})
    ]
    assert hours("V09", days_of(neighbours_of([one_day_of(5.0)]))) == []
    assert hours("V09", days_of(neighbours_of([one_day_of(5.1, days=7)]))) == [on(6)], "seven own days are enough"
    assert hours("V09", days_of(neighbours_of([one_day_of(5.1, days=6)]))) == []
    assert hours("V09", days_of([one_day_of(5.1)])) == [], "no class to compare with"
    season = [list(np.concatenate([[0.0], np.cumsum([3.0] * 11 + [18.0])])) for _ in range(6)]
    assert hours("V09", days_of(season)) == [], "all used more that day"
    low = [list(np.concatenate([[0.0], np.cumsum([3.0] * 11 + [0.5])]))]
    assert hours("V09", days_of(neighbours_of(low, a_day=3.0))) == [on(11)]
    away = [list(np.concatenate([[0.0], np.cumsum([3.0] * 9 + [0.5, 0.0, 0.5])]))]
    assert hours("V09", days_of(neighbours_of(away, a_day=3.0))) == []


def test_v10_zero_use():
    still = [10.0, 11.0] + [11.0] * 7
    assert hours("V10", days_of(neighbours_of([still]))) == [on(7)]
    assert hours("V10", days_of(neighbours_of([still[:-1]]))) == []
    assert hours("V10", days_of(neighbours_of([still], a_day=0.05))) == [], "nobody uses gas"
    gap = [10.0, 11.0, 11.0, 11.0, 11.0, None, None, 11.001, 11.001]
    assert hours("V10", days_of(neighbours_of([gap]))) == []
    assert hours("V10", days_of([still])) == [], "no peers"


def test_v11_repeated():
    rows = [(0, 0, 1.0), (0, DAY_US, 2.0), (0, DAY_US, 2.0), (0, DAY_US, 2.0)]
    first = DAY_US + MINUTE_US

    def case(*after) -> Any:
        return a_case(rows[: 2 + len(after)], meters=1, days=1, received=[0, first, *[first + late for late in after]])

    assert fired("V11", case(61_000_000, 5 * HOUR_US)) == [(24.0, {"copies": 2.0})]
    assert hours("V11", case(60_000_000)) == []
    assert hours("V11", a_case([], meters=1, days=1)) == []
    same_value_later = a_case([(0, 0, 1.0), (0, DAY_US, 1.0)], meters=1, days=1)
    assert hours("V11", same_value_later) == []


def test_v12_sum_check():
    registers = [[10.0, 11.0, None, None, 14.0, 15.0]]

    def case(*units) -> Any:
        return days_of(registers, before_units=np.array([[-1], *[[one] for one in units], [-1]]))

    assert fired("V12", case(1000, 1500, 2000)) == [(24.0, {"estimated_m3": 4.5, "register_m3": 3.0})]
    assert hours("V12", case(500, 500, 2000)) == [], "another sharing of the same step"
    assert hours("V12", case(-1, -1, -1)) == []
    open_end = days_of([[10.0, 11.0, None, None, None]], before_units=np.array([[-1], [900], [900], [900]]))
    assert hours("V12", open_end) == [], "no register to compare with yet"


def test_v13_multiplier():
    jump = days_of(neighbours_of([level(12, 1.0, 10.0, 6)]))
    ((hour, evidence),) = fired("V13", jump)
    assert hour == on(6)
    assert evidence["factor"] == pytest.approx(10.0)
    for factor in (100.0, 35.3, 0.1, 8.6):
        registers = facts(6, flow=0.0)
        assert hours("V13", days_of(neighbours_of([level(12, 2.0, 2.0 * factor, 6)]), registers=registers)) == [on(6)]
    assert hours("V13", days_of(neighbours_of([level(12, 1.0, 8.4, 6)]))) == []
    assert hours("V13", days_of(neighbours_of([level(10, 1.0, 10.0, 6)]))) == [], "four days after"
    back_home = list(np.round(100.0 + np.cumsum([0.0] * 5 + [0.5] + [3.5] * 6), 3))
    assert hours("V13", days_of(neighbours_of([back_home]))) == [], "nobody was at home before"
    lost = level(12, 1.0, 10.0, 6)
    lost[3] = lost[4] = None
    assert hours("V13", days_of(neighbours_of([lost]))) == []
    wide = days_of([[99_998.0, 99_999.999, 100_000.0]])
    assert [evidence["value_m3"] for _, evidence in fired("V13", wide)] == [100_000.0]


def test_v14_clock():
    def case(ahead_s, days=8) -> Any:
        rows = rows_of([[1.0 + day for day in range(days + 1)]])
        received = [time - int(ahead_s * 1e6) for _, time, _ in rows]
        return a_case(rows, meters=1, days=days, received=received)

    quiet = {"spread_s": 0.0, "drift_ppm": 0.0, "jumped": 0.0, "before_installation": 0.0}
    assert fired("V14", case(301)) == [(on(7), {"offset_s": 301.0, "suspect": 1.0, **quiet})]
    assert hours("V14", case(299)) == []
    early = replace(case(0), too_early=np.array([2]))
    assert fired("V14", early) == [(on(7), {**quiet, "offset_s": 0.0, "suspect": 0.0, "before_installation": 2.0})]
    monthly = replace(case(301), restated=np.arange(8) == 3)
    assert hours("V14", monthly) == [on(3)]
    assert hours("V14", a_case([], meters=1, days=3)) == []


def test_v15_valve_and_account():
    registers = [[10.0, 11.0, 11.004, 11.007]]
    shut = np.zeros((4, 1))
    assert hours("V15", days_of(registers, valve=shut)) == [on(0), on(1)], "0.003 m3 are three steps of the register"
    assert hours("V15", days_of(registers, valve=np.array([[0.0], [1.0], [0.0], [0.0]]))) == []
    assert hours("V15", days_of(registers, valve=np.full((4, 1), np.nan))) == []
    closed = days_of(registers, shut=np.array([[True], [False], [False]]))
    assert fired("V15", closed) == [(on(0), {"use_m3": 1.0, "valve_closed": 0.0, "account_shut": 1.0})]


def test_v16_card():
    registers = [[10.0, 11.0, 12.0]]
    assert fired("V16", days_of(registers, credit_m3=np.array([[50.0], [51.0], [54.1]]))) == [
        (on(1), {"use_m3": 1.0, "spent_m3": pytest.approx(3.1)})
    ]
    assert hours("V16", days_of(registers, credit_m3=np.array([[50.0], [51.0], [54.0]]))) == []
    assert hours("V16", days_of(registers, credit_m3=np.array([[50.0], [np.nan], [90.0]]))) == []


def test_v17_corrector():
    def case(base, measured=10.0, factor=3.0) -> Any:
        table = np.array([[base]])
        return days_of([[0.0, base]], corrector=Corrector(table, np.array([[measured]]), np.array([[factor]])))

    assert fired("V17", case(31.0)) == [(0.0, {"base_m3": 31.0, "expected_m3": 30.0})]
    assert hours("V17", case(30.9)) == []
    assert hours("V17", case(31.0, factor=np.nan)) == []
    assert hours("V17", case(0.5, measured=0.3)) == [], "too little to tell"


def test_v18_long_estimate():
    def case(days) -> Any:
        return days_of(neighbours_of([[1.0, 2.0] + [None] * days]))

    assert fired("V18", case(15)) == [(on(15), {"days": 15.0})]
    assert hours("V18", case(14)) == []
    assert hours("V18", a_case([], meters=1, days=16)) == [on(14)], "never read at all"
    assert hours("V18", replace(a_case([], meters=1, days=16), since_day=1)) == [on(15)], "nothing was read before"


def test_what_lasts_is_told_when_it_begins_and_again_on_restated_days_and_doubted_all_the_time():
    case = replace(days_of(neighbours_of([[1.0, 2.0] + [None] * 30])), restated=np.arange(31) == 20)
    assert hours("V18", case) == [on(15), on(20)]
    assert RULES["V18"].judge(case).until.tolist() == [case.bounds[30]] * 2
    marked = doubts(judge(case), case.bounds, 6)[:, 0] >> list(RULES).index("V18") & 1
    assert marked.tolist() == [0] * 15 + [1] * 16


def test_every_rule_has_its_vectors_and_its_line_in_the_documents():
    text = Path(__file__).read_text(encoding="utf-8")
    document = (Path(__file__).parents[3] / "docs" / "reading-audit.md").read_text(encoding="utf-8")
    for code, rule in RULES.items():
        assert f"def test_{code.lower()}_" in text
        assert f"| {code} |" in document
        assert f"`{rule.name}`" in document
        assert f"`{rule.result}`" in document


def test_doubts_fall_on_the_days_that_a_verdict_touches():
    case = days_of([[500.0, 501.0, None, 3.0, 4.0]])
    bits = doubts(judge(case), case.bounds, 1)[:, 0]
    # the gap from day 1 to day 3, and the reset that ends it
    assert [codes_of(int(day)) for day in bits] == [(), ("V01", "V05"), ("V01", "V05"), ()]


def test_doubts_name_no_rule_that_depends_on_the_way_of_a_reading():
    rows = [(0, 0, 1.0), (0, DAY_US, 2.0), (0, DAY_US, 2.0)]
    case = a_case(rows, meters=1, days=1, received=[0, DAY_US, 3 * DAY_US])
    assert hours("V11", case) == [24.0]
    assert not doubts(judge(case), case.bounds, 1).any()


def test_evidence_is_ready_for_json():
    for code, found in judge(days_of(neighbours_of([[1.0, 2.0, None, None, None, 500.0]]))).items():
        for name, values in found.numbers.items():
            assert len(values) == len(found.time), (code, name)
            json.dumps([float(value) for value in values])
