from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from gateway.model.network import MeterKind
from simulators.customers import Customers
from simulators.meters.arrivals import arrivals
from simulators.meters.battery import battery_v, low_battery
from simulators.meters.habits import ClockKind, Habits, Way, build_habits, mixes, supply_habits
from simulators.meters.troubles import (
    OUTAGE_BLOCK_H,
    clock_error_s,
    deaths,
    outages,
    resets,
    troubles,
)
from simulators.meters.written import as_written

HOUR = 482_136
SEED = 5


def town(customers: Customers, copies: int = 40) -> Customers:
    """As many customers again with other keys, for statistics: 6,400 of them."""
    count = len(customers)
    return replace(
        customers,
        meters=tuple(
            replace(meter, zone_id=f"{meter.zone_id}-{copy}", installed_on=date(2015, 1, 1) + timedelta(days=copy))
            for copy in range(copies)
            for meter in customers.meters
        ),
        key=np.arange(1, copies * count + 1),
    )


@pytest.fixture(scope="module")
def mixed(townspeople: Customers) -> Habits:
    return build_habits(SEED, town(townspeople))


@pytest.mark.parametrize("mix", ["prompt", "mixed", "poor"])
def test_the_shares_of_the_ways_are_those_of_the_mix(townspeople: Customers, mix: str) -> None:
    customers = town(townspeople)
    habits = build_habits(SEED, customers, mix)
    ic_card = np.array([meter.kind is MeterKind.IC_CARD for meter in customers.meters])
    remote = np.array([meter.kind is MeterKind.REMOTE for meter in customers.meters])
    for kind, mine in (("ic_card", ic_card), ("remote", remote)):
        for name, share in mixes()[mix][kind].items():
            assert abs((habits.way[mine] == Way[name.upper()]).mean() - share) < 0.03, (kind, name)
    assert (habits.way[~ic_card & ~remote] == Way.HOURLY).all()
    assert np.array_equal(habits.prompt, habits.way == Way.HOURLY)


def test_each_mix_has_shares_that_sum_to_one() -> None:
    for figures in mixes().values():
        for table in ("remote", "ic_card", "clocks"):
            assert abs(sum(figures[table].values()) - 1.0) < 1e-9


def test_a_zone_may_have_a_mix_of_its_own(townspeople: Customers) -> None:
    names = ["prompt" if zone == 0 else "poor" for zone in townspeople.zone]
    habits = build_habits(SEED, townspeople, names)
    assert (habits.way[townspeople.zone == 0] == Way.HOURLY).all()
    assert np.mean(habits.way[townspeople.zone != 0] == Way.HOURLY) < 0.3
    poor = build_habits(SEED, townspeople, "poor")
    assert np.array_equal(habits.lost[townspeople.zone != 0], poor.lost[townspeople.zone != 0])


def test_an_unknown_mix_and_a_wrong_number_of_them_are_refused(townspeople: Customers) -> None:
    with pytest.raises(ValueError, match="no mix rural; there are prompt, mixed, poor"):
        build_habits(SEED, townspeople, "rural")
    with pytest.raises(ValueError, match="no mix rural"):
        build_habits(SEED, townspeople, ["rural"] * len(townspeople))
    with pytest.raises(ValueError, match="1 mixes for 160 meters"):
        build_habits(SEED, townspeople, ["poor"])


def test_a_meter_has_the_same_habits_whoever_stands_beside_it(townspeople: Customers) -> None:
    whole = build_habits(SEED, townspeople)
    for zone in range(3):
        mine = np.flatnonzero(townspeople.zone == zone)
        alone = build_habits(SEED, replace(townspeople, meters=tuple(townspeople.meters[i] for i in mine),
                                           key=townspeople.key[mine]))  # fmt: skip
        part = whole.part(mine)
        for name in ("way", "group", "upload_s", "lost", "clock_off_s", "set_hour", "drift_ppm"):
            assert np.array_equal(getattr(alone, name), getattr(part, name)), name
    assert not np.array_equal(build_habits(SEED + 1, townspeople).way, whole.way)


def test_a_concentrator_serves_a_building_or_forty_meters_of_one_zone(townspeople: Customers) -> None:
    zones = ["tower"] * 30 + ["street"] * 130
    customers = replace(
        townspeople,
        meters=tuple(replace(meter, zone_id=zone) for meter, zone in zip(townspeople.meters, zones, strict=True)),
    )
    group = build_habits(SEED, customers, "prompt").group
    assert len(set(group[:30].tolist())) == 1
    assert not set(group[:30].tolist()) & set(group[30:].tolist())
    _, sizes = np.unique(group[30:], return_counts=True)
    assert sizes.max() <= 40
    assert len(sizes) in {4, 5}


def test_outages_are_as_many_and_as_long_as_the_mix_says_and_hit_all_meters_of_a_group(mixed: Habits) -> None:
    sums = np.zeros(3)
    for block in range(300, 330):
        spells = outages(mixed, block)
        hit = spells.end_hour > 0.0
        assert not hit[mixed.way >= Way.WALK].any()
        length = (spells.end_hour - spells.first_hour)[hit]
        assert length.min() > 0.19
        assert length.max() <= 336.01
        sums += [hit.sum(), (length > 10.0).sum(), spells.lost[hit].sum()]
        for group in np.unique(mixed.group[hit])[:5]:
            assert hit[mixed.group == group].all()
            assert np.ptp(spells.first_hour[mixed.group == group]) == 0.0
    by_group = (mixed.group >= 0).sum() * 30 * OUTAGE_BLOCK_H / 8766.0
    assert 1.3 < sums[0] / by_group < 1.7
    assert 0.45 < sums[1] / sums[0] < 0.55
    assert 0.25 < sums[2] / sums[0] < 0.35


