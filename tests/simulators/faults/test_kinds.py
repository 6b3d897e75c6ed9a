from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from gateway.model.quantity import Quantity
from simulators.city import City, Flows, Plan, build_plan
from simulators.faults import HOUR_US, KINDS, Fault, FaultKind
from tests.simulators.droop import Droop

START = datetime(2026, 1, 4, 22, tzinfo=UTC)
DAYS = 60
PLAN = build_plan(7, START, (12, 9), mix="town")
PHYSICS = Droop(PLAN)
FINDINGS = {
    "leak", "non_moving", "theft", "unauthorised", "ic_mismatch", "slow", "silent", "flow_when_closed",
}  # fmt: skip


def fault(kind: FaultKind, asset: str, size: float = 0.0, hour: int = 24, **more: float | str) -> Fault:
    made = Fault(
        "f", kind, asset, (PLAN.start_hour + hour) * HOUR_US, size=size, **more  # type: ignore[arg-type]
    )  # fmt: skip
    KINDS[kind].check(made, PLAN.assets)
    return made


def flows(*faults: Fault, days: int = DAYS) -> Flows:
    return City(PLAN, faults, physics=PHYSICS).flows(PLAN.start_hour, days * 24)


SOUND = flows()
USER = int(np.where(~PLAN.customers.ic_card, SOUND.passing.sum(axis=0), 0.0).argmax())
CARD = int(np.where(PLAN.customers.ic_card, SOUND.passing.sum(axis=0), 0.0).argmax())
METER, CARD_METER = (PLAN.customers.meters[at].meter_id for at in (USER, CARD))


def ratio(kind: FaultKind, size: float, name: str = "counted", ramp_s: float = 0.0) -> float:
    changed = flows(fault(kind, METER, size, ramp_s=ramp_s))
    before, after = getattr(SOUND, name)[:24, USER], getattr(changed, name)[:24, USER]
    assert np.array_equal(before, after)
    assert np.allclose(changed.passing + changed.stolen, SOUND.passing + SOUND.stolen)
    return float(getattr(changed, name)[24:, USER].sum() / getattr(SOUND, name)[24:, USER].sum())


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_has_an_entry_with_a_truth(kind: FaultKind) -> None:
    made = Fault("f", kind, "x", 0, size=KINDS[kind].least)
    truth = KINDS[kind].truth(made)
    assert truth.type
    assert (truth.finding is None) == (truth.cause is not None)
    assert truth.finding is None or truth.finding in FINDINGS
    assert set(truth.accepts) <= FINDINGS
    assert not truth.accepts or truth.finding in truth.accepts
    assert Fault.from_json(made.to_json()) == made
    with pytest.raises(ValueError, match="'x' is no"):
        KINDS[kind].check(made, PLAN.assets)


def test_shares_of_registers() -> None:
    assert ratio(FaultKind.STOPPED, 0.0) == 0.0
    assert ratio(FaultKind.SLOW, 0.6) == pytest.approx(0.6)
    assert 0.6 < ratio(FaultKind.SLOW, 0.6, ramp_s=60 * 86_400.0) < 0.95
    assert 0.5 < ratio(FaultKind.INTERMITTENT, 0.3) < 0.9
    assert ratio(FaultKind.BYPASS, 0.25, "passing") == pytest.approx(0.25)


def test_recipes_of_theft() -> None:
    assert 0.4 < ratio(FaultKind.THEFT_DAYS, 0.5, "passing") < 0.8
    assert 0.3 < ratio(FaultKind.THEFT_RAMP, 0.2, "passing", ramp_s=40 * 86_400.0) < 0.8
    assert 0.2 < ratio(FaultKind.THEFT_NIGHT, 0.0, "passing") < 0.95
    assert ratio(FaultKind.THEFT_SWAP, 0.9) == pytest.approx(0.9, abs=0.03)
    assert ratio(FaultKind.THEFT_REVERSE, 0.25) == pytest.approx(0.5, abs=0.15)
    capped = flows(fault(FaultKind.THEFT_CAP, METER, 0.2))
    assert capped.passing[24:, USER].max() <= 0.2 + 1e-12
    night = flows(fault(FaultKind.THEFT_NIGHT, METER, 0.0))
    local = (night.hours + 8) % 24
    assert np.array_equal(
        night.stolen[24:, USER] > 0, ((local >= 22) | (local < 6))[24:] & (SOUND.passing[24:, USER] > 0)
    )
    swapped = flows(fault(FaultKind.THEFT_SWAP, METER, 0.9)).counted[48:, USER].reshape(-1, 24)
    honest = flows(fault(FaultKind.THEFT_SWAP, METER, 1.0))
    assert honest.unregistered[24:, USER].sum() == pytest.approx(0.0, abs=1e-6)
    assert np.std(swapped, axis=1).max() < 0.2 * np.std(SOUND.counted[48:, USER].reshape(-1, 24), axis=1).max()


