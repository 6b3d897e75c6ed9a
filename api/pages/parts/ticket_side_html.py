"""HTML of one ticket's page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import service_words, ticket_words, words
from api.pages.parts.html import clock, empty, priority_mark
from api.pages.parts.table_html import table
from api.pages.parts.ticket_html import COMMANDS, differences
from api.services.format import UNKNOWN, clock_time, duration_s, full_time, number
from api.services.ticket_sides import Joined, Line, Sides, Source, TicketOffer, promise_text
from api.text import Texts, mark
from gateway.store.call_back_rows import CallBack
from gateway.store.outbox_rows import OutboxRow
from gateway.store.promise_rows import ClockRow

STANDINGS = {
    "waiting": mark("has not begun"),
    "running": mark("runs"),
    "paused": mark("stands still"),
    "late": mark("overdue"),
    "met": mark("kept"),
    "breached": mark("too late"),
    "not_recorded": mark("not recorded"),
    "cancelled": mark("cancelled"),
}
ACTS = {
    "split": mark("alarm got its own ticket"),
    "link": mark("linked with another ticket"),
    "note": mark("note to the crew"),
    "cancel_request": mark("asked to cancel"),
    "handled_by_phone": mark("given to a crew by telephone"),
    "size": mark("size of the job set"),
    "imported": mark("taken over from the ticketing system"),
}
UNITS = {
    "minutes": mark("{count} min"),
    "days": mark("{count} days"),
    "working_days": mark("{count} working days"),
}
_BAD = {"late", "breached", "not_recorded"}


def head(found: Sides, tr: Texts, timezone: str) -> str:
    """Return what the ticket is about, where, and how it stands."""
    view, ticket = found.view, found.ticket
    grave = " grave" if view.ticket_class == "EMERGENCY" else ""
    facts = [
        (tr("Raised"), full_time(view.raised_at, timezone)),
        (tr("Place"), f"{view.asset} · {view.asset_name}" if view.asset_name != view.asset else view.asset),
        (tr("In the ticketing system"), ticket.external_id or UNKNOWN),
    ]
    if ticket.customers is not None:
        shown = number(ticket.customers)
        if ticket.sensitive:
            shown += f" · {tr('{count} depend on supply', count=ticket.sensitive)}"
        facts.append((tr("Customers"), shown))
    cells = "".join(f"<div><small>{escape(name)}</small>{escape(value)}</div>" for name, value in facts)
    return (
        f'<div class="gg-ticket-title"><span class="gg-class{grave}">'
        f"{escape(words.ticket_class(view.ticket_class, tr))}</span><h1>"
        f"{escape(ticket_words.ticket_type(view.type, tr))} · {escape(view.asset_name)}</h1>"
        f'<span class="gg-chip strong">{escape(words.ticket_state(view.state, tr))}</span>'
        f'<span class="gg-dim">{escape(view.ticket_no)}</span></div>'
        f'<div class="gg-facts few">{cells}</div>'
    )


def actions(offered: TicketOffer, tr: Texts) -> str:
    """Return the buttons of the acts that role and state allow."""
    buttons = (
        (offered.note, "note", tr("Note to the crew…")),
        (offered.phone, "phone", tr("Given by telephone…")),
        (offered.step, "step", tr("Write down a step…")),
        (offered.agree, "agree", tr("Agree on a date…")),
        (offered.pause, "pause", tr("Let the clocks stand…")),
        (offered.resume, "resume", tr("Let the clocks go on")),
        (offered.link, "link", tr("Link…")),
        (offered.cancel, "cancel", tr("Ask to cancel…")),
    )
    return "".join(
        f'<button type="button" class="gg-button" data-act="{act}">{escape(label)}</button>'
        for offer, act, label in buttons
        if offer
    )


def clocks(found: Sides, tr: Texts, timezone: str, now: datetime) -> str:
    """Return every promise of the ticket with what is left of it."""
    if not found.clocks:
        return f'<div class="gg-empty">{empty(tr("Its clocks are not set yet."))}</div>'
    lines = "".join(_clock(row, tr, timezone, now) for row in found.clocks)
    shown = table((tr("Promise"), tr("Limit"), tr("Left"), tr("Due"), tr("Done"), tr("State")), lines, numbers=2)
    pauses = "".join(
        f"<li>{clock_time(one.since, timezone, now)} – {clock_time(one.until, timezone, now)} · "
        f"{escape(tr(service_words.PAUSES.get(one.reason, one.reason)))} · {escape(one.actor)}</li>"
        for one in found.pauses
    )
    return shown + (f'<ul class="gg-padded gg-dim">{pauses}</ul>' if pauses else "")


def _clock(row: ClockRow, tr: Texts, timezone: str, now: datetime) -> str:
    unit, limit = promise_text(row.promise)
    left = ""
    if row.due_at is not None and row.standing in {"running", "late"}:
        begun = row.started_at or row.due_at
        left = clock(row.due_at, (row.due_at - begun).total_seconds())
    agreed = f' <span class="gg-chip">{escape(tr("agreed"))}</span>' if row.agreed_at is not None else ""
    over = row.standing == "running" and row.due_at is not None and row.due_at < now
    standing = "late" if over else row.standing
    bad = " bad" if standing in _BAD else ""
    return (
        f"<tr><td>{escape(tr(service_words.CLOCKS.get(row.clock, row.clock)))}</td>"
        f'<td class="num">{escape(tr(UNITS.get(unit, unit), count=limit))}</td><td class="num">{left}</td>'
        f"<td>{clock_time(row.due_at, timezone, now)}{agreed}</td>"
        f"<td>{clock_time(row.stopped_at, timezone, now)}</td>"
        f'<td><span class="gg-state{bad}">{escape(tr(STANDINGS.get(standing, standing)))}</span></td></tr>'
    )


def alarms(joined: Sequence[Joined], tr: Texts, timezone: str, now: datetime, *, may_split: bool) -> str:
    """Return the occurrences that the ticket answers, each with the way to it in the control room."""
    if not joined:
        return f'<p class="gg-padded gg-dim">{escape(tr("No alarm: somebody reported it."))}</p>'
    return f'<ul class="gg-joined">{"".join(_joined(one, tr, timezone, now, may_split) for one in joined)}</ul>'


def _joined(one: Joined, tr: Texts, timezone: str, now: datetime, may_split: bool) -> str:
    view = one.view
    if view is None:
        return f"<li><span></span><div>{escape(one.alarm_id)}</div></li>"
    state = tr("over") if not one.current else words.state(view.letter, tr)
    raised = clock_time(view.alarm.raised_at, timezone, now) if one.current else UNKNOWN
    split = ""
    if may_split and one.current:
        split = (
            f'<button type="button" class="gg-button small" data-split="{escape(one.alarm_id)}#{one.occurrence_no}">'
            f"{escape(tr('Own ticket…'))}</button>"
        )
    return (
        f'<li>{priority_mark(view.alarm, blink=False)}<div><a class="gg-link" href="/?alarm={escape(one.alarm_id)}">'
        f"{escape(tr(view.definition.title))}</a><small>{escape(view.alarm.asset)} · {escape(state)} · {raised}</small>"
        f"</div>{split}</li>"
    )


def deliveries(found: Sides, tr: Texts, *, may: bool) -> str:
    """Return every message that went out, with its attempts, and the other ways that were tried."""
    lines = "".join(
        f"<tr><td>{escape(tr(COMMANDS.get(row.command.command, row.command.command)))}</td>"
        f'<td class="num">{row.attempts}</td><td class="num">{duration_s(_took(row, found.now_s))}</td>'
        f"<td>{escape(row.sink)}</td>"
        f'<td><span class="gg-state{" bad" if row.state.value == "dead" else ""}">'
        f"{escape(words.delivery(row.state.value, tr))}</span></td>"
        f'<td class="wrap">{escape(row.last_error) or UNKNOWN}</td></tr>'
        for row in found.commands
    )
    lines += "".join(
        f'<tr><td>{escape(tr("another way"))}</td><td class="num">{row.attempts}</td>'
        f'<td class="num">{duration_s((row.wall_confirmed_at or found.now_s) - row.wall_created_at)}</td>'
        f"<td>{escape(row.sink)}</td>"
        f'<td><span class="gg-state{" bad" if row.state.value == "dead" else ""}">'
        f"{escape(words.delivery(row.state.value, tr))}</span></td>"
        f'<td class="wrap">{escape(row.last_error) or UNKNOWN}</td></tr>'
        for row in found.fallbacks
    )
    if not lines:
        return f'<p class="gg-padded gg-dim">{escape(tr("Nothing was to be sent."))}</p>'
    again = ""
    if may:
        label = escape(tr("Send again"))
        again = f'<p class="gg-way"><button type="button" class="gg-button" data-act="replay">{label}</button></p>'
    headings = (tr("Message"), tr("Tried"), tr("Took"), tr("System"), tr("State"), tr("Last error"))
    return again + table(headings, lines, numbers=2)


def _took(row: OutboxRow, now_s: float) -> float:
    return max(0.0, (row.wall_confirmed_at or now_s) - row.wall_created_at)


def history(lines: Sequence[Line], tr: Texts, timezone: str, now: datetime) -> str:
    """Return the ticket's history, the newest first."""
    shown = "".join(
        f'<li class="{line.source.value}"><time>{clock_time(line.at, timezone, now)}</time>'
        f"<div><b>{escape(_what(line, tr))}</b>{_detail(line, tr)}</div><span>{escape(_actor(line, tr))}</span></li>"
        for line in lines
    )
    return f'<ol class="gg-history">{shown}</ol>'


