"""HTML of the alarm definitions: the table of all, one with its revisions, and what waits for a second person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from alarms.false_alarms import FalseAlarms
from api.pages.parts import words
from api.pages.parts.html import empty, glyph
from api.services.definitions import Master
from api.services.format import UNKNOWN, clock_time, significant
from api.text import Texts, mark
from gateway.store.definition_rows import DefinitionChange

FIELDS = {
    "harm": mark("Harm"),
    "limit": mark("Limit"),
    "deadband": mark("Deadband"),
    "on_delay_s": mark("On-delay, s"),
    "off_delay_s": mark("Off-delay, s"),
    "time_available_s": mark("Time available, s"),
    "cause": mark("Cause"),
    "consequence": mark("Consequence"),
    "action": mark("Action"),
    "guidance_url": mark("Address of the instruction"),
    "owner": mark("Answers for it"),
    "basis": mark("Rests on"),
}
"""what is proposed on the page; the rest of a row is changed over the API or with a file"""
NUMBERS = ("limit", "deadband", "on_delay_s", "off_delay_s", "time_available_s")
HARMS = {
    "people": mark("people are hurt"),
    "many": mark("many customers lose gas"),
    "few": mark("few customers lose gas"),
    "money": mark("money or reputation"),
}
_STATES = {"proposed": mark("proposed"), "approved": mark("approved"), "refused": mark("refused")}


def standing(master: Master, tr: Texts) -> str:
    """Return whether what runs is what was approved."""
    text = tr("{count} definitions in force", count=len(master.in_force))
    if not master.running:
        return f"{text} · {tr('the judging process has not told what it runs')}"
    if master.differ:
        return f"{text} · {tr('runs otherwise than approved: {names}', names=', '.join(master.differ))}"
    return f"{text} · {tr('runs as approved')}"


def tools(master: Master, tr: Texts, sought: str) -> str:
    """Return the search field, how it stands, and the way to a file of all."""
    bad = " gg-warning" if master.differ else " gg-dim"
    return (
        f'<input class="gg-input" type="search" value="{escape(sought)}" maxlength="60" '
        f'placeholder="{escape(tr("Search"))}" aria-label="{escape(tr("Search"))}">'
        f'<span class="gg-grow{bad}">{escape(standing(master, tr))}</span>'
        f'<a class="gg-button" href="/api/v1/alarm-definitions.toml" download>{escape(tr("All as a file"))}</a>'
    )


def matching(master: Master, tr: Texts, sought: str) -> list[DefinitionChange]:
    """Return the definitions in force that have a text in them, the highest priority first."""
    wanted = sought.casefold()
    found = [one for one in master.in_force if wanted in _text(one, tr)]
    return sorted(found, key=lambda one: (one.row.get("priority", 9), one.definition))


def _text(one: DefinitionChange, tr: Texts) -> str:
    texts = (tr(str(one.row.get(name, ""))) for name in ("title", "cause", "consequence", "action"))
    return " ".join((one.definition, *texts)).casefold()


def definitions(found: Sequence[DefinitionChange], tr: Texts, chosen: str) -> str:
    """Return the table of definitions."""
    if not found:
        return f'<div class="gg-empty">{empty(tr("Nothing fits."))}</div>'
    rows = "".join(_row(one, tr, chosen=one.definition == chosen) for one in found)
    head = (tr("Alarm"), tr("Limit"), tr("Cause and consequence"), tr("Action"))
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (
        f'<table class="gg-table gg-definitions"><thead><tr>{cells}<th class="num">{escape(tr("Time"))}</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _row(one: DefinitionChange, tr: Texts, *, chosen: bool) -> str:
    row = one.row
    level = int(row["priority"])
    return (
        f'<tr data-pick="{escape(one.definition)}" aria-selected="{str(chosen).lower()}">'
        f'<td class="wrap"><button type="button" class="gg-link" data-pick="{escape(one.definition)}">'
        f"{glyph(level, f'gg-prio p{level}')} {escape(tr(str(row['title'])))}</button>"
        f"<small>{escape(one.definition)}</small></td>"
        f'<td class="wrap">{_limit(row, tr)}</td>'
        f'<td class="wrap">{escape(tr(str(row["cause"])))}<small>{escape(tr(str(row["consequence"])))}</small></td>'
        f'<td class="wrap">{escape(tr(str(row["action"])))}</td>'
        f'<td class="num">{_span(row["time_available_s"])}</td></tr>'
    )


def _limit(row: Mapping[str, object], tr: Texts) -> str:
    unit = escape(str(row.get("unit") or ""))
    shown = UNKNOWN
    if isinstance(limit := row.get("limit"), int | float) and row.get("kind") != "flag":
        sign = "&lt;" if row.get("kind") == "low_limit" else "&gt;"
        shown = f"{sign} {significant(float(limit))} {unit}"
    elif share := row.get("limit_of_set_pressure") or row.get("limit_of_medium_pressure"):
        shown = f"{float(str(share)) * 100:g} % {escape(tr('of the set pressure'))}"
    delay = row.get("on_delay_s")
    return shown + (f"<small>{escape(tr('delay {span}', span=_span(delay)))}</small>" if delay else "")


def _span(seconds: object) -> str:
    value = float(str(seconds))
    return f"{value / 3600:g} h" if value >= 7200 else f"{value / 60:g} min" if value >= 60 else f"{value:g} s"


def detail(
    one: DefinitionChange | None,
    history: Sequence[DefinitionChange],
    tr: Texts,
    timezone: str,
    now: datetime,
    *,
    false: Sequence[FalseAlarms],
) -> str:
    """Return one definition's facts, how often its alarms were false in a year, and its revisions."""
    if one is None:
        return f'<div class="gg-empty">{empty(tr("Choose a definition to see its revisions."))}</div>'
    row = one.row
    facts = [
        (tr("Harm"), tr(HARMS[str(row["harm"])]) if row.get("harm") else UNKNOWN),
        (tr("Latches"), tr("yes") if row.get("latching") else tr("no")),
        (tr("Second person"), tr("yes") if row.get("highly_managed") else tr("no")),
        (tr("Shelving"), _span(row["max_shelve_s"]) if row.get("shelvable") else tr("not allowed")),
        (tr("Ticket"), tr(words.TICKET_CLASSES[str(row["ticket_class"])]) if row.get("ticket_class") else tr("none")),
        (tr("Next review"), one.next_review or UNKNOWN),
        (tr("False in a year"), _false(false, tr)),
        (tr("Answers for it"), str(row.get("owner") or UNKNOWN)),
        (tr("Rests on"), str(row.get("basis") or UNKNOWN)),
    ]
    cells = "".join(f"<div><small>{escape(name)}</small>{escape(value)}</div>" for name, value in facts)
    lines = "".join(
        f"<span>{clock_time(each.made_at, timezone, now)}</span>"
        f"<b>{each.revision} · {escape(tr(_STATES.get(each.state, each.state)))} {escape(each.reason)}</b>"
        f"<span>{escape(' → '.join(name for name in (each.author, each.decided_by) if name))}</span>"
        for each in history
    )
    return (
        f'<div class="gg-padded"><h3>{escape(tr(str(row["title"])))}</h3><div class="gg-facts few">{cells}</div></div>'
        f'<div class="gg-section"><span>{escape(tr("Revisions"))}</span></div><div class="gg-journal">{lines}</div>'
    )


