"""HTML of the board of tickets: cards, what is not delivered, differences, who was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from api.pages.parts import service_words, ticket_words, words
from api.pages.parts.html import clock, delivery_chip, empty, sort_key
from api.pages.parts.table_html import table
from api.services.format import UNKNOWN, clock_time, duration_s
from api.services.ticket_board import Figures, Undelivered, Wish
from api.services.views import TicketView, ticket_order
from api.text import Texts, mark
from gateway.model.ticket import Difference, TicketClass
from gateway.store.promise_rows import CallRow

DIFFERENCES = {
    "missing_there": mark("is gone there"),
    "missing_here": mark("was not known here"),
    "doubled": mark("stands there twice"),
    "state": mark("its state differs"),
    "field": mark("a field differs"),
    "gap": mark("a step is missing"),
    "collision": mark("its key stands for something else"),
}
COMMANDS = {
    "open": mark("ticket opened"),
    "update": mark("alarm added"),
    "note": mark("note to the crew"),
    "rtn": mark("alarm is over"),
    "cancel_request": mark("asked to cancel"),
}


def way(ticket_no: str) -> str:
    """Return the link to a ticket."""
    return f'<a class="gg-link" href="/tickets/{escape(ticket_no)}">{escape(ticket_no)}</a>'


def tools(wish: Wish, tr: Texts) -> str:
    """Return the filters of the board."""
    classes = [("", tr("All classes")), *((one.value, words.ticket_class(one.value, tr)) for one in TicketClass)]
    options = "".join(
        f'<option value="{key}"{" selected" if key == wish.ticket_class else ""}>{escape(name)}</option>'
        for key, name in classes
    )
    only = (("", tr("All")), ("late", tr("Promise not kept")), ("undelivered", tr("Not confirmed")))
    buttons = "".join(
        f'<button type="button" data-only="{key}" aria-pressed="{_yes(key == wish.only)}">{escape(name)}</button>'
        for key, name in only
    )
    hint = escape(tr("Number, place or name"))
    return (
        f'<select class="gg-input" name="class" aria-label="{escape(tr("Class"))}">{options}</select>'
        f'<span class="gg-seg">{buttons}</span><input class="gg-input" type="search" name="text" maxlength="80" '
        f'placeholder="{hint}" aria-label="{hint}" value="{escape(wish.text)}">'
    )


def figures(found: Figures, tr: Texts) -> str:
    """Return the figures beside the filters, coloured only if somebody must act."""
    shown = (
        (tr("open"), found.open, ""),
        (tr("too late now"), found.late, "bad"),
        (tr("promise not kept"), found.not_kept, "warn"),
        (tr("not confirmed"), found.waiting, "warn"),
        (tr("given up"), found.given_up, "bad"),
    )
    return "".join(
        f'<span class="gg-tally {kind if count else ""}"><b>{count}</b> {escape(name)}</span>'
        for name, count, kind in shown
    )


def card(view: TicketView, tr: Texts) -> dict[str, str]:
    """Return the card of a ticket on the board."""
    chips = [delivery_chip(view, tr)] if view.delivery not in {"", "confirmed"} else []
    if view.not_kept:
        text = escape(tr("{count} not kept", count=view.not_kept))
        chips.append(f'<span class="gg-chip bad">{text}</span>')
    kind = "grave" if view.ticket_class == TicketClass.EMERGENCY.value else ""
    state = escape(words.ticket_state(view.state, tr))
    where = escape(" · ".join(dict.fromkeys(filter(None, (view.asset, view.asset_name)))))
    html = (
        f'<div class="gg-card-ticket{"" if view.open else " ended"}"><div class="what">'
        f'<span class="gg-class {kind}">{escape(words.ticket_class(view.ticket_class, tr))}</span>'
        f"{escape(ticket_words.ticket_type(view.type, tr))}</div>"
        f'<div class="where" title="{where}">{where}</div>'
        f'<div class="no">{escape(view.ticket_no)} · {state}</div><div>{_counting(view, tr)}</div>'
        f'<div class="chips">{"".join(chips)}</div></div>'
    )
    return {"id": view.ticket_no, "key": sort_key(ticket_order(view)), "html": html}


def _counting(view: TicketView, tr: Texts) -> str:
    counting = view.clock()
    if counting is None:
        return f'<span class="gg-dim">{escape(tr("no clock runs"))}</span>' if view.open else ""
    name, due = counting
    label, late = words.clock_label(name, tr)
    begun = next((one.started_at for one in view.clocks if one.name == name), None) or view.raised_at
    shown = clock(due, (due - begun).total_seconds(), late)
    return f'<span class="counting">{shown} <small data-label="{escape(label)}">{escape(label)}</small></span>'


def undelivered(rows: Sequence[Undelivered], counts: Mapping[str, int], tr: Texts, *, may: bool) -> str:
    """Return commands that are not confirmed; with `may` those that were given up can be sent again."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("Everything that was sent is confirmed."))}</div>'
    dead = counts.get("dead", 0)
    again = ""
    if may and dead:
        label = escape(tr("Send all given-up ones again ({count})", count=dead))
        again = f'<p class="gg-way"><button type="button" class="gg-button" data-replay="all">{label}</button></p>'
    lines = "".join(_undelivered(row, tr, may=may) for row in rows)
    head = (tr("Ticket"), tr("Tried"), tr("Age"), tr("Message"), tr("System"), tr("State"), tr("Last error"), "")
    return again + table(head, lines, numbers=2, classes="tight-rows")