def test_leaks_grow_and_belong_to_their_level() -> None:
    zone, parent = PLAN.ground.regulator_zones[0], PLAN.parents[0]
    abrupt, growing = (
        flows(fault(FaultKind.LEAK, zone, 2.0)),
        flows(fault(FaultKind.LEAK, zone, 2.0, ramp_s=20 * 86_400.0)),
    )
    extra = abrupt.leak[:, 0] - SOUND.leak[:, 0]
    assert (extra[:24] == 0.0).all()
    assert np.allclose(extra[24:], 2.0)
    assert (growing.leak[24:48, 0] - SOUND.leak[24:48, 0]).max() < 0.2
    assert growing.leak[-1, 0] - SOUND.leak[-1, 0] == pytest.approx(2.0)
    above = flows(fault(FaultKind.LEAK, parent, 5.0))
    assert np.array_equal(above.supply, SOUND.supply)
    assert np.allclose(above.parent_leak[24:, 0] - SOUND.parent_leak[24:, 0], 5.0)
    inside = flows(fault(FaultKind.INSIDE_LEAK, METER, 0.05))
    assert np.allclose(inside.passing[24:, USER] - SOUND.passing[24:, USER], 0.05)
    assert inside.counted[24:, USER].sum() > SOUND.counted[24:, USER].sum()


def test_accounts_credit_valves_and_flags() -> None:
    used = flows(fault(FaultKind.UNAUTHORISED, METER, 3.0)).passing[24:, USER] - SOUND.passing[24:, USER]
    assert used.sum() / (DAYS - 1) == pytest.approx(3.0, rel=0.6)
    assert (used == 0.0).mean() > 0.3
    fraud = flows(fault(FaultKind.CARD_FRAUD, CARD_METER, 40.0))
    gap = fraud.purchased_m3 - fraud.left_m3 - City(PLAN, physics=PHYSICS).registers(SOUND.hours * HOUR_US).customer
    assert np.abs(gap[:24, CARD]).max() < 1e-6
    assert gap[26, CARD] == pytest.approx(-40.0, abs=1e-6)
    assert gap[-1, CARD] == pytest.approx(-80.0, abs=1e-6)
    open_ = flows(fault(FaultKind.FLOW_WHEN_CLOSED, CARD_METER))
    assert (open_.valve[24:, CARD] == 0).all()
    assert np.allclose(open_.passing[:, CARD], SOUND.passing[:, CARD], atol=1e-9)
    touched = flows(fault(FaultKind.TAMPER, METER, 0.5, detail="cover"))
    assert set(np.unique(touched.flags[24:, USER])) == {0, 2}
    assert touched.counted[24:, USER].sum() == pytest.approx(0.5 * SOUND.counted[24:, USER].sum())
    silent = flows(fault(FaultKind.METER_SILENT, METER))
    assert silent.silent[:, USER].tolist() == [False] * 24 + [True] * (DAYS - 1) * 24


def test_supply_bias_and_interruption() -> None:
    bias = flows(fault(FaultKind.SUPPLY_BIAS, PLAN.supply_meters[0], -0.02))
    assert np.array_equal(bias.supply, SOUND.supply)
    assert np.allclose(bias.supply_counted[24:, 0], 0.98 * SOUND.supply[24:, 0])
    work = flows(fault(FaultKind.INTERRUPTION, METER).ended((PLAN.start_hour + 30) * HOUR_US), days=3)
    assert (work.passing[24:30, USER] == 0.0).all()
    assert np.array_equal(work.passing[30:, USER], SOUND.passing[30:72, USER])
    zone = flows(fault(FaultKind.INTERRUPTION, "R-001").ended((PLAN.start_hour + 30) * HOUR_US), days=3)
    assert zone.supply[25:30, 0].max() == 0.0
    assert zone.supply[31, 0] > 0.0
    assert zone.pressure_kpa[29, 0] < 0.1


