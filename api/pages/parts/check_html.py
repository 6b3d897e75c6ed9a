"""HTML of the configuration check on the system page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import PurePath

from api.pages.parts import problem_words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.services.format import UNKNOWN
from api.text import Texts
from gateway.model.file_problem import FileProblem

MOST = 200


def button(tr: Texts, *, busy: bool) -> str:
    """Return the button that checks; while a check runs it cannot be pressed."""
    text = tr("Checking…") if busy else tr("Check the files now")
    return (
        f'<button type="button" class="gg-button small" data-check="now"{" disabled" if busy else ""}>'
        f"{escape(text)}</button>"
    )


def result(found: Sequence[FileProblem] | None, at: str, tr: Texts) -> str:
    """Return what a check found; None before the first one."""
    if found is None:
        said = tr("The check reads the files as they are now and changes nothing.")
        return f'<div class="gg-empty">{escape(said)}</div>'
    if not found:
        return f'<div class="gg-empty">{empty(tr("No problems found, {time}.", time=at))}</div>'
    errors = sum(one.fatal for one in found)
    count = tr("{errors} errors, {warnings} warnings, {time}", errors=errors, warnings=len(found) - errors, time=at)
    rest = tr("{count} more: run gasgate check", count=len(found) - MOST) if len(found) > MOST else ""
    head = (tr("Kind"), tr("File and key"), tr("Problem and remedy"))
    return (
        f'<p class="gg-count-line">{escape(count)}</p>'
        + table(head, "".join(_row(one, tr) for one in found[:MOST]))
        + (f'<p class="gg-count-line gg-dim">{escape(rest)}</p>' if rest else "")
    )


def _row(one: FileProblem, tr: Texts) -> str:
    kind = f'<span class="gg-state bad">{escape(tr("error"))}</span>' if one.fatal else escape(tr("warning"))
    place = PurePath(one.file).name + (f":{one.line}" if one.line else "")
    return (
        f'<tr><td>{kind}</td><td title="{escape(one.file)}">{escape(place) or UNKNOWN}'
        f"<small>{escape(one.key)}</small></td><td>{escape(problem_words.problem(one.text, tr))}</td></tr>"
    )
