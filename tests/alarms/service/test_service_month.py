"""What a month counts: what was cancelled for neither side, interruptions, delivery; figures open to their tickets."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alarms.service.brief import OnTime, make_brief
from alarms.service.brief_facts import CallFact, ClockFact, TicketFact
from alarms.service.calendar import official
from alarms.service.clocks import Standing, read_clock
from alarms.service.month import DeliveryFact, StopFact, count_delivery, count_stops
from alarms.service.policy import shipped
from gateway.model.interruption import Interruption

RAISED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ARRIVE = next(row for row in shipped() if row.id == "emergency_arrive_city")
STAY = next(row for row in shipped() if row.id == "emergency_stay")


def minute(count: float) -> datetime:
    return RAISED + timedelta(minutes=count)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ({"cancelled": [minute(10)]}, Standing.CANCELLED),
        ({"cancelled": [minute(31)]}, Standing.NOT_RECORDED),
        ({"arrived": [minute(9)], "cancelled": [minute(10)]}, Standing.MET),
        ({"arrived": [minute(40)], "cancelled": [minute(50)]}, Standing.BREACHED),
        ({"cancelled": [minute(10)], "completed": [minute(20)]}, Standing.NOT_RECORDED),
        ({"completed": [minute(20)]}, Standing.NOT_RECORDED),
    ],
)
def test_a_cancelled_ticket_breaks_only_what_was_broken_before(
    steps: dict[str, list[datetime]], expected: Standing
) -> None:
    state = read_clock(ARRIVE, {"raised": [RAISED], **steps}, minute(60), official(), ended=True)
    assert state.standing is expected


def test_who_never_had_to_stay_breaks_nothing_by_a_cancelling() -> None:
    steps = {"raised": [RAISED], "cancelled": [minute(10)]}
    assert read_clock(STAY, steps, minute(60), official(), ended=True).standing is Standing.CANCELLED


def stop(number: int, **changes: object) -> Interruption:
    plan = Interruption(f"I-{number}", ("R-1",), (), "works", False, RAISED, RAISED, RAISED + 8 * HOUR, "li")
    return replace(plan, **changes)  # type: ignore[arg-type]


def test_interruptions_are_counted_by_what_was_promised_and_what_happened() -> None:
    plans = [
        stop(1, closed_at=RAISED, restored_at=RAISED + 23 * HOUR),
        stop(2, closed_at=RAISED, restored_at=RAISED + 25 * HOUR, zones=("R-2",)),
        stop(3, emergency=True, closed_at=RAISED, zones=("R-3",)),
        stop(4, cancelled_at=RAISED, zones=("R-2",)),
        stop(5, short_notice=True, planned_start=RAISED + 100 * HOUR),
    ]
    told = {"I-1": 12, "I-5": 3, "I-4": 99}
    found = count_stops([StopFact(plan, told.get(plan.id, 0)) for plan in plans], plans)
    assert found.planned == ("I-1", "I-2", "I-5")
    assert found.emergencies == ("I-3",)
    assert found.cancelled == ("I-4",)
    assert found.short_notice == ("I-5",)
    assert found.untold == ("I-2",)
    assert found.overrun == ("I-2",)
    assert found.repeated == ("R-1",)
    assert found.told == 15


def test_delivery_is_counted_by_ticket() -> None:
    facts = [
        DeliveryFact("T-1", True, 1, 0, 0, False),
        DeliveryFact("T-2", True, 4, 1, 0, False),
        DeliveryFact("T-3", False, 9, 0, 1, True),
    ]
    found = count_delivery(facts, {"gap": 2})
    assert (found.confirmed, found.unconfirmed) == (("T-1", "T-2"), ("T-3",))
    assert (found.retried, found.dead, found.fallbacks, found.by_phone) == (
        ("T-2", "T-3"),
        ("T-2",),
        ("T-3",),
        ("T-3",),
    )
    assert found.differences == {"gap": 2}


def test_each_figure_opens_to_as_many_tickets_as_it_counts() -> None:
    dice = random.Random(5)
    standings = list(Standing)
    tickets = [
        TicketFact(
            f"T-{number}", dice.choice(("EMERGENCY", "REPAIR", "SERVICE")), dice.choice(("leak", "complaint")),
            dice.choice(("alarm", "other")), dice.choice(("D-1", "D-2")), dice.choice(("", "crew 1")), RAISED,
            dice.choice((None, minute(1))), None, dice.choice((None, minute(9))), None,
            dice.randrange(3), dice.randrange(2),
            tuple(ClockFact(name, name, dice.choice(standings), None, None) for name in ("depart", "arrive")),
            dice.randrange(2),
        )
        for number in range(200)
    ]  # fmt: skip
    calls = [CallFact("station", True, True, {"skill": dice.randrange(1, 6)}, True, one.ticket_no) for one in tickets]
    found = make_brief("2026-11", tickets, calls)

    def count(figure: str) -> int:
        return len(found.opened.get(figure, ()))

    groups: list[tuple[str, dict[str, OnTime]]] = [
        ("all", {"": found.on_time}), ("emergencies", {"": found.emergencies}), ("clock", dict(found.by_clock)),
        ("district", dict(found.by_district)), ("crew", dict(found.by_crew)),
    ]  # fmt: skip
    for group, named in groups:
        for name, figures in named.items():
            for figure in ("kept", "late", "not_recorded", "open", "cancelled"):
                assert count(f"{group}:{name}:{figure}") == getattr(figures, figure) > 0, (group, name, figure)
    assert count("all::tickets") == 200
    assert (count("all::reopened"), count("all::late_entries")) == (found.reopened, found.late_entries)
    assert count("all::not_believed") == found.not_believed > 0
    assert count("type:complaint:tickets") == found.complaints > 0
    assert count("called:station:satisfied") == found.called["station"].satisfied > 0
    assert count("took:arrived:tickets") == found.took["arrived"].count
    late = Counter(one.ticket_no for one in found.breaches if one.standing is not Standing.NOT_RECORDED)
    assert Counter(found.opened["all::late"]) == late
