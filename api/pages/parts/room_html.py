"""HTML of the control room: rows, marks, filters, help, the story of a simulated city, what waits for engineers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from api.pages.parts import html, words
from api.services.findings import FindingView
from api.services.format import clock_time
from api.services.room import Mark
from api.services.shown import TABS, group_of, tab_of
from api.services.summary import Note
from api.services.views import AlarmView
from api.text import Texts, mark

TAB_NAMES = dict(
    zip(
        TABS,
        (mark("Active"), mark("Shelved"), mark("Suppressed"), mark("Out of service")),
        strict=True,
    )
)
KEYS = (
    ("↑ ↓", mark("alarm above, below")),
    ("PgUp PgDn", mark("a page up, down")),
    ("Enter", mark("go to the chosen alarm's acts")),
    ("A", mark("Acknowledge")),
    ("S · U", mark("shelve, take off the shelf")),
    ("M", mark("mute this alarm's horn for 2 minutes")),
    ("H", mark("mute the horn of this place for 2 minutes")),
    ("R", mark("reset a latched alarm")),
    ("B", mark("take an acknowledgement back")),
    ("O", mark("out of service, and back")),
    ("F", mark("say whether it was real or false")),
    ("T", mark("open the ticket")),
    ("V", mark("open the station or meter")),
    ("1 2 3 4", mark("only this priority, and all again")),
    ("N", mark("only unacknowledged, and all again")),
    ("G", mark("group by area and cause; → opens a group, ← closes it")),
    ("[ ]", mark("tab to the left, to the right")),
    ("/", mark("search")),
    ("?", mark("this help")),
)


def row(view: AlarmView, tr: Texts, timezone: str, now: datetime) -> dict[str, Any]:
    """Return the list's row of an alarm, with what browsers filter and group it by."""
    alarm = view.alarm
    return {
        **html.alarm_row(view, tr, timezone, now),
        "priority": int(alarm.priority),
        "tab": tab_of(view),
        "waits": view.unacknowledged,
        "group": group_of(view),
        "find": f"{tr(view.definition.title)} {html.place(view)}".casefold(),
    }


def map_mark(found: Mark, tr: Texts) -> dict[str, Any]:
    """Return the map's mark of a place: its worst alarm, and how far the most urgent ticket there is."""
    flag = "" if found.ticket is None else words.ticket_state(found.ticket.state, tr)
    label = f'<span class="flag">{escape(flag)}</span>' if flag else ""
    alarm = found.view.alarm
    return {
        "asset": alarm.asset,
        "x": found.place[0],
        "y": found.place[1],
        "priority": int(alarm.priority),
        "html": html.priority_mark(alarm) + label,
    }


def tools(tr: Texts) -> str:
    """Return tabs and filters of the list of alarms; the browser does the rest."""
    tabs = "".join(
        f'<button type="button" role="tab" class="gg-tab" data-tab="{tab}" aria-selected="{_yes(tab == TABS[0])}">'
        f'{escape(tr(name))}<b data-count="{tab}">0</b></button>'
        for tab, name in TAB_NAMES.items()
    )
    priorities = "".join(
        f'<button type="button" class="gg-toggle" data-priority="{level}" aria-pressed="false" '
        f'title="{escape(tr("Priority {level}", level=level))}">{html.glyph(level, f"gg-prio p{level}")}</button>'
        for level in (1, 2, 3, 4)
    )
    toggles = "".join(
        f'<button type="button" class="gg-toggle" data-{name} aria-pressed="false">{escape(label)}</button>'
        for name, label in (("waiting", tr("unacknowledged")), ("grouped", tr("grouped")))
    )
    hint = escape(tr("Search"))
    return (
        f'<div class="tabs" role="tablist">{tabs}</div><div class="filters">{priorities}{toggles}'
        f'<input class="gg-input" type="search" maxlength="60" placeholder="{hint}" aria-label="{hint}"></div>'
    )


