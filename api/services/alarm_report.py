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


def reports(parts: Parts, first: date, last: date) -> dict[str, Report]:
    """Return the report of each position over local days, both included. Blocks. Raises RefusedError 422 `bad_span`."""
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise RefusedError(422, "bad_span", f"1 to {LONGEST_DAYS} days, the first before the last")
    days = kpi.edges_of(first, last, parts.site.gas_day.timezone)
    begin, until = days[0][1], min(days[-1][2], parts.clock.now_us())
    if begin >= until:
        raise RefusedError(422, "bad_span", "that lies in the future")
    definitions = parts.desk.definitions
    seen: dict[str, _Seen] = {position: _Seen() for position in {one.position for one in definitions.values()}}
    with parts.state.read() as connection:
        hiding = _read(report_rows.journal_between(connection, begin, until), definitions, seen)
        for alarm_id, since, facts in report_rows.standing_now(connection):
            own = _of(alarm_id, definitions, seen)
            if own is not None:
                own.standing += [Span(since, None)] if since is not None and not facts["oos"] else []
                hiding.setdefault(alarm_id, [(begin, facts)])
    for alarm_id, changes in hiding.items():
        own = _of(alarm_id, definitions, seen)
        if own is not None:
            own.hidden += _spans(changes, until)
    return {
        position: kpi.report(own.lines, own.standing, own.hidden, days=days, until=until)
        for position, own in sorted(seen.items())
    }


def _read(
    rows: Iterable[JournalFacts], definitions: Mapping[str, Definition], seen: Mapping[str, _Seen]
) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Sort lines into positions; return what hid each alarm since when."""
    hiding: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
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
        if not hiding[row.alarm_id]:
            hiding[row.alarm_id].append((0, row.before))
        hiding[row.alarm_id].append((row.at, row.after))
    return dict(hiding)


def _of(alarm_id: str, definitions: Mapping[str, Definition], seen: Mapping[str, _Seen]) -> _Seen | None:
    definition = definitions.get(alarm_id.partition("@")[0])
    return None if definition is None else seen[definition.position]


def _spans(changes: list[tuple[int, dict[str, Any]]], until: int) -> list[Span]:
    spans: list[Span] = []
    ends = [at for at, _ in changes[1:]] + [until]
    for (begin, facts), end in zip(changes, ends, strict=True):
        kind = (
            "out_of_service" if facts["oos"] else "suppressed" if facts["sbd"] else "shelved" if facts["shelf"] else ""
        )
        if kind:
            spans.append(Span(begin, end, kind))
    return spans
