"""HTML of the control room's quiet parts: the story of a simulated city, and what waits for the meter engineers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import words
from api.services.findings import FindingView
from api.services.format import clock_time
from api.services.summary import Note
from api.text import Texts


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
