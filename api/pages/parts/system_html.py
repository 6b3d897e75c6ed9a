"""HTML of the system page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from api.pages.parts import detail_words, problem_words, words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.services.format import UNKNOWN, clock_time, number, significant
from api.services.pulse import RoleHealth
from api.services.storage import Room
from api.text import Texts, mark
from gateway.model.reading import from_us
from gateway.store.revision_rows import REFUSED, Revision


def roles(health: Sequence[RoleHealth], tr: Texts, timezone: str, now: datetime) -> str:
    """Return one card per process."""
    return "".join(_card(role, tr, timezone, now) for role in health)


def _card(role: RoleHealth, tr: Texts, timezone: str, now: datetime) -> str:
    if role.age_s is None:
        said = tr("never heard of")
    elif role.ok:
        said = tr("well")
    else:
        said = tr("not well")
    told = [
        _fact(key, value, tr, timezone, now)
        for key, value in role.detail.items()
        if isinstance(value, str | int | float) and (value or key not in _QUIET)
    ]
    told += [str(problem) for problem in role.detail.get("problems") or []]
    if role.age_s is not None:
        told.append(tr("heard {seconds} s ago", seconds=f"{role.age_s:.0f}"))
    detail = " · ".join(told)
    kind = "" if role.ok else " bad"
    return (
        f'<div class="gg-card{kind}"><h3>{escape(tr(words.PROCESSES.get(role.role, role.role)))} <span '
        f'class="gg-dim">{escape(role.role)}</span></h3>'
        f'<span class="gg-state{kind}">{escape(said)}</span><p title="{escape(detail)}">'
        f"{escape(detail) or '&nbsp;'}</p></div>"
    )


_MOST_PROBLEMS = 3
_HASH_SIGNS = 8
_FOLDER = re.compile(r"^\S*/")


def configuration(found: Revision | None, tr: Texts, timezone: str, now: datetime) -> str:
    """Return the card of the configuration: its revision, or why the newest one was refused."""
    if found is None:
        return ""
    refused = found.outcome == REFUSED
    state = tr("the newest change was refused") if refused else tr("in force")
    told = [found.digest[:_HASH_SIGNS], detail_words.who(found.who, tr), clock_time(from_us(found.at), timezone, now)]
    told += [problem_words.placed(_FOLDER.sub("", problem), tr) for problem in found.problems[:_MOST_PROBLEMS]]
    if len(found.problems) > _MOST_PROBLEMS:
        told.append(tr("and {count} more", count=len(found.problems) - _MOST_PROBLEMS))
    kind = " bad" if refused else ""
    whole = "\n".join(found.problems) or found.digest
    return (
        f'<div class="gg-card across{kind}"><h3>{escape(tr("Configuration"))} <span class="gg-dim">'
        f"{escape(tr('revision {number}', number=found.number))}</span></h3>"
        f'<span class="gg-state{kind}">{escape(state)}</span><p title="{escape(whole)}">'
        f"{escape(' · '.join(told))}</p></div>"
    )


_QUIET = frozenset({"lost", "damaged_files", "faulty_streams", "faulty_sources"})
"""counts that are told only if there is something to tell"""
_FACTS = {
    "revision": mark("configuration {value}"),
    "lost": mark("groups never judged: {value}"),
    "loader_lag": mark("groups on the way into the store: {value}"),
    "seq": mark("judged up to group {value}"),
    "last_pass": mark("last pass {value}"),
    "seconds": mark("took {value} s"),
}


def _fact(key: str, value: str | float, tr: Texts, timezone: str, now: datetime) -> str:
    """Return one thing that a role says of itself; what the catalogues do not know is shown under its key."""
    shown = _shown(value, timezone, now)
    return tr(_FACTS[key], value=shown) if key in _FACTS else f"{key.replace('_', ' ')} {shown}"


def _shown(value: str | float, timezone: str, now: datetime) -> str:
    """Return a moment as local time and a number as people write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return number(value) if float(value).is_integer() else significant(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if moment.tzinfo is None else clock_time(moment, timezone, now)


def flow(status: Mapping[str, Any] | None, problem: str, tr: Texts) -> str:
    """Return what came in and where it went: counters by source, spool, outputs."""
    if status is None:
        return away(problem, tr)
    return _accounting(status.get("accounting"), tr) + _streams(status, tr)


def _accounting(found: Any, tr: Texts) -> str:
    if not isinstance(found, Mapping):
        return ""
    counts = {str(name): entry for name, entry in found.items() if isinstance(entry, Mapping)}
    names = list(dict.fromkeys(key for entry in counts.values() for key in entry))
    words_ = {
        "received": tr("received"),
        "stored": tr("stored"),
        "duplicate": tr("doubled"),
        "conflict": tr("in conflict"),
        "refused": tr("refused"),
        "dead_lettered": tr("dead letters"),
        "in_flight": tr("on the way"),
    }
    head = "".join(f'<th class="num">{escape(words_.get(name, name))}</th>' for name in names)
    rows = "".join(
        f"<tr><td>{escape(source)}</td>"
        + "".join(f'<td class="num">{_amount(entry.get(name))}</td>' for name in names)
        + "</tr>"
        for source, entry in counts.items()
    )
    return (
        f'<table class="gg-table"><thead><tr><th>{escape(tr("Source"))}</th>{head}</tr></thead><tbody>'
        f"{rows}</tbody></table>"
    )


def _amount(value: Any) -> str:
    return number(float(value)) if isinstance(value, int | float) else UNKNOWN


def _streams(status: Mapping[str, Any], tr: Texts) -> str:
    rows = []
    spool = status.get("spool")
    if isinstance(spool, Mapping):
        waiting = int(spool.get("last_seq", 0)) - int(spool.get("loaded", 0))
        note = tr("{size} MB kept", size=number(spool.get("bytes", 0) / 1e6, 1))
        ahead = tr("all in the store")
        if waiting:
            ahead = tr("groups on the way into the store: {value}", value=number(waiting))
        problems = "; ".join(str(problem) for problem in status.get("problems", []))
        rows.append(_stream(tr("Spool"), problems, tr("well"), tr("cannot write"), f"{note} · {ahead}"))
    for entry in status.get("outputs", []):
        if isinstance(entry, Mapping):
            lag = int(entry.get("lag", 0))
            behind = tr("groups behind: {count}", count=number(lag)) if lag else tr("up to date")
            late_s = float(entry.get("late_s", 0.0))
            if late_s >= 1:
                behind += f" · {tr('behind by {seconds} s', seconds=number(late_s))}"
            note = f"{behind} · {tr('{count} written', count=number(entry.get('written', 0)))}"
            if entry.get("rejected"):
                note += f" · {tr('refused: {count}', count=number(entry['rejected']))}"
            if given_up := sum(entry.get("dropped") or ()):
                note += f" · {tr('given up: {count}', count=number(given_up))}"
            error = "" if entry.get("connected") else str(entry.get("last_error") or " ")
            rows.append(_stream(str(entry.get("name", "")), error, tr("well"), tr("waiting"), note))
    return f'<table class="gg-table"><tbody>{"".join(rows)}</tbody></table>' if rows else ""


def _stream(name: str, problem: str, well: str, ill: str, note: str) -> str:
    state = f'<span class="gg-state{" bad" if problem else ""}">{escape(ill if problem else well)}</span>'
    shown = f"{note} · {problem[:200]}" if problem.strip() else note
    return (
        f'<tr><td>{escape(name)}</td><td>{state}</td><td class="dim" title="{escape(shown)}">{escape(shown)}</td></tr>'
    )


def away(problem: str, tr: Texts) -> str:
    """Return what stands there while the store service does not answer."""
    text = escape(problem or tr("not asked yet"))
    return (
        '<div class="gg-empty"><span>'
        f"{escape(tr('The store service does not answer. Nothing is known here.'))}</span><small>{text}</small></div>"
    )


def letters(
    total: int,
    reasons: Sequence[tuple[str, str, int, int]],
    rows: Sequence[Any],
    *,
    tr: Texts,
    timezone: str,
    now: datetime,
) -> str:
    """Return the dead letters: first why and how often, then the newest."""
    if not total:
        return f'<div class="gg-empty">{empty(tr("Everything that came could be read."))}</div>'
    first = "".join(
        f'<tr><td class="num">{number(count)}</td><td>{escape(source)}</td>'
        f'<td class="wrap">{escape(problem_words.problem(reason, tr))}</td>'
        f"<td>{clock_time(from_us(newest), timezone, now)}</td></tr>"
        for source, reason, count, newest in reasons
    )
    head = (
        f'<th class="num">{escape(tr("Count"))}</th><th>{escape(tr("Source"))}</th><th>'
        f"{escape(tr('Reason'))}</th><th>{escape(tr('Newest'))}</th>"
    )
    shown = f'<table class="gg-table"><thead><tr>{head}</tr></thead><tbody>{first}</tbody></table>'
    if not rows:
        return shown
    lines = "".join(
        f"<tr><td>{clock_time(from_us(row['received_at']), timezone, now)}</td><td "
        f'title="{escape(row["topic"])}">{escape(row["topic"][:60])}</td>'
        f'<td class="dim">{escape(row["payload"][:48].decode("utf-8", "replace"))}</td></tr>'
        for row in rows
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in (tr("Received"), tr("Topic or device"), tr("Content")))
    return f'{shown}<table class="gg-table"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


_STORED = {
    "readings": mark("Readings"),
    "intervals": mark("Intervals"),
    "spool": mark("Spool"),
    "state-copies": mark("Copies of the state"),
    "state": mark("State database"),
}


def room(found: Room | None, tr: Texts) -> str:
    """Return how much room the data take, and how much is left on the disk."""
    if found is None:
        return ""
    rows = "".join(
        f'<tr><td>{escape(tr(_STORED[part.part]))}</td><td class="num">{_megabytes(part.bytes)}</td>'
        f'<td class="num">{number(part.files)}</td></tr>'
        for part in found.parts
    )
    free = escape(tr("free on the disk, of {size} MB", size=_megabytes(found.disk_bytes)))
    rows += f'<tr><td>{free}</td><td class="num">{_megabytes(found.free_bytes)}</td><td></td></tr>'
    return table((tr("Store"), tr("Size, MB"), tr("Files")), rows, numbers=2)


def _megabytes(size: int) -> str:
    return number(size / 1e6, 0 if size >= 1e8 else 1)
