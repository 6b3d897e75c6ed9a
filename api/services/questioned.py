"""Readings that a rule questioned: the list of those that wait for an auditor, and accepting or rejecting them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services.customers import text_for
from api.services.decisions import choose, set_day
from gateway.errors import RefusedError
from gateway.meterdata.rules import RULES
from gateway.model.reading import from_us, to_us
from gateway.store import questioned_rows
from gateway.store.questioned_rows import Questioned, VerdictDecision
from gateway.store.state import Transaction

SILENT = ("V11", "V12")
"""rules that tell how readings came or what was settled since: nothing is to be decided"""
ASKED = tuple(code for code in RULES if code not in SILENT)
PAGE = 100
MOST_COUNTED = 5_000
BACK = timedelta(days=400)
"""verdicts are listed for so long"""
SHORTEST_REASON = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One questioned reading, or run of gas days."""

    id: int
    meter: str
    address: str
    customer_class: str
    zone: str
    zone_name: str
    rule: str
    name: str
    result: str
    source_time: datetime
    since: datetime
    until: datetime
    gas_day: date
    evidence: Mapping[str, float | None]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, by whom."""

    meter: str
    rule: str
    name: str
    source_time: datetime
    accepted: bool
    who: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What an auditor says of a case: accept it, or reject it and say what the gas day comes to."""

    accept: bool
    reason: str
    value_m3: float | None = None
    """of several values of one moment (V02) the one that counts"""
    gas_day: date | None = None
    volume_m3: float | None = None
    """of a rejected one: the volume of its gas day"""


def cases(
    parts: Parts, user: User, rules: Sequence[str], *, before: int | None = None, limit: int = PAGE
) -> list[Case]:
    """Return cases that nobody decided on, the newest first. Blocks."""
    wanted = [code for code in rules if code in ASKED] if rules else list(ASKED)
    after = to_us(parts.clock.now() - BACK)
    with parts.state.read() as connection:
        rows = questioned_rows.questioned(
            connection, rules=wanted, written_after=after, before=before, limit=min(limit, PAGE)
        )
    return [_case(parts, user, row) for row in rows]


def counts(parts: Parts) -> Mapping[str, int]:
    """Return how many cases of each rule wait, at most `MOST_COUNTED` in all. Blocks."""
    after = to_us(parts.clock.now() - BACK)
    with parts.state.read() as connection:
        found = questioned_rows.count_by_rule(connection, written_after=after, limit=MOST_COUNTED)
    return {code: found[code] for code in ASKED if code in found}


def decisions(parts: Parts, limit: int = PAGE) -> list[Decision]:
    """Return what was decided, the newest first. Blocks."""
    with parts.state.read() as connection:
        rows = questioned_rows.decided(connection, min(limit, PAGE))
    return [
        Decision(
            row.meter, row.rule, _name(row.rule), from_us(row.source_time), row.accepted, row.who, row.reason,
            from_us(row.at),
        )
        for row in rows
    ]  # fmt: skip


async def decide(parts: Parts, user: User, case_id: int, answer: Answer) -> Decision:
    """Accept or reject a questioned reading.

    Accepted, it counts as it is; of several values of a moment one must be named. Rejected, its gas day is set by hand
    to the volume that the auditor says. Raises RefusedError 401, 403, 404 `unknown_case` where another decided
    meanwhile or the rule took it back, 422 `reason_required`, `value_required`, `volume_required`, and what `choose`
    and `set_day` raise; TransientError.
    """
    parts.auth.permit(user, Act.READING_DECIDE)
    if len(answer.reason.strip()) < SHORTEST_REASON:
        raise RefusedError(422, "reason_required", "say why")
    row = await asyncio.to_thread(_find, parts, case_id)
    decision = Decision(
        row.meter, row.rule, _name(row.rule), from_us(row.source_time), answer.accept, user.name,
        answer.reason.strip(), parts.clock.now(),
    )  # fmt: skip
    # in the transaction of what follows from it: of two people who decide at once, one changes nothing
    claim = partial(_claim, case_id, decision)
    if not answer.accept:
        if answer.volume_m3 is None or answer.volume_m3 < 0:
            raise RefusedError(422, "volume_required", "say what the gas day comes to")
        day = answer.gas_day or _day(parts, row)
        await set_day(parts, user, row.meter, day, answer.volume_m3, reason=answer.reason, also=claim)
    elif row.rule == "V02":
        if answer.value_m3 is None:
            raise RefusedError(422, "value_required", "say which of the values counts")
        await choose(parts, user, row.meter, decision.source_time, answer.value_m3, reason=answer.reason, also=claim)
    else:
        await asyncio.to_thread(_write, parts, claim)
    return decision


def _find(parts: Parts, case_id: int) -> Questioned:
    with parts.state.read() as connection:
        row = questioned_rows.find(connection, case_id)
    if row is None or row.rule not in ASKED:
        raise RefusedError(404, "unknown_case", "somebody decided, or the rule took it back")
    return row


def _write(parts: Parts, claim: Callable[[Transaction], None]) -> None:
    with parts.state.write() as connection:
        claim(connection)


def _claim(case_id: int, decision: Decision, connection: Transaction) -> None:
    row = questioned_rows.find(connection, case_id)
    if row is None:
        raise RefusedError(404, "unknown_case", "somebody decided meanwhile")
    questioned_rows.decide(
        connection,
        VerdictDecision(
            row.meter, row.point_id, row.source_time, row.rule, row.revision, decision.accepted, decision.who,
            decision.reason, to_us(decision.at),
        ),
    )  # fmt: skip


def _case(parts: Parts, user: User, row: Questioned) -> Case:
    network = parts.network
    meter = network.meters.get(row.meter)
    zone = "" if meter is None else meter.zone_id
    return Case(
        id=row.id,
        meter=row.meter,
        address="" if meter is None else text_for(user, meter.address),
        customer_class="" if meter is None else meter.customer_class,
        zone=zone,
        zone_name=network.name_of(zone) if zone else "",
        rule=row.rule,
        name=_name(row.rule),
        result=row.result,
        source_time=from_us(row.source_time),
        since=from_us(row.since),
        until=from_us(row.until),
        gas_day=_day(parts, row),
        evidence=dict(row.evidence),
        written_at=from_us(row.written_at),
    )


def _day(parts: Parts, row: Questioned) -> date:
    return parts.site.gas_day.of(from_us(row.source_time))


def _name(rule: str) -> str:
    return RULES[rule].name if rule in RULES else ""
