"""HTML of the loss page: tree with bars, suspects, facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from api.pages.parts import words
from api.pages.parts.html import empty
from api.services.findings import FindingView
from api.services.format import UNKNOWN, clock_time, full_time, number, percent, sentence
from api.services.loss import LossDay, LossLine, Period
from api.text import Texts, mark

PERIODS = {
    Period.DAY: mark("Gas day"),
    Period.WEEK: mark("7 days"),
    Period.MONTH: mark("Month"),
    Period.CYCLE: mark("Two months"),
}
_LEAST_SPAN = 0.04


def no_days(tr: Texts) -> str:
    """Return what stands where the tree will be."""
    return f'<div class="gg-empty">{empty(tr("The first gas day has not been balanced yet."))}</div>'


def no_suspects(tr: Texts) -> str:
    """Return what stands where suspects would be."""
    return f'<div class="gg-empty">{empty(tr("Nothing is suspected."))}</div>'


def tools(tr: Texts, period: Period, day: date, known: tuple[date, date] | None, first: date) -> str:
    """Return the period picker."""
    buttons = "".join(
        f'<button type="button" data-period="{key}" aria-pressed="{str(key is period).lower()}">'
        f"{escape(tr(name))}</button>"
        for key, name in PERIODS.items()
    )
    bounds = f'min="{known[0]}" max="{known[1]}"' if known else ""
    back = "disabled" if known and day <= known[0] else ""
    ahead = "disabled" if known and day >= known[1] else ""
    shown = f'<span class="gg-dim">{first} – {day}</span>' if first != day else ""
    return (
        f'<div class="gg-seg">{buttons}</div>'
        f'<button type="button" class="gg-icon" data-move="-1" {back} aria-label="{escape(tr("Day before"))}">'
        "‹</button>"
        f'<input class="gg-input" type="date" value="{day}" {bounds} aria-label="{escape(tr("Gas day"))}">'
        f'<button type="button" class="gg-icon" data-move="1" {ahead} aria-label="{escape(tr("Day after"))}">'
        f"›</button>{shown}"
    )


def tree(lines: Sequence[LossLine], tr: Texts, chosen: str, folded: set[str]) -> str:
    """Return the table of zones; a bar shows the rate with two sigma on a scale shared by all."""
    scale = max([_LEAST_SPAN, *(_top(line) for line in lines)])
    parents = {line.parent for line in lines}
    many = any(line.days_asked > 1 for line in lines)
    rows: list[str] = []
    cut: int | None = None
    for line in lines:
        if cut is not None and line.depth > cut:
            continue
        cut = line.depth if line.zone in folded else None
        rows.append(
            _line(line, tr, chosen, scale, leaf=line.zone not in parents, folded=line.zone in folded, many=many)
        )
    days = f'<th class="num">{escape(tr("Days"))}</th>' if many else ""
    head = (
        f"<tr><th>{escape(tr('Zone'))}</th>"
        f'<th class="num">{escape(tr("Supply"))} <small>m³</small></th><th class="num">{escape(tr("Metered"))} '
        "<small>m³</small></th>"
        f'<th class="num">{escape(tr("Loss"))} <small>m³</small></th><th class="num">{escape(tr("Loss rate"))} '
        "<small>%</small></th>"
        f"<th>± 2σ <small>0–{scale * 100:.0f} %</small></th>"
        f'<th class="num">{escape(tr("Coverage"))} <small>%</small></th>{days}<th>{escape(tr("Verdict"))}</th></tr>'
    )
    return f'<table class="gg-table tight"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _top(line: LossLine) -> float:
    return (line.loss_rate or 0.0) + 2 * (line.sigma or 0.0)


def _line(line: LossLine, tr: Texts, chosen: str, scale: float, *, leaf: bool, folded: bool, many: bool) -> str:
    fold = '<span class="gg-fold"></span>'
    if not leaf:
        label = tr("Unfold") if folded else tr("Fold")
        fold = (
            f'<button type="button" class="gg-fold" data-fold="{escape(line.zone)}" aria-label="{escape(label)}" '
            f'aria-expanded="{str(not folded).lower()}">{"▸" if folded else "▾"}</button>'
        )
    high = line.verdict == "high"
    verdict = escape(tr(words.VERDICTS.get(line.verdict, line.verdict)))
    if high:
        verdict = f'<span class="gg-chip bad">▲ {verdict}{f" · {line.days_high} d" if many else ""}</span>'
    days = f'<td class="num dim">{line.days}/{line.days_asked}</td>' if many else ""
    name = escape(line.name or line.zone)
    zone = "" if line.zone == line.name else f'<span class="gg-dim">{escape(line.zone)}</span> '
    return (
        f'<tr data-pick="{escape(line.zone)}" aria-selected="{str(line.zone == chosen).lower()}">'
        f'<td style="padding-left:{8 + 20 * line.depth}px" title="{name}">{fold}{zone}{name}</td>'
        f'<td class="num">{number(line.supply_m3)}</td><td class="num">{number(line.metered_m3)}</td>'
        f'<td class="num">{number(line.loss_m3, 1)}</td><td class="num">{percent(line.loss_rate)}</td>'
        f'<td>{_bar(line, scale, high=high)}</td><td class="num dim">{percent(line.coverage, 0)}</td>{days}'
        f'<td class="dim" title="{escape(line.reason)}">{verdict}</td></tr>'
    )


def _bar(line: LossLine, scale: float, *, high: bool) -> str:
    """Return the rate as a dot with whiskers of two sigma, 0 at the left; nothing where nothing is known."""
    if line.loss_rate is None:
        return f'<svg class="gg-bar" viewBox="0 0 120 20" aria-hidden="true">{_rule()}</svg>'
    colour = "var(--bad)" if high else "var(--mark)"

    def x(share: float) -> float:
        return round(4 + 112 * min(1.0, max(0.0, share / scale)), 1)

    middle = x(line.loss_rate)
    whisker = ""
    if line.sigma is not None:
        low, top = x(line.loss_rate - 2 * line.sigma), x(line.loss_rate + 2 * line.sigma)
        whisker = f'<path d="M{low} 10H{top}M{low} 6v8M{top} 6v8" stroke="{colour}" stroke-width="1.500" fill="none"/>'
    return (
        '<svg class="gg-bar" viewBox="0 0 120 20" preserveAspectRatio="xMinYMid meet" aria-hidden="true">'
        f"{_rule()}{whisker}"
        f'<circle cx="{middle}" cy="10" r="3.500" fill="{colour}"/></svg>'
    )


def _rule() -> str:
    return '<path d="M4 3v14M4 10h112" stroke="var(--line)" fill="none"/>'


def course_title(name: str, zone: str, days: Sequence[LossDay], tr: Texts) -> str:
    """Return whose course it is and its mean."""
    known = [day for day in days if day.loss_m3 is not None and day.supply_m3]
    supply = sum(day.supply_m3 or 0.0 for day in known)
    mean = sum(day.loss_m3 or 0.0 for day in known) / supply if supply else None
    label = name if name == zone else f"{name} · {zone}"
    note = tr(
        "{known} of {asked} gas days · mean {mean} % · band ± 2σ", known=len(known), asked=len(days), mean=percent(mean)
    )
    return f'<span>{escape(label)}</span><span class="gg-dim">{escape(note)}</span>'


def suspect_row(view: FindingView, rank: int, tr: Texts) -> dict[str, str]:
    """Return the list's row of a suspect."""
    done = view.status != "open"
    status = f" · {escape(tr(words.STATUSES.get(view.status, view.status)))}" if done else ""
    size = number(view.estimate_m3_per_day, 1)
    html = (
        f'<div class="gg-suspect"{" style=opacity:.55" if done else ""}><span class="rank">{rank}</span><div '
        'style="min-width:0">'
        f'<div class="what">{escape(tr(words.FINDINGS.get(view.kind, view.kind)))} · '
        f"{escape(view.meter or view.zone)}</div>"
        f'<div class="where">{escape(view.zone_name)} · {escape(view.zone)}{status}</div></div>'
        f'<div class="size">{size} <span class="gg-dim">{escape(tr("m³/day"))}</span><small><span '
        f'class="gg-meter-bar"><i style="width:{view.score * 100:.0f}%"></i></span>'
        f" {view.score * 100:.0f} %</small></div></div>"
    )
    return {"id": str(view.id), "key": f"{rank:06}", "html": html}