def _what(line: Line, tr: Texts) -> str:
    match line.source:
        case Source.STEP:
            return words.ticket_state(line.what, tr)
        case Source.SENT:
            return tr(COMMANDS.get(line.what, line.what))
        case Source.ALARM:
            return tr("alarm {name}", name=line.what)
        case Source.CALL:
            return tr("call: {what}", what=tr(service_words.SAID.get(line.what, line.what)))
        case Source.ACT:
            return tr(ACTS.get(line.what, line.what))
        case Source.TOLD:
            return tr("told: {clock}", clock=tr(service_words.CLOCKS.get(line.what, line.what)))
        case Source.CLOCK:
            return tr("due time changed: {clock}", clock=tr(service_words.CLOCKS.get(line.what, line.what)))


def _detail(line: Line, tr: Texts) -> str:
    if line.source is Source.SENT:
        text = words.delivery(line.detail, tr)
    elif line.source is Source.TOLD:
        text = tr("limit passed") if line.detail else tr("before the limit")
    else:
        text = line.detail
    return f"<small>{escape(text)}</small>" if text else ""


def _actor(line: Line, tr: Texts) -> str:
    return tr(service_words.TOLD.get(line.actor, line.actor)) if line.source is Source.TOLD else line.actor


def beside(found: Sides, tr: Texts, timezone: str, now: datetime) -> str:
    """Return calls, call-backs and differences of the ticket, as far as there are any."""
    shown = ""
    if found.calls:
        calls = "".join(
            f"<li>{clock_time(one.call.called_at, timezone, now)} · "
            f"{escape(tr(service_words.SAID.get(one.call.what, one.call.what)))} · {escape(one.call.place)}"
            f"<small>{escape(one.call.note)}</small></li>"
            for one in found.calls
        )
        shown += f"<h3>{escape(tr('Calls'))}</h3><ul>{calls}</ul>"
    if found.call_backs:
        backs = "".join(_call_back(one, tr, timezone, now) for one in found.call_backs)
        shown += f"<h3>{escape(tr('Call-backs'))}</h3><ul>{backs}</ul>"
    if found.differences:
        shown += f"<h3>{escape(tr('Differences'))}</h3>{differences(found.differences, tr, timezone, now)}"
    return f'<div class="gg-beside">{shown}</div>' if shown else ""


