"""Random small cities with faults of every kind and valves that close, for property tests."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from hypothesis import strategies as st

from simulators.city import City, Plan, build_plan
from simulators.faults import HOUR_US, KINDS, Fault, FaultKind, Subject
from simulators.valves import Closure, Valves
from tests.simulators.droop import Droop

START = datetime(2026, 1, 1, 22, tzinfo=UTC)
DAYS = 4
SIZES = {
    FaultKind.THEFT_REVERSE: 0.4, FaultKind.SUPPLY_BIAS: -0.03, FaultKind.CARD_FRAUD: 50.0, FaultKind.UNAUTHORISED: 6.0,
}  # fmt: skip


@lru_cache(maxsize=8)
def plan_of(seed: int, sizes: tuple[int, ...] = (9, 7, 8)) -> Plan:
    return build_plan(seed, START, sizes, mix="town")


@lru_cache(maxsize=8)
def physics_of(seed: int) -> Droop:
    return Droop(plan_of(seed))


def assets_of(plan: Plan, kind: FaultKind) -> list[str]:
    assets = plan.assets
    return {
        Subject.METER: list(assets.meters),
        Subject.ZONE: [*assets.zones, *assets.parents],
        Subject.STATION: sorted(assets.stations),
        Subject.REGULATOR: list(assets.regulators),
        Subject.SUPPLY_METER: list(assets.supplies),
        Subject.ZONE_OR_METER: [*assets.zones, *assets.meters],
        Subject.VALVE: [*assets.regulators, *assets.meters],
    }[KINDS[kind].subject]


@st.composite
def faults_of(draw: st.DrawFn, plan: Plan) -> list[Fault]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(list(KINDS)))
        begin = draw(st.integers(-30, DAYS * 24))
        end = draw(st.none() | st.integers(begin, DAYS * 24))
        fault = Fault(
            str(number),
            kind,
            draw(st.sampled_from(assets_of(plan, kind))),
            (plan.start_hour + begin) * HOUR_US,
            None if end is None else (plan.start_hour + end) * HOUR_US,
            size=SIZES.get(kind, draw(st.floats(0.0, 1.0))),
            ramp_s=draw(st.sampled_from([0.0, 7200.0, 200_000.0])),
            position=draw(st.floats(0.0, 1.0)),
        )
        KINDS[kind].check(fault, plan.assets)
        found.append(fault)
    return found


@st.composite
def closures_of(draw: st.DrawFn, plan: Plan) -> list[Closure]:
    found = []
    for _ in range(draw(st.integers(0, 3))):
        asset = draw(st.sampled_from([*plan.assets.regulators, *list(plan.assets.meters)[:6]]))
        begin = draw(st.integers(0, DAYS * 24 * 60 - 1)) * HOUR_US // 60
        lasts = draw(st.none() | st.integers(1, 3000)) if draw(st.booleans()) else draw(st.integers(1, 90))
        start = plan.start_hour * HOUR_US + begin
        found.append(Closure(asset, start, None if lasts is None else start + lasts * HOUR_US // 60))
    return found


@st.composite
def cities(draw: st.DrawFn) -> City:
    seed = draw(st.integers(0, 3))
    plan = plan_of(seed)
    valves = Valves(past=draw(closures_of(plan)))
    return City(plan, draw(faults_of(plan)), valves, physics=physics_of(seed))