def test_batteries_die_and_say_so_before(mixed: Habits) -> None:
    spells = deaths(mixed, HOUR // 17_532)
    dying = np.flatnonzero(spells.end_hour > 0.0)
    assert 0.004 < len(dying) / (mixed.way <= Way.DAILY_1).sum() / 2.0 < 0.008
    hours = np.floor(spells.first_hour[dying]).astype(np.int64)
    some = mixed.part(dying)
    own = np.arange(len(dying))
    at_death = battery_v(some, hours[None, :])[0]
    before = battery_v(some, hours[None, :] - 24 * 300)[0]
    assert low_battery(some, at_death[None, :]).all()
    lithium = some.lithium
    assert (before[lithium] > 3.4).all()
    assert (at_death[lithium] < 2.9).all()
    assert len(own) == len(at_death)


def test_alkaline_cells_fall_until_somebody_changes_them(mixed: Habits) -> None:
    card = mixed.part(np.flatnonzero(~mixed.lithium & (mixed.way == Way.CARD))[:50])
    voltage = battery_v(card, (HOUR + 24 * np.arange(900))[:, None])
    assert voltage.min() > 4.3
    assert voltage.max() < 6.5
    assert ((np.diff(voltage, axis=0) > 1.0).sum(axis=0) >= 1).all()
    assert low_battery(card, voltage).any()


def test_nobody_who_walks_by_reads_a_battery(mixed: Habits) -> None:
    voltage = battery_v(mixed, np.array([[HOUR]]))
    assert np.array_equal(np.isnan(voltage[0]), mixed.way == Way.WALK)
    assert not low_battery(mixed, voltage)[0, mixed.way == Way.WALK].any()


def test_synced_clocks_are_right_and_the_others_go_wrong_slowly(mixed: Habits) -> None:
    error = clock_error_s(mixed, (HOUR + np.arange(0, 8760, 24))[:, None])
    synced, never = mixed.clock == ClockKind.SYNCED, mixed.clock == ClockKind.NEVER_SYNCED
    assert np.abs(error[:, synced]).max() < 10.0
    assert np.abs(np.diff(error[:, never], axis=0)).max() < 86_400 * 50e-6
    assert np.median(np.abs(error[-1, never])) > 300.0
    off = np.abs(error[:, mixed.clock == ClockKind.HOURS_OFF])
    assert (off > 3000.0).all()


def test_clocks_start_again_and_are_set(mixed: Habits) -> None:
    count = sum((resets(mixed, block).end_hour > 0.0).sum() for block in range(310, 320))
    expected = mixed.resets_per_year.sum() * 10 * 1536 / 8766.0
    assert 0.8 < count / expected < 1.2


def test_troubles_are_cut_to_the_span_and_name_every_cause(mixed: Habits) -> None:
    found = troubles(mixed, HOUR, 8760)
    assert {one.cause for one in found} == {"outage", "outage_lost", "battery", "clock_reset", "clock_wrong", "misread"}
    assert all(HOUR <= one.first_hour < one.end_hour <= HOUR + 8760 for one in found)
    half = troubles(mixed, HOUR, 4000)
    cut = {(o.column, o.first_hour, min(o.end_hour, HOUR + 4000), o.cause) for o in found
           if o.first_hour < HOUR + 4000 and o.cause != "clock_wrong"}  # fmt: skip
    assert {(o.column, o.first_hour, o.end_hour, o.cause) for o in half if o.cause != "clock_wrong"} == cut
    assert troubles(mixed, HOUR, 0) == []


def test_people_write_whole_cubic_metres_and_sometimes_a_wrong_figure(mixed: Habits) -> None:
    mixed = mixed.part(np.flatnonzero(mixed.way >= Way.WALK))
    rows = arrivals(mixed, HOUR, 8760)
    shown = np.random.default_rng(1).uniform(0.0, 99_999.0, len(rows))
    written = as_written(mixed, rows.meter, rows.hour, shown)
    walked = mixed.way[rows.meter] == Way.WALK
    assert np.array_equal(written[~walked], shown[~walked])
    differs = np.floor(shown[walked]) != written[walked]
    assert (written[walked] == np.floor(written[walked])).all()
    assert ((written >= 0.0) & (written < 1e5)).all()
    assert 0.005 < differs.mean() < 0.011
    told = {(one.column, one.first_hour) for one in troubles(mixed, HOUR, 8760) if one.cause == "misread"}
    wrong = rows.rows(np.flatnonzero(walked)[differs])
    assert {*zip(wrong.meter.tolist(), wrong.hour.tolist(), strict=True)} == told
    assert as_written(mixed, wrong.meter[:1], wrong.hour[:1], np.array([0.4])).max() < 10.0


def test_supply_meters_are_prompt_and_have_good_clocks() -> None:
    habits = supply_habits(SEED, np.arange(500))
    assert habits.prompt.all()
    assert not {one.cause for one in troubles(habits, HOUR, 8760)} - {"outage"}
    assert np.abs(clock_error_s(habits, np.array([[HOUR]]))).max() < 5.0
    assert len(np.unique(habits.group)) == 500
