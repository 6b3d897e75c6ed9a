"""The report on the alarm system: journal and definitions joined, per operating position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from alarms import kpi
from alarms.kpi import Line, Report, Span
from api.deps import Parts
from gateway.errors import RefusedError
from gateway.model.alarm import Definition
from gateway.store import report_rows
from gateway.store.report_rows import JournalFacts

LONGEST_DAYS = 400
Hiding = dict[str, list[tuple[int, dict[str, Any]]]]
"""by alarm the moments (us UTC) from which facts held"""
_SINCE: dict[str, Callable[[JournalFacts], int | None]] = {
    "raised": lambda row: row.after["source_at"],
    "returned": lambda row: row.before["condition_at"],
    "acknowledged": lambda row: row.after["raised_at"],
}


@dataclass
class _Seen:
    """What was read of one position."""

    lines: list[Line] = field(default_factory=list)
    standing: list[Span] = field(default_factory=list)
    hidden: list[Span] = field(default_factory=list)


def span_of_days(parts: Parts, first: date, last: date) -> tuple[list[tuple[date, int, int]], int, int]:
    """Return the local days with their ends, and the span as far as it is over, us UTC.

    Raises RefusedError 422 `bad_span`.
    """
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise RefusedError(422, "bad_span", f"1 to {LONGEST_DAYS} days, the first before the last")
    days = kpi.edges_of(first, last, parts.site.gas_day.timezone)
    begin, until = days[0][1], min(days[-1][2], parts.clock.now_us())
    if begin >= until:
        raise RefusedError(422, "bad_span", "that lies in the future")
    return days, begin, until


def reports(parts: Parts, first: date, last: date) -> dict[str, Report]:
    """Return the report of each position over local days, both included. Blocks. Raises RefusedError 422 `bad_span`."""
    days, begin, until = span_of_days(parts, first, last)
    definitions = parts.desk.definitions
    seen: dict[str, _Seen] = {position: _Seen() for position in {one.position for one in definitions.values()}}
    with parts.state.read() as connection:
        hiding = _read(report_rows.journal_between(connection, begin, until), definitions, seen)
        for alarm_id, since, facts in report_rows.standing_at(connection, until):
            own = _of(alarm_id, definitions, seen)
            if own is not None:
                own.standing += [Span(since, None)] if since is not None and not facts["oos"] else []
                hiding.setdefault(alarm_id, [(begin, facts)])
    for alarm_id, changes in hiding.items():
        own = _of(alarm_id, definitions, seen)
        if own is not None:
            own.hidden += spans(changes, until)
    return {
        position: kpi.report(own.lines, own.standing, own.hidden, days=days, until=until)
        for position, own in sorted(seen.items())
    }


def _read(rows: Iterable[JournalFacts], definitions: Mapping[str, Definition], seen: Mapping[str, _Seen]) -> Hiding:
    """Sort lines into positions; return what hid each alarm since when."""
    hiding: Hiding = defaultdict(list)
    for row in rows:
        own = _of(row.alarm_id, definitions, seen)
        if own is None:
            continue
        look = _SINCE.get(row.event)
        since = None if look is None else look(row)
        acked = bool(row.before["acked_at"])
        own.lines.append(Line(row.at, row.alarm_id, row.event, int(row.after["priority"]), since, acked))
        if row.event == "returned" and since is not None and not row.before["oos"]:
            own.standing.append(Span(since, row.at))
        note_hiding(hiding, row)
    return hiding


def note_hiding(hiding: Hiding, row: JournalFacts) -> None:
    """Note what hid an alarm before and after a line of the journal."""
    own = hiding.setdefault(row.alarm_id, [(0, row.before)])
    own.append((row.at, row.after))


def _of(alarm_id: str, definitions: Mapping[str, Definition], seen: Mapping[str, _Seen]) -> _Seen | None:
    definition = definitions.get(alarm_id.partition("@")[0])
    return None if definition is None else seen[definition.position]


def spans(changes: list[tuple[int, dict[str, Any]]], until: int) -> list[Span]:
    """Return when an alarm was hidden, by kind, up to a moment."""
    found: list[Span] = []
    ends = [at for at, _ in changes[1:]] + [until]
    for (begin, facts), end in zip(changes, ends, strict=True):
        kind = (
            "out_of_service" if facts["oos"] else "suppressed" if facts["sbd"] else "shelved" if facts["shelf"] else ""
        )
        if kind:
            found.append(Span(begin, end, kind))
    return found