def test_regulators_that_creep_do_not_close_or_freeze() -> None:
    regulator = next(iter(PLAN.assets.regulators))
    plan = Plan(PLAN.seed, PLAN.start, PLAN.ground, PLAN.customers)
    pressure = {}
    for kind, size in ((None, 0.0), (FaultKind.CREEP, 0.5), (FaultKind.LOCK_UP, 0.5), (FaultKind.FREEZE, 0.5)):
        faults = [] if kind is None else [fault(kind, regulator, size)]
        pressure[kind] = City(plan, faults, physics=PHYSICS).flows(plan.start_hour, 240).pressure_kpa[:, 0]
        assert np.array_equal(pressure[kind][:25], pressure[None][:25])
    assert (pressure[FaultKind.CREEP] - pressure[None])[25:].max() > 0.05
    assert (pressure[FaultKind.LOCK_UP] - pressure[None])[25:].min() >= 0.0
    assert (pressure[FaultKind.FREEZE] - pressure[None])[25:].max() <= 0.0


def test_sensors() -> None:
    site = PLAN.ground.stations[-1].station_id
    begin = (PLAN.start_hour + 24) * HOUR_US + 1_234_567
    at = np.array([begin - HOUR_US, begin, begin + 5 * HOUR_US, begin + 60 * HOUR_US])
    sound = City(PLAN, physics=PHYSICS).station_columns(at)[site]

    def shown(kind: FaultKind, quantity: Quantity, size: float = 0.0, ramp_s: float = 0.0) -> np.ndarray:
        bad = Fault("f", kind, site, begin, size=size, ramp_s=ramp_s, detail=quantity.value)
        return City(PLAN, [bad], physics=PHYSICS).station_columns(at)[site][quantity]

    stuck = shown(FaultKind.SENSOR_STUCK, Quantity.FLOW_BASE_M3H)
    assert stuck[0] == sound[Quantity.FLOW_BASE_M3H][0]
    assert (stuck[1:] == sound[Quantity.FLOW_BASE_M3H][1]).all()
    drift = shown(FaultKind.SENSOR_DRIFT, Quantity.PRESSURE_GAUGE_KPA, 0.1, 10 * 3600.0)
    assert drift / sound[Quantity.PRESSURE_GAUGE_KPA] == pytest.approx([1.0, 1.0, 1.05, 1.1])
    gas = shown(FaultKind.SENSOR_DRIFT, Quantity.GAS_LEL_PCT, 3.0)
    assert gas - sound[Quantity.GAS_LEL_PCT] == pytest.approx([0.0, 3.0, 3.0, 3.0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"start_us": 1}, "whole hours"),
        ({"end_us": -HOUR_US}, "must not end before"),
        ({"size": float("nan")}, "finite"),
        ({"ramp_s": -1.0}, "not negative"),
        ({"position": 1.5}, "from 0 to 1"),
    ],
)
def test_what_is_no_fault_is_refused(change: dict[str, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Fault(**{"fault_id": "f", "kind": FaultKind.LEAK, "asset": "R-001", "start_us": 0, **change})  # type: ignore[arg-type]


def test_what_earlier_versions_wrote_is_read_and_nonsense_is_named() -> None:
    old = {"fault_id": "a", "kind": "leak", "asset": "R-001", "start_us": 0, "end_us": None, "size": 1.0, "ramp_s": 0.0}
    assert Fault.from_json(old).position == 0.5
    with pytest.raises(ValueError, match="this is no fault"):
        Fault.from_json({"kind": "leak"})
    with pytest.raises(ValueError, match="is not in 0 to 1"):
        KINDS[FaultKind.BYPASS].check(Fault("f", FaultKind.BYPASS, METER, 0, size=-0.1), PLAN.assets)
    with pytest.raises(ValueError, match="magnet, cover, reverse"):
        KINDS[FaultKind.TAMPER].check(Fault("f", FaultKind.TAMPER, METER, 0, size=1.0, detail="x"), PLAN.assets)


def test_leaks_that_would_tear_a_zone_open_are_refused() -> None:
    city = City(PLAN, [fault(FaultKind.LEAK, "R-001", 15.0)], physics=PHYSICS)
    more = Fault("g", FaultKind.LEAK, "R-001", PLAN.start_hour * HOUR_US, size=1e6)
    with pytest.raises(ValueError, match="would tear R-001 open"):
        city.check(more)