def _call_back(one: CallBack, tr: Texts, timezone: str, now: datetime) -> str:
    level = escape(tr(service_words.LEVELS.get(one.level, one.level)))
    due = clock_time(one.due_at, timezone, now)
    if one.answers is not None:
        marks = " · ".join(f"{value}" for value in one.answers.values() if type(value) is int)
        return f"<li>{level} · {escape(tr('reached: marks {marks}', marks=marks))}</li>"
    state = tr("due {time}", time=due) if one.closed_at is None else tr("Not reached")
    return f"<li>{level} · {escape(state)} · {escape(tr('{count} tries', count=len(one.tries)))}</li>"


def question(act: str, title: str, tr: Texts, choices: Sequence[tuple[str, str]], key: str) -> str:
    """Return the form that asks what an act needs: a reason, another ticket, or a clock or step (`choices`) and a date.

    Another `key` empties it.
    """
    fields = ""
    if act == "link":
        fields += _field("ticket_no", tr("Number of the other ticket"), 'required maxlength="40" pattern="T-[0-9-]+"')
    if act == "agree":
        options = _options(choices)
        fields += f'<label>{escape(tr("Promise"))}<select class="gg-input" name="clock">{options}</select></label>'
        fields += _field("due", tr("Agreed date and time"), 'type="datetime-local" required')
    if act == "step":
        fields += (
            f'<label>{escape(tr("Step"))}<select class="gg-input" name="step">{_options(choices)}</select></label>'
        )
        fields += _field("at", tr("When, if not just now"), 'type="datetime-local" step="1"')
        fields += _field("reason", tr("Note"), 'maxlength="500"')
    elif act == "pause":
        options = "".join(
            f'<option value="{key}">{escape(tr(name))}</option>' for key, name in service_words.PAUSES.items()
        )
        fields += f'<label>{escape(tr("Reason"))}<select class="gg-input" name="reason">{options}</select></label>'
    else:
        fields += _field("reason", tr("Reason") if act != "note" else tr("Note"), 'required maxlength="500" autofocus')
    return (
        f'<h2>{escape(title)}</h2><form class="gg-call gg-ask" data-key="{escape(key)}">{fields}'
        f'<button class="gg-button primary" type="submit">{escape(tr("Do it"))}</button></form>'
    )


def _options(choices: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<option value="{escape(key)}">{escape(name)}</option>' for key, name in choices)


def _field(name: str, label: str, attributes: str) -> str:
    return f'<label>{escape(label)}<input class="gg-input" name="{name}" autocomplete="off" {attributes}></label>'
