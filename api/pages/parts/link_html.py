"""HTML of the links to devices and brokers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

from api.pages.parts.html import empty
from api.pages.parts.system_html import away
from api.pages.parts.table_html import table
from api.services import pulse
from api.services.format import UNKNOWN, clock_time, number, significant
from api.text import Texts

MOST_LINKS = 300


def links(
    status: Mapping[str, Any] | None, problem: str, tr: Texts, timezone: str, now: datetime, *, chosen: str = ""
) -> str:
    """Return every link with its state and last answer, the chosen one first."""
    if status is None:
        return away(problem, tr)
    known = pulse.links(status)
    if not known:
        return f'<div class="gg-empty">{empty(tr("No link is configured."))}</div>'
    known.sort(key=lambda link: link.name != chosen)
    rows = "".join(_link(link, tr, timezone, now, chosen=link.name == chosen) for link in known[:MOST_LINKS])
    more = len(known) - MOST_LINKS
    if more > 0:
        text = escape(tr("and {count} more, all of them no worse", count=number(more)))
        rows += f'<tr class="gg-between"><td colspan="6">{text}</td></tr>'
    head = (tr("Link"), tr("Errors, %"), tr("Last answer"), tr("State"), tr("Request plan"), tr("Detail"))
    return table(head, rows, numbers=1, classes="gg-links")


def state_of(link: pulse.Link, tr: Texts) -> str:
    """Return whether a link answers."""
    said = tr("not tried yet") if link.up is None else tr("answers") if link.up else tr("does not answer")
    return f'<span class="gg-state{" bad" if link.up is False else ""}">{escape(said)}</span>'


def _link(link: pulse.Link, tr: Texts, timezone: str, now: datetime, *, chosen: bool) -> str:
    state = state_of(link, tr)
    if link.next_try is not None:
        state += f"<small>{escape(tr('next try'))} {clock_time(link.next_try, timezone, now)}</small>"
    rate = number(100 * link.recent_failed / link.recent) if link.recent else UNKNOWN
    of = escape(tr("{failed} of the last {polls} polls failed", failed=link.recent_failed, polls=link.recent))
    plan = UNKNOWN
    if link.requests:
        plan = escape(
            tr(
                "requests: {requests}, addresses: {addresses}, every {seconds} s",
                requests=number(link.requests),
                addresses=number(link.addresses),
                seconds=number(link.period_s) if link.period_s >= 1 else significant(link.period_s),
            )
        )
    error = escape(link.error[:200])
    return (
        f'<tr{" aria-current=true" if chosen else ""}><td title="{escape(link.name)}">{escape(link.name)}</td>'
        f'<td class="num" title="{of}">{rate}</td>'
        f"<td>{clock_time(link.last_good, timezone, now)}</td><td>{state}</td><td>{plan}</td>"
        f'<td class="dim" title="{error}">{error}</td></tr>'
    )