def facts(view: FindingView, tr: Texts, timezone: str) -> str:
    """Return what is suspected, of whom, since when and how much."""
    cells = (
        (tr(words.FINDINGS.get(view.kind, view.kind)), view.meter or view.zone),
        (tr("Certainty"), f"{view.score * 100:.0f} %"),
        (
            tr("Size"),
            f"{number(view.estimate_m3_per_day, 1)} {tr('m³/day')}"
            if view.estimate_m3_per_day is not None
            else UNKNOWN,
        ),
        (tr("Began about"), full_time(view.onset, timezone)[:10]),
        (tr("Found"), clock_time(view.detected_at, timezone)),
    )
    return (
        '<div class="gg-facts">'
        f"{''.join(f'<div><small>{escape(name)}</small>{escape(value)}</div>' for name, value in cells)}</div>"
    )


def alternatives(evidence: Mapping[str, Any], tr: Texts) -> str:
    """Return how likely each explanation is, the likeliest first; nothing if the evidence does not say."""
    found = evidence.get("alternatives")
    if not isinstance(found, dict):
        return ""
    shares = [
        (str(key), float(value)) for key, value in found.items() if isinstance(value, int | float) and 0 <= value <= 1
    ]
    if not shares:
        return ""
    shares.sort(key=lambda pair: -pair[1])
    rows = "".join(
        f"<span>{escape(tr(words.HYPOTHESES.get(key, key.replace('_', ' '))))}</span><span "
        f'class="{"first" if n == 0 else ""}">'
        f'<i style="width:{share * 100:.1f}%"></i></span><span class="gg-dim" style="text-align:right">'
        f"{percent(share, 0)} %</span>"
        for n, (key, share) in enumerate(shares[:5])
    )
    return (
        f'<div class="gg-section" style="margin-bottom:4px">{escape(tr("Explanations compared"))}</div><div '
        f'class="gg-alternatives">{rows}</div>'
    )


def results(view: FindingView, tr: Texts) -> str:
    """Return the buttons for what an inspection found."""
    buttons = "".join(
        f'<button type="button" class="gg-button" data-result="{status}"{" disabled" if view.status == status else ""}>'
        f"{escape(sentence(tr(words.STATUSES[status])))}</button>"
        for status in ("confirmed", "meter_fault", "honest")
    )
    return f'<span class="gg-dim" style="align-self:center">{escape(tr("Inspection found"))}</span>{buttons}'