def _undelivered(row: Undelivered, tr: Texts, *, may: bool) -> str:
    given_up = row.state == "dead"
    state = escape(words.delivery(row.state, tr))
    button = ""
    if given_up and may:
        button = (
            f'<button type="button" class="gg-button small" data-replay="{row.id}">{escape(tr("Send again"))}</button>'
        )
    return (
        f"<tr><td>{way(row.ticket_no)} <small>{escape(words.ticket_class(row.ticket_class, tr))}</small></td>"
        f'<td class="num">{row.attempts}</td><td class="num">{duration_s(row.age_s)}</td>'
        f"<td>{escape(tr(COMMANDS.get(row.command, row.command)))}</td><td>{escape(row.sink)}</td>"
        f'<td><span class="gg-state{" bad" if given_up else ""}">{state}</span></td>'
        f'<td class="wrap">{escape(row.error) or UNKNOWN}</td><td>{button}</td></tr>'
    )


def differences(rows: Sequence[Difference], tr: Texts, timezone: str, now: datetime) -> str:
    """Return where gasgate and a ticketing system disagree, the newest first."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("The ticketing systems have what gasgate has."))}</div>'
    lines = "".join(
        f"<tr><td>{clock_time(row.found_at, timezone, now)}</td>"
        f"<td>{way(row.ticket_no) if row.ticket_no else escape(row.dedup_key)}</td>"
        f"<td>{escape(tr(DIFFERENCES.get(row.kind.value, row.kind.value)))}</td>"
        f"<td>{escape(row.sink)} {escape(row.external_id)}</td>"
        f'<td class="wrap">{_detail(row)}</td></tr>'
        for row in rows
    )
    return table((tr("Found"), tr("Ticket"), tr("Difference"), tr("System"), tr("Here and there")), lines)


def _detail(row: Difference) -> str:
    parts = []
    for name, value in row.detail.items():
        pair = isinstance(value, list | tuple) and len(value) == 2
        text = f"{value[0]} → {value[1]}" if pair else str(value)
        parts.append(f"{name}: {text}"[:200])
    return escape(" · ".join(parts))


def told(rows: Sequence[CallRow], tr: Texts, timezone: str, now: datetime) -> str:
    """Return who was told that a clock runs out, the newest first."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("No clock has run out, and nobody had to be told."))}</div>'
    lines = "".join(
        f"<tr><td>{clock_time(row.told_at, timezone, now)}</td><td>{way(row.ticket_no)}</td>"
        f"<td>{escape(tr(service_words.CLOCKS.get(row.clock, row.clock)))}</td>"
        f"<td>{escape(tr(service_words.TOLD.get(row.tell, row.tell)))}</td>"
        f'<td><span class="gg-state{" bad" if row.breach else ""}">'
        f"{escape(tr('limit passed') if row.breach else tr('before the limit'))}</span></td></tr>"
        for row in rows
    )
    return table((tr("When"), tr("Ticket"), tr("Clock"), tr("Told"), tr("State")), lines)


def tabs(titles: Sequence[tuple[str, str]], counts: Mapping[str, int], chosen: str) -> str:
    """Return the heads of panels that share a place, each with how much it holds as far as that is known."""
    buttons = "".join(
        f'<button type="button" role="tab" class="gg-tab" data-tab="{key}" aria-selected="{_yes(key == chosen)}">'
        f"{escape(title)}{f'<b>{counts[key]}</b>' if key in counts else ''}</button>"
        for key, title in titles
    )
    return f'<div class="gg-tablist" role="tablist">{buttons}</div>'


def _yes(value: bool) -> str:
    return "true" if value else "false"
