from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from gateway.model.network import Zone, ZoneKind
from simulators.dataset.ledger import Effect, Ledger
from simulators.dataset.truth import Balance, Facts, Span, measured_zone, truth_of
from simulators.faults import HOUR_US, Fault, FaultKind

START = datetime(2024, 9, 30, 22, tzinfo=UTC)
HOUR = int(START.timestamp()) // 3600
ZONES = (
    Zone("CITY", "", ZoneKind.CITY, "city"),
    Zone("D-1", "CITY", ZoneKind.DISTRICT, "district"),
    Zone("R-001", "D-1", ZoneKind.REGULATOR, "one"),
    Zone("R-002", "D-1", ZoneKind.REGULATOR, "two, without a supply meter"),
    Zone("B-1", "R-001", ZoneKind.BUILDING, "house"),
)


def _fault(kind: FaultKind, asset: str, begin: int, end: int | None = None, **more: Any) -> Fault:
    ends = None if end is None else (HOUR + end) * HOUR_US
    return Fault(f"E-{kind}", kind, asset, (HOUR + begin) * HOUR_US, ends, **more)


def _facts(faults: tuple[Fault, ...], **more: Any) -> Facts:
    flow = np.full(10, 240.0)
    return Facts(
        name="made up",
        start=START,
        days=10,
        zones=ZONES,
        metered=frozenset({"CITY", "R-001"}),
        prompt=frozenset({"R-001"}),
        zone_of={"M-1": "R-001", "M-2": "B-1", "M-3": "R-002", "REG-001": "R-001"},
        faults=faults,
        balances={"CITY": Balance(2 * flow, flow / 10), "R-001": Balance(flow, flow / 20)},
        **more,
    )


def test_events_name_the_zone_with_a_supply_meter_and_when_they_show() -> None:
    faults = (
        _fault(FaultKind.STOPPED, "M-1", 30),
        _fault(FaultKind.BYPASS, "M-2", 40, 60, size=0.3),
        _fault(FaultKind.UNAUTHORISED, "M-3", 50, size=0.5),
        _fault(FaultKind.CARD_FRAUD, "M-1", 20, size=5.0),
        _fault(FaultKind.SLOW, "M-3", 20, size=0.5),
    )
    effects = {
        "E-stopped": Effect(HOUR + 35, None, 4.2),
        "E-bypass": Effect(None, None, 0.1),
        "E-unauthorised": Effect(HOUR + 99, HOUR + 120, 0.4),
        "E-card_fraud": Effect(HOUR + 20, HOUR + 25, None),
        "E-slow": Effect(HOUR + 20, None, 3.0),
    }
    events = {event["kind"]: event for event in truth_of(_facts(faults, effects=effects))["events"]}
    assert events["non_moving"] == {
        "id": "E-stopped", "kind": "non_moving", "type": "zero", "zone": "R-001", "meter": "M-1",
        "onset": "2024-10-02T04:00:00Z", "effective": "2024-10-02T10:00:00Z", "end": None,
        "accepts": ["non_moving", "theft"], "size_m3_per_day": 4.2,
    }  # fmt: skip
    assert events["theft"]["zone"] == "R-001"
    assert events["theft"]["effective"] == "2024-10-10T22:00:00Z", "it never shows: the end of the data"
    assert events["theft"]["end"] == "2024-10-03T10:00:00Z"
    assert events["unauthorised"]["zone"] == "CITY"
    assert events["unauthorised"]["effective"] == "2024-10-05T23:00:00Z", "when the reading arrives that shows it"
    assert events["ic_mismatch"]["effective"] == "2024-10-02T00:00:00Z"
    assert "size_m3_per_day" not in events["ic_mismatch"]
    assert events["slow"]["effective"] == "2024-10-10T22:00:00Z", "no balance and no reading shows it"


