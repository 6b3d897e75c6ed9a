"""HTML of the loss page: tree with bars, suspects, facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape

from api.pages.parts import finding_words, words
from api.pages.parts.export_html import export
from api.pages.parts.html import empty
from api.services.findings import FindingView
from api.services.format import number, percent
from api.services.loss import SPARK_DAYS, LossDay, LossLine, LossMonth, Period
from api.services.precision import Precision
from api.text import Texts, mark
from gateway.model.loss_total import LossTotal

PERIODS = {
    Period.DAY: mark("Gas day"),
    Period.WEEK: mark("7 days"),
    Period.MONTH: mark("Month"),
    Period.CYCLE: mark("Two months"),
}
COURSES = {"days": mark("By day"), "months": mark("By month"), "terms": mark("By term")}
_LEAST_SPAN = 0.04
_LEAST_COURSE = 0.02
Sparks = Mapping[str, Sequence[float | None]]
"""loss rates of the last gas days by zone"""


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
        f"›</button>{shown}{export(tr, 'loss', period=period.value, day=day)}"
    )


def tree(lines: Sequence[LossLine], sparks: Sparks, tr: Texts, chosen: str, folded: set[str]) -> str:
    """Return the table of zones; a bar shows the rate with two sigma on a scale shared by all, a line its course."""
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
            _line(
                line, sparks.get(line.zone, ()), tr, chosen, scale,
                leaf=line.zone not in parents, folded=line.zone in folded, many=many,
            )
        )  # fmt: skip
        if line.between_m3 is not None:
            rows.append(_between(line, tr, many=many))
    days = f'<th class="num">{escape(tr("Days"))}</th>' if many else ""
    head = (
        f"<tr><th>{escape(tr('Zone'))}</th>"
        f'<th class="num">{escape(tr("Supply"))} <small>m³</small></th><th class="num">{escape(tr("Metered"))} '
        "<small>m³</small></th>"
        f'<th class="num">{escape(tr("Loss"))} <small>m³</small></th><th class="num">{escape(tr("Loss rate"))} '
        "<small>%</small></th>"
        f"<th>± 2σ <small>0–{scale * 100:.0f} %</small></th>"
        f'<th class="gg-course">{escape(tr("{count} days", count=SPARK_DAYS))}</th>'
        f'<th class="num">{escape(tr("Coverage"))} <small>%</small></th>{days}<th>{escape(tr("Verdict"))}</th></tr>'
    )
    return f'<table class="gg-table tight"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _top(line: LossLine) -> float:
    return (line.loss_rate or 0.0) + 2 * (line.sigma or 0.0)


def _line(
    line: LossLine,
    spark: Sequence[float | None],
    tr: Texts,
    chosen: str,
    scale: float,
    *,
    leaf: bool,
    folded: bool,
    many: bool,
) -> str:
    fold = '<span class="gg-fold"></span>'
    if not leaf:
        label = tr("Unfold") if folded else tr("Fold")
        fold = (
            f'<button type="button" class="gg-fold" data-fold="{escape(line.zone)}" aria-label="{escape(label)}" '
            f'aria-expanded="{str(not folded).lower()}">{"▸" if folded else "▾"}</button>'
        )
    high = line.verdict == "high"
    verdict = escape(tr(words.VERDICTS.get(line.verdict, line.verdict)))
    days_high = f" · ▲ {line.days_high}" if many and line.days_high else ""
    verdict = f'<span class="gg-chip bad">▲ {verdict}</span>{days_high}' if high else f"{verdict}{days_high}"
    days = f'<td class="num dim">{line.days}/{line.days_asked}</td>' if many else ""
    name = escape(line.name or line.zone)
    zone = "" if line.zone == line.name else f'<span class="gg-dim">{escape(line.zone)}</span> '
    return (
        f'<tr data-pick="{escape(line.zone)}" aria-selected="{str(line.zone == chosen).lower()}">'
        f'<td style="padding-left:{8 + 20 * line.depth}px" title="{name}">{fold}'
        f'<button type="button" class="gg-link" data-pick="{escape(line.zone)}">{zone}{name}</button></td>'
        f'<td class="num">{number(line.supply_m3)}</td><td class="num">{number(line.metered_m3)}</td>'
        f'<td class="num">{number(line.loss_m3, 1)}</td><td class="num">{percent(line.loss_rate)}</td>'
        f"<td>{_bar(line, scale, high=high)}</td><td class='gg-course'>{_spark(spark)}</td>"
        f'<td class="num dim">{percent(line.coverage, 0)}</td>{days}'
        f'<td class="dim" title="{escape(line.reason)}">{verdict}</td></tr>'
    )


def _between(line: LossLine, tr: Texts, *, many: bool) -> str:
    """Return what is lost between a zone's own supply meter and those right below it."""
    share = None if line.between_m3 is None or not line.supply_m3 else line.between_m3 / line.supply_m3
    bounds = None if line.between_sigma_m3 is None else 2 * line.between_sigma_m3
    return (
        f'<tr class="gg-between"><td style="padding-left:{36 + 20 * line.depth}px" colspan="3">'
        f"{escape(tr('of this between here and the supply meters below'))}</td>"
        f'<td class="num">{number(line.between_m3, 1)}</td><td class="num">{percent(share)}</td>'
        f'<td>± {number(bounds, 1)} m³</td><td class="gg-course"></td><td colspan="{3 if many else 2}"></td></tr>'
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


def _spark(rates: Sequence[float | None]) -> str:
    """Return the course of the last gas days on a scale of its own, with a line at 0 and gaps where it is unknown."""
    known = [rate for rate in rates if rate is not None]
    if not known:
        return ""
    low, high = min(0.0, *known), max(_LEAST_COURSE, *known)
    step = 60 / max(len(rates) - 1, 1)

    def y(rate: float) -> float:
        return round(17 - 14 * (rate - low) / (high - low), 1)

    path, pen = "", "M"
    for at, rate in enumerate(rates):
        path += "" if rate is None else f"{pen}{2 + step * at:.1f} {y(rate)}" + ("h0" if pen == "M" else "")
        pen = "M" if rate is None else "L"
    end = f'<circle cx="62" cy="{y(rates[-1])}" r="2" fill="var(--mark)"/>' if rates[-1] is not None else ""
    return (
        '<svg class="gg-spark" viewBox="0 0 66 20" aria-hidden="true">'
        f'<path d="M2 {y(0.0)}H62" stroke="var(--line)" fill="none"/>'
        f'<path d="{path}" stroke="var(--mark)" stroke-linecap="round" fill="none"/>{end}</svg>'
    )


def _rule() -> str:
    return '<path d="M4 3v14M4 10h112" stroke="var(--line)" fill="none"/>'


def course_tools(chosen: str, tr: Texts, zone: str) -> str:
    """Return the picker of what the chart of a zone shows."""
    buttons = "".join(
        f'<button type="button" data-course="{key}" aria-pressed="{str(key == chosen).lower()}">'
        f"{escape(tr(name))}</button>"
        for key, name in COURSES.items()
    )
    return f'<div class="gg-seg">{buttons}</div>{export(tr, "loss-days", zone=zone)}'


def course_title(name: str, zone: str, note: str) -> str:
    """Return whose course it is, and a note."""
    label = name if name == zone else f"{name} · {zone}"
    return f'<span>{escape(label)}</span><span class="gg-dim">{escape(note)}</span>'


def days_note(days: Sequence[LossDay], tr: Texts) -> str:
    """Return how many days are known, and their mean."""
    known = [day for day in days if day.loss_m3 is not None and day.supply_m3]
    supply = sum(day.supply_m3 or 0.0 for day in known)
    mean = sum(day.loss_m3 or 0.0 for day in known) / supply if supply else None
    return tr(
        "{known} of {asked} gas days · mean {mean} % · band ± 2σ", known=len(known), asked=len(days), mean=percent(mean)
    )


def months_note(months: Sequence[LossMonth], tr: Texts) -> str:
    """Return what the bars of the months show."""
    high = sum(month.verdict == "high" for month in months)
    return tr(
        "{count} months, {high} with a high loss · line ± 2σ · dashed: not assessable", count=len(months), high=high
    )


def terms_note(line: LossTotal, tr: Texts) -> str:
    """Return what the bars of the terms show; without terms, that there are none."""
    if not line.terms:
        return tr("The loss of these days was not told apart into terms.")
    return tr(
        "{loss} m³ lost of {supply} m³ supplied · line ± 2σ",
        loss=number(line.loss_m3, 1),
        supply=number(line.supply_m3),
    )


def suspect_tools(zone: str, name: str, tr: Texts, *, weak: bool) -> str:
    """Return the pickers of whose suspects are listed, once a zone was picked, and of how weak ones."""
    where = (
        f'<div class="gg-seg"><button type="button" data-only="all" aria-pressed="false">{escape(tr("All zones"))}'
        f'</button><button type="button" data-only="zone" aria-pressed="true">{escape(name or zone)}</button></div>'
    )
    choices = (("not", tr("Likely"), not weak), ("too", tr("Weak ones too"), weak))
    buttons = "".join(
        f'<button type="button" data-weak="{value}" aria-pressed="{str(chosen).lower()}">{escape(text)}</button>'
        for value, text, chosen in choices
    )
    taken = export(tr, "findings", zone=zone, weak=int(weak))
    return f'{where if zone else ""}<div class="gg-seg">{buttons}</div>{taken}'


def record(found: Sequence[Precision], tr: Texts) -> str:
    """Return how often each kind was right, as far as people went to look; nothing while nobody did."""
    lines = [f"<span>{escape(finding_words.precision(one, tr))}</span>" for one in found if one.looked]
    if not lines:
        return ""
    return f'<div class="gg-record"><b>{escape(tr("Right so far"))}</b>{"".join(lines)}</div>'


def suspect_row(view: FindingView, rank: int, tr: Texts) -> dict[str, str]:
    """Return the list's row of a suspect."""
    done = view.status != "open"
    status = f" · {escape(finding_words.state(view.status, view.cause, tr))}" if done else ""
    size = number(view.estimate_m3_per_day, 1)
    html = (
        f'<div class="gg-suspect"{" style=opacity:.55" if done else ""}><span class="rank">{rank}</span><div '
        'style="min-width:0">'
        f'<div class="what">{escape(tr(words.FINDINGS.get(view.kind, view.kind)))} · '
        f"{escape(view.meter or view.zone)}</div>"
        f'<div class="where">{escape(view.zone_name)} · {escape(view.zone)}{status}</div></div>'
        f'<div class="size">{size} <span class="gg-dim">{escape(tr("m³/day"))}</span><small><span '
        f'class="gg-meter-bar"><i style="width:{view.score * 100:.0f}%"></i></span>'
        f" {escape(finding_words.certainty(view.score))} %</small></div></div>"
    )
    return {"id": str(view.id), "key": f"{rank:06}", "html": html}