def beside_title(tr: Texts) -> str:
    """Return what stands in the head of the list: that rows are still missing, the horn, the way to the keys."""
    return (
        f'<span class="gg-more" role="status">{escape(tr("The rest of the list is on its way…"))}</span>'
        f'<button type="button" class="gg-horn" hidden data-sounds="{escape(tr("Horn: mute"))}" '
        f'data-muted="{escape(tr("Horn muted"))}" data-blocked="{escape(tr("Switch the horn on"))}"></button>'
        f'<button type="button" class="gg-icon" data-help title="{escape(tr("Keys"))}" '
        f'aria-label="{escape(tr("Keys"))}"><kbd>?</kbd></button>'
    )


def ways(address: str, tr: Texts) -> str:
    """Return the link to the page about an alarm's asset."""
    if not address:
        return ""
    name = tr("Meter") if address.startswith("/meters/") else tr("Station and its values")
    return f'<p class="gg-way"><a href="{escape(address)}">{escape(name)} →</a></p>'


def related(views: Sequence[AlarmView], tr: Texts, timezone: str, now: datetime) -> str:
    """Return other alarms of the same place, each a way to it; nothing if there is none."""
    if not views:
        return ""
    lines = "".join(
        f'<li><button type="button" data-related="{escape(view.id)}">{html.priority_mark(view.alarm, blink=False)}'
        f"<span>{escape(tr(view.definition.title))}</span><small>{escape(view.alarm.asset)} · "
        f"{clock_time(view.alarm.raised_at or view.alarm.condition_at, timezone, now)}</small></button></li>"
        for view in views
    )
    return f'<div class="gg-section">{escape(tr("Related alarms"))}</div><ul class="gg-related">{lines}</ul>'


def help_table(tr: Texts) -> str:
    """Return what every key does."""
    rows = "".join(
        f"<dt>{''.join(f'<kbd>{escape(one)}</kbd>' for one in keys.split())}</dt><dd>{escape(tr(what))}</dd>"
        for keys, what in KEYS
    )
    return f'<h2>{escape(tr("Keys"))}</h2><dl class="gg-keys">{rows}</dl>'


def _yes(value: bool) -> str:
    return "true" if value else "false"


def story(notes: Sequence[Note], tr: Texts, timezone: str, now: datetime) -> str:
    """Return the notes, the newest one that has begun marked as the current one."""
    begun = [note for note in notes if note.state in {"now", "past"}]
    lines = [_note(note, tr, timezone, now, current=bool(begun) and note is begun[-1]) for note in notes]
    return "".join(lines) or f"<li>{escape(tr('Nothing yet.'))}</li>"


def _note(note: Note, tr: Texts, timezone: str, now: datetime, *, current: bool) -> str:
    kind = note.state if note.state in {"now", "past"} else ""
    look = f"<p>{escape(note.look[tr.language])}</p>" if kind else ""
    mark = ' aria-current="step"' if current else ""
    return (
        f'<li class="{kind}"{mark}><span>{clock_time(note.at, timezone, now)[:5]}</span>'
        f"<div><b>{escape(note.title[tr.language])}</b>{look}</div></li>"
    )


def findings_line(findings: Sequence[FindingView], tr: Texts, timezone: str, now: datetime) -> str:
    """Return a quiet way to the loss page while cases wait for an inspection; nothing while none does."""
    if not findings:
        return ""
    newest = max(findings, key=lambda view: view.detected_at)
    kind = tr(words.FINDINGS.get(newest.kind, newest.kind))
    text = tr("Findings to inspect: {count}", count=len(findings))
    when = clock_time(newest.detected_at, timezone, now)[:5]
    last = f"{when} {kind} {newest.meter or newest.zone}"
    return (
        f'<a class="gg-findings" href="/loss"><b>{escape(text)}</b><span>{escape(last)}</span>'
        f"<span>{escape(tr('Loss'))} →</span></a>"
    )