def _false(found: Sequence[FalseAlarms], tr: Texts) -> str:
    """Say how many of the judged alarms of a definition were false."""
    judged = sum(one.judged for one in found)
    if not judged:
        return tr("nobody judged any")
    return tr("{false} of {judged}", false=sum(one.false for one in found), judged=judged)


def form(one: DefinitionChange, tr: Texts) -> str:
    """Return the form that proposes a change; only what differs is proposed."""
    inputs = "".join(
        f'<label class="{"" if name in NUMBERS else "wide"}">{escape(tr(label))}'
        f'<input class="gg-input" name="{name}" value="{escape(shown(one.row.get(name)))}" maxlength="400"'
        f'{" inputmode=decimal" if name in NUMBERS else ""} autocomplete="off"></label>'
        for name, label in FIELDS.items()
        if name != "harm" and (name in one.row or name not in {"limit", "deadband"})
    )
    harms = "".join(
        f'<option value="{key}"{" selected" if one.row.get("harm") == key else ""}>{escape(tr(name))}</option>'
        for key, name in HARMS.items()
    )
    unknown = "" if one.row.get("harm") else '<option value="" selected></option>'
    title = f"{tr(FIELDS['harm'])} ({tr('with the time it makes the priority')})"
    harm = f'<label class="wide">{escape(title)}<select class="gg-input" name="harm">{unknown}{harms}</select></label>'
    return (
        f'<form class="gg-call gg-padded" data-number="{escape(one.definition)}-{one.revision}"><fieldset>'
        f'{harm}{inputs}<label class="wide">{escape(tr("Reason"))}'
        '<input class="gg-input" name="reason" required maxlength="400" autocomplete="off"></label></fieldset>'
        f'<button class="gg-button primary" type="submit">{escape(tr("Propose"))}</button></form>'
    )


def shown(value: object) -> str:
    """Return a value as a field of the form has it."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def waiting(master: Master, tr: Texts, *, may: bool) -> str:
    """Return the proposals that wait, each with what it would change, and the way to decide."""
    before = {one.definition: one for one in master.in_force}
    rows = [_proposal(one, before.get(one.definition), tr, may=may) for one in master.waiting]
    if not rows:
        return f'<p class="gg-way">{escape(tr("No proposal waits."))}</p>'
    return f'<table class="gg-table gg-ordered"><tbody>{"".join(rows)}</tbody></table>'


def _proposal(change: DefinitionChange, before: DefinitionChange | None, tr: Texts, *, may: bool) -> str:
    old: Mapping[str, object] = {} if before is None else before.row
    keys = sorted(key for key in change.row.keys() | old.keys() if change.row.get(key) != old.get(key))
    changes = "; ".join(f"{key}: {old.get(key, UNKNOWN)} → {change.row.get(key, UNKNOWN)}" for key in keys)
    buttons = "".join(
        f'<button type="button" class="gg-button" data-decide="{word}:{change.id}">{escape(label)}</button>'
        for word, label in (("agree", tr("Agree")), ("refuse", tr("Refuse")))
    )
    return (
        f"<tr><td><b>{escape(change.definition)}</b> {escape(changes)}<small>{escape(change.author)}: "
        f"{escape(change.reason)}</small>"
        f'{f"""<div class="gg-choices">{buttons}</div>""" if may else ""}</td></tr>'
    )
