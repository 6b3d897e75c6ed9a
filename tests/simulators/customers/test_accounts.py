from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from gateway.model.network import MeterKind
from simulators.customers import Kind, account_events, build_customers, cards, hourly_use, is_open
from simulators.customers.calendar import day_number
from simulators.ground import Place
from simulators.networks.streets import build_ground
from simulators.weather import UTC_OFFSET_H

START = date(2024, 10, 1)
FIRST_DAY = day_number(START)
FIRST_HOUR = FIRST_DAY * 24 - UTC_OFFSET_H
GROUND = build_ground(2, [80] * 10)
CITY = build_customers(2, GROUND, START)


def test_events_say_when_an_account_changes() -> None:
    events = list(account_events(2, CITY, FIRST_HOUR, 365 * 24))
    days = FIRST_DAY + np.arange(-12, 365)
    opened = is_open(2, CITY, days)
    assert {event.event for event in events} == {"account_opened", "account_closed"}
    at_once = 0
    for event in events:
        at = (event.hour + UTC_OFFSET_H) // 24 - days[0]
        most = 3 if event.event == "account_opened" else 11
        state = opened[max(0, at - most) : at + 1, event.column]
        assert (np.diff(state.astype(np.int8)) != 0).any()
        at_once += int(opened[at, event.column] != opened[at - 1, event.column])
    assert 0.6 < at_once / len(events) < 1.0
    changes = int((np.diff(opened[12:].astype(np.int8), axis=0) != 0).sum())
    assert abs(changes - len(events)) < 0.1 * changes


def test_most_gas_on_a_closed_account_is_none() -> None:
    """What the events say about the accounts leaves little gas to those that are not open."""
    opened = np.tile([meter.account == "open" for meter in CITY.meters], (365 * 24, 1))
    for event in sorted(account_events(2, CITY, FIRST_HOUR, 365 * 24), key=lambda event: event.hour):
        opened[event.hour - FIRST_HOUR :, event.column] = event.event == "account_opened"
    some = np.flatnonzero(~opened.all(axis=0) & (CITY.kind != Kind.UNUSED))
    use = hourly_use(2, CITY.part(some), FIRST_HOUR + np.arange(365 * 24))
    outside = (use * ~opened[:, some]).sum(axis=0)
    assert 0 < (outside > 0.0).sum() < 0.15 * len(some)
    assert outside.sum() < 0.01 * use.sum()


@pytest.mark.parametrize("hours", [0, 1, 500])
def test_events_of_pieces_are_those_of_the_whole(hours: int) -> None:
    whole = list(account_events(2, CITY, FIRST_HOUR, 4000))
    pieces = [*account_events(2, CITY, FIRST_HOUR, hours), *account_events(2, CITY, FIRST_HOUR + hours, 4000 - hours)]
    assert sorted((e.column, e.hour) for e in pieces) == sorted((e.column, e.hour) for e in whole)


def test_no_gas_flows_on_an_account_that_is_not_open() -> None:
    days = FIRST_DAY + np.arange(0, 300, 30)
    opened = is_open(2, CITY, days)
    use = hourly_use(2, CITY, (days[:, None] * 24 - UTC_OFFSET_H + np.arange(24)).ravel())
    assert (~opened).any()
    assert (use.reshape(10, 24, -1).sum(axis=1)[~opened] == 0.0).all()


def test_the_company_file_agrees_with_the_first_day() -> None:
    opened = is_open(2, CITY, np.array([FIRST_DAY]))[0]
    states = np.array([meter.account for meter in CITY.meters])
    empty = CITY.kind == Kind.UNUSED
    assert (states[~opened] != "open").all()
    assert (states[opened & ~empty] == "open").all()
    assert {"closed", "never_opened"} <= set(states[empty])
    assert (CITY.start_m3[states == "never_opened"] == 0.0).all()


def test_meters_fit_their_customers() -> None:
    for meter, kind, winter in zip(CITY.meters, CITY.kind, CITY.winter_m3_d(), strict=True):
        assert meter.max_flow_m3h > winter / 24.0
        large = kind in (Kind.INDUSTRIAL, Kind.BOILER, Kind.CNG)
        assert (meter.kind is MeterKind.CORRECTOR) == large


def test_a_low_pressure_zone_has_no_customer_that_it_could_not_feed() -> None:
    assert CITY.winter_m3_d().max() < 500.0
    assert not (CITY.kind == Kind.CNG).any()


def test_the_plan_may_name_meters_and_classes() -> None:
    places = list(GROUND.places)
    places[3] = replace(places[3], meter_id="G-77", customer_class="industrial")
    places[4] = replace(places[4], customer_class="residential")
    named = build_customers(2, replace(GROUND, places=tuple(places)), START)
    assert (named.meters[3].meter_id, named.meters[3].customer_class) == ("G-77", "industrial")
    assert named.meters[4].customer_class == "residential"
    places[5] = replace(places[5], customer_class="castle")
    with pytest.raises(ValueError, match=r"castle.*residential, commercial"):
        build_customers(2, replace(GROUND, places=tuple(places)), START)
    with pytest.raises(ValueError, match="Z-9, which no regulator feeds"):
        build_customers(2, replace(GROUND, places=(Place("Z-9", 0.0, 0.0),)), START)


def test_a_ground_without_places_has_no_customers() -> None:
    nobody = build_customers(2, replace(GROUND, places=()), START)
    assert len(nobody) == 0
    assert hourly_use(2, nobody, FIRST_HOUR + np.arange(30)).shape == (30, 0)
    assert not list(account_events(2, nobody, FIRST_HOUR, 500))
    assert cards.step(2, nobody, FIRST_HOUR, cards.first_state(2, nobody), np.zeros((3, 0))).share.shape == (3, 0)
