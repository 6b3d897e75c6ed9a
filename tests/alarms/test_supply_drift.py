"""A supply meter that begins to count wrong, told from gas that is lost, by the zone and the zone above it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from alarms.analysis.city import CityModel
from alarms.analysis.reconciliation import parents, shifts
from alarms.analysis.study import study
from alarms.detectors.supply_drift import SupplyDriftDetector
from alarms.findings import update
from gateway.model.finding import Finding, Verdict
from gateway.model.network import MeterKind, MeterRole
from gateway.model.quantity import Quantity
from tests.alarms.detector_city import OfCity
from tests.alarms.small_city import SmallCity, a_city, a_meter, a_window

DAYS, SINCE = 100, 60


@dataclass(frozen=True)
class Tree:
    """A small city with a supply meter of its own; of its supply meters each counts so much too much, (days, 3)."""

    city: SmallCity
    gain: Any

    @property
    def model(self) -> CityModel:
        network = self.city.model.network
        above = a_meter("V-0", "CITY", role=MeterRole.SUPPLY, kind=MeterKind.CORRECTOR, max_flow_m3h=2000.0)
        above = replace(above, digits=9, customer_class="", account="")
        return replace(self.city.model, network=replace(network, meters={**network.meters, "V-0": above}))

    @property
    def now(self) -> Any:
        return self.city.now

    def windows(self, order=None) -> Any:
        windows = self.city.windows(order)
        below = windows[Quantity.REGISTER_BASE_M3]
        step = np.diff(below.value, axis=0)
        step = np.concatenate([step, step.sum(axis=1, keepdims=True) * 1.001], axis=1) * (1.0 + self.gain)
        value = 1000.0 + np.concatenate([np.zeros((1, 3)), np.cumsum(step, axis=0)])
        windows[Quantity.REGISTER_BASE_M3] = a_window(
            Quantity.REGISTER_BASE_M3, below.times, [*below.assets, "V-0"], value
        )
        return windows

    def judged(self, days=DAYS) -> Any:
        part = Tree(self.city.first_days(days), self.gain[:days])
        found = SupplyDriftDetector(part.model).judge(study(part.model, part.windows(), part.now))
        return {name: (int(found.verdict[i]), found, i) for i, name in enumerate(found.assets)}


def a_tree(column=0, share=0.0, seed=1, **leak) -> Tree:
    gain = np.zeros((DAYS, 3))
    gain[SINCE:, column] = share
    city = a_city(days=DAYS, seed=seed)
    return Tree(city.leaking(**leak) if leak else city, gain)


class TestSupplyDrift(OfCity):
    abnormal = pytest.fixture(lambda self: "R-1")

    @pytest.fixture
    def city(self):
        return a_tree(0, 0.02)

    @pytest.fixture
    def detector(self, city):
        return SupplyDriftDetector(city.model)


@pytest.mark.parametrize(("column", "zone"), [(0, "R-1"), (1, "R-2")])
@pytest.mark.parametrize("share", [0.02, -0.02])
def test_a_supply_meter_that_counts_wrong_is_named_with_its_size_and_its_first_day(column, zone, share):
    judged = a_tree(column, share).judged()
    verdict, found, row = judged[zone]
    assert verdict == Verdict.ABNORMAL
    assert found.score[row] > 0.8
    assert found.value[row] == pytest.approx(share, abs=0.004)
    assert found.estimate_m3_per_day[row] * share > 0
    facts = found.evidence[row]
    assert facts["above_zone"] == "CITY"
    assert abs(date.fromisoformat(facts["first_day"]) - date(2025, 12, 31)).days <= 4
    assert {len(facts[name]) for name in ("days", "zone_loss_m3", "deficit_m3", "above_loss_m3")} == {70}
    other = next(one for name, one in judged.items() if name != zone)
    assert other[0] != Verdict.ABNORMAL


def test_gas_that_a_zone_loses_blames_no_meter():
    judged = a_tree(zone="R-1", first_day=SINCE, m3_per_day=6.0).judged()
    assert {name: one[0] for name, one in judged.items()} == {"R-1": Verdict.NORMAL, "R-2": Verdict.NORMAL}


def test_a_meter_above_that_counts_wrong_blames_none_below():
    judged = a_tree(2, 0.02).judged()
    assert {one[0] for one in judged.values()} == {Verdict.UNKNOWN}


def test_the_zone_at_the_top_is_never_judged():
    assert set(a_tree().judged()) == {"R-1", "R-2"}
    model = a_tree().model
    tree = model.tree(["V-0", "V-1", "V-2"])
    above = parents(tree)
    assert {tree.zones[row]: int(above[row]) for row in range(3)} == {
        "CITY": -1,
        "R-1": tree.zones.index("CITY"),
        "R-2": tree.zones.index("CITY"),
    }


def test_what_lies_long_ago_is_not_said_to_be_over():
    tree = a_tree(0, 0.02)
    recent = {
        quantity: replace(window, times=window.times[-31:], value=window.value[-31:], variance=window.variance[-31:])
        for quantity, window in tree.windows().items()
    }
    found = SupplyDriftDetector(tree.model).judge(study(tree.model, recent, tree.now))
    assert found.verdict[found.assets.index("R-1")] == Verdict.UNKNOWN


def test_a_finding_is_about_the_zone_and_ends_once_the_meters_agree_again():
    gain = np.zeros((DAYS, 3))
    gain[30:60, 0] = 0.03
    tree, known = Tree(a_city(days=DAYS), gain), list[Finding]()
    for days in (44, 50, 97, 100):
        part = Tree(tree.city.first_days(days), gain[:days])
        found = SupplyDriftDetector(part.model).judge(study(part.model, part.windows(), part.now))
        changes = update(known, [found], part.now, part.model.zone_for)
        for one in (*changes.raised, *changes.updated, *changes.ended):
            known = [*(f for f in known if (f.zone, f.episode_no) != (one.zone, one.episode_no)), one]
    first = next(one for one in known if one.episode_no == 1)
    assert (first.zone, first.meter, first.kind) == ("R-1", None, "supply_drift")


def test_of_healthy_zones_none_is_blamed_in_years():
    blamed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        flow = rng.uniform(1e3, 5e3, 7) * rng.normal(1.0, 0.05, (120, 7))
        whole = flow.sum(axis=1, keepdims=True) * 1.02
        own = flow * (0.01 + np.cumsum(rng.normal(0.0, 0.0005, (120, 7)), axis=0) + rng.normal(0.0, 0.004, (120, 7)))
        for zone in rng.choice(7, 3, replace=False):
            own[int(rng.integers(10, 110)) :, zone] += rng.uniform(0.01, 0.05) * flow[:, zone].mean()
        loss = np.concatenate([whole * (0.002 + rng.normal(0.0, 0.0006, (120, 1))), own], axis=1)
        loss[rng.random(loss.shape) < 0.03] = np.nan
        flows = (np.concatenate([whole, flow], axis=1), np.concatenate([0.02 * whole, flow], axis=1))
        above = np.array([-1, *([0] * 7)])
        blamed += sum(one.probability >= 0.6 for one in shifts(loss, np.zeros(loss.shape), flows, above))
    assert blamed == 0
