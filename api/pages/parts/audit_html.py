"""HTML of the audit trail, and the same lines as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from api.pages.parts import act_words, detail_words
from api.pages.parts.export_html import export
from api.pages.parts.html import empty
from api.pages.parts.people_html import options, stamp
from api.pages.parts.table_html import table
from api.services import audit_trail
from api.text import Texts
from gateway.errors import RefusedError
from gateway.model.reading import from_us
from gateway.store.user_rows import AuditFilter, AuditRow

_FIELDS = ("who", "act", "subject", "first", "last")


def filter_of(asked: Mapping[str, str], timezone: str) -> AuditFilter:
    """Return which lines an address asks for. Raises RefusedError 422."""
    return audit_trail.wanted(
        asked.get("who", ""),
        asked.get("act", ""),
        asked.get("subject", ""),
        _local(asked.get("first", ""), timezone),
        _local(asked.get("last", ""), timezone),
    )


def filters(asked: Mapping[str, str], acts: Sequence[str], tr: Texts) -> str:
    """Return the form that narrows the trail down."""
    groups = sorted({act.partition(".")[0] for act in acts if "." in act})
    known = [("", tr("every act")), *((name, f"{name}.…") for name in groups)]
    known += [(act, act_words.act(act, tr)) for act in acts]

    def box(name: str, label: str, kind: str = "text") -> str:
        value = escape(asked.get(name, ""))
        return (
            f'<label>{escape(label)}<input class="gg-input" type="{kind}" name="{name}" value="{value}" '
            'maxlength="120" autocomplete="off"></label>'
        )

    chosen = options(asked.get("act", ""), known)
    wish = {name: asked[name] for name in _FIELDS if asked.get(name)}
    clear = f'<a class="gg-button" href="/audit-trail">{escape(tr("Show all"))}</a>' if wish else ""
    return (
        f'<form method="get" action="/audit-trail" role="search">{box("who", tr("Who"))}'
        f'<label>{escape(tr("Act"))}<select class="gg-input" name="act">{chosen}</select></label>'
        f"{box('subject', tr('On what'))}{box('first', tr('From'), 'datetime-local')}"
        f"{box('last', tr('Until'), 'datetime-local')}"
        f'<button class="gg-button primary" type="submit">{escape(tr("Find"))}</button>{clear}'
        f"{export(tr, 'audit-trail', **wish)}</form>"
    )


def lines(rows: Sequence[AuditRow], asked: Mapping[str, str], tr: Texts, timezone: str, *, more: bool) -> str:
    """Return lines with the way to older ones."""
    if not rows:
        return nothing(tr("No line of the audit trail matches."))
    body = "".join(_line(row, tr, timezone) for row in rows)
    head = (tr("When"), tr("Who"), tr("Act"), tr("On what"), tr("How and why"), tr("From where"))
    wish = {name: asked[name] for name in _FIELDS if asked.get(name)}
    newest = f'<a class="gg-button" href="/audit-trail?{escape(urlencode(wish))}">{escape(tr("Newest"))}</a>'
    query = escape(urlencode({**wish, "before": rows[-1].seq}))
    older = f'<a class="gg-button" href="/audit-trail?{query}">{escape(tr("Older"))}</a>' if more else ""
    ways = f"{newest if asked.get('before') else ''}{older}"
    return table(head, body, classes="gg-trail") + (f'<nav class="gg-pages">{ways}</nav>' if ways else "")


def nothing(text: str) -> str:
    """Return that there is nothing to see."""
    return f'<div class="gg-empty">{empty(text)}</div>'


def _line(row: AuditRow, tr: Texts, timezone: str) -> str:
    told = escape(detail_words.detail(row.detail, tr))
    subject = escape(detail_words.subject(row.subject, tr))
    return (
        f"<tr><td>{stamp(from_us(row.at), timezone)}</td><td>{escape(detail_words.who(row.who, tr))}</td>"
        f'<td title="{escape(row.act)}">{escape(act_words.act(row.act, tr))}</td>'
        f'<td title="{subject}">{subject}</td><td class="dim" title="{told}">{told}</td>'
        f'<td class="dim">{escape(detail_words.origin(row.origin, tr))}</td></tr>'
    )


def file_rows(rows: Iterator[AuditRow], tr: Texts) -> Iterator[tuple[Any, ...]]:
    """Yield the lines of the file."""
    for row in rows:
        yield (
            row.seq,
            from_us(row.at),
            row.who,
            row.act,
            act_words.act(row.act, tr),
            row.subject,
            detail_words.detail(row.detail, tr),
            row.origin,
        )


def _local(text: str, timezone: str) -> datetime | None:
    """Return a moment that was typed in the site's time, None for nothing. Raises RefusedError 422."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone))
    except ValueError:
        raise RefusedError(422, "bad_time", "a time such as 2026-01-31T06:00") from None