def test_leaks_are_sized_against_the_flow_of_their_zone() -> None:
    grows = _fault(FaultKind.LEAK, "R-001", 24, size=0.5, ramp_s=5 * 86400.0)
    truth = truth_of(_facts((grows,)))
    assert truth["events"][0] == {
        "id": "E-leak", "kind": "leak", "type": "growing", "zone": "R-001", "meter": None, "ramp_days": 5.0,
        "onset": "2024-10-01T22:00:00Z", "effective": "2024-10-01T22:00:00Z", "end": None,
        "size_m3_per_day": 12.0, "size_pct": 5.0,
    }  # fmt: skip
    assert truth["zones"]["R-001"] == {
        "kind": "regulator", "parent": "D-1", "clean": False, "prompt": True, "mean_flow_m3_per_day": 240.0,
    }  # fmt: skip
    assert truth["zones"]["CITY"]["clean"]
    assert truth["zones"]["CITY"]["parent"] is None
    assert truth["first_gas_day"] == "2024-10-01"
    assert len(truth["loss"]["CITY"]["loss_m3"]) == truth["gas_days"] == 10


def test_confounders_stay_within_the_dataset_and_dead_batteries_are_events() -> None:
    creep = _fault(FaultKind.CREEP, "REG-001", 24, size=0.2)
    facts = _facts(
        (creep,),
        spans=[Span("outage", "B-1", "M-2", HOUR - 50, HOUR + 5)],
        deaths=[Span("battery", "R-001", "M-1", HOUR + 100, HOUR + 9999)],
    )
    truth = truth_of(facts)
    assert truth["confounders"] == [
        {"cause": "outage", "zone": "R-001", "meter": "M-2", "start": "2024-09-30T22:00:00Z",
         "end": "2024-10-01T03:00:00Z"},
        {"cause": "regulator_creep", "zone": "R-001", "meter": None, "start": "2024-10-01T22:00:00Z",
         "end": "2024-10-10T22:00:00Z"},
    ]  # fmt: skip
    (silent,) = truth["events"]
    assert (silent["kind"], silent["type"], silent["meter"], silent["end"]) == ("silent", "battery", "M-1", None)
    assert silent["effective"] == "2024-10-06T02:00:00Z"


def test_the_zone_with_a_supply_meter_is_found_upwards_and_rings_end() -> None:
    assert measured_zone("B-1", ZONES, frozenset({"R-001"})) == "R-001"
    assert measured_zone("R-002", ZONES, frozenset({"R-001"})) == "R-002"
    ring = (Zone("A", "B", ZoneKind.DISTRICT, "a"), Zone("B", "A", ZoneKind.DISTRICT, "b"))
    assert measured_zone("A", ring, frozenset()) == "A"


class _City:
    """Two meters in one zone."""

    def __init__(self) -> None:
        meters = (SimpleNamespace(meter_id="M-1"), SimpleNamespace(meter_id="M-2"))
        customers = SimpleNamespace(meters=meters, zone=np.array([0, 0]))
        self.plan = SimpleNamespace(
            customers=customers, ground=SimpleNamespace(regulator_zones=("R-001",)), start_hour=HOUR
        )


def _flows(first_day: int, passing: np.ndarray, lost: float) -> Any:
    rows = len(passing)
    return SimpleNamespace(
        hours=HOUR + 24 * first_day + np.arange(rows),
        passing=passing,
        stolen=np.zeros_like(passing),
        unregistered=np.full(passing.shape, lost),
        supply=np.full((rows, 1), 3.0),
        leak=np.full((rows, 1), 0.5),
    )


def test_the_ledger_sums_days_finds_idle_homes_and_when_a_fault_shows() -> None:
    stopped = _fault(FaultKind.STOPPED, "M-2", 30)
    unknown = _fault(FaultKind.BYPASS, "M-9", 30, size=0.1)
    ledger = Ledger(cast("Any", _City()), (stopped, unknown))
    use = np.ones((240, 2))
    use[24:216, 0] = 0.0
    ledger.add(_flows(0, use[:48], 0.25))
    ledger.add(_flows(2, use[48:], 0.25))
    assert list(ledger.unread()) == [("E-stopped", 1, HOUR + 34)]
    ledger.read("E-stopped", HOUR + 40)
    assert list(ledger.unread()) == []
    sums = ledger.close()
    assert sums.supply_m3 == pytest.approx(np.full((10, 1), 72.0))
    assert sums.loss_m3 == pytest.approx(np.full((10, 1), 24 * (0.5 + 0.5)))
    assert sums.effects == {"E-stopped": Effect(HOUR + 33, HOUR + 40, 6.0)}
    (idle,) = sums.idle
    assert (idle.column, idle.first_hour, idle.end_hour) == (0, HOUR + 24, HOUR + 216)
