"""HTML of the reports: a heading that stands on paper too, and the tables of the month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape

from api.pages.parts import words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.services.format import UNKNOWN, number, percent, significant
from api.services.loss import LossLine
from api.services.month import LOSS_GOAL, Figure
from api.services.reading_rates import GOALS, Rate, RateLine
from api.text import Texts, mark

FIGURES = {
    "supply": mark("Gas supplied"),
    "loss_rate": mark("Loss rate of the city"),
    "zones_high": mark("Zones with a high loss"),
    "homes_read": mark("Households read"),
    "others_read": mark("All other customers read"),
    "tickets": mark("Tickets"),
    "on_time": mark("Promises kept"),
    "emergencies": mark("Promises kept of emergencies"),
    "reached": mark("Customers reached by call-backs"),
    "satisfied": mark("Satisfied customers"),
    "alarms_an_hour": mark("Alarms announced per hour"),
    "floods": mark("Alarm floods"),
}
_MOST_ZONES = 30
"""regulator zones on the report of losses: those with a high loss, the highest first"""


def tools(tr: Texts, month: str, latest: str, taken: str) -> str:
    """Return the choice of the month, what can be taken along, and the way to paper."""
    return (
        f'<label class="gg-dim" for="gg-month">{escape(tr("Month of the report"))}</label>'
        f'<input id="gg-month" class="gg-input" type="month" value="{month}" max="{latest}">'
        f'<button type="button" class="gg-button" onclick="window.print()">'
        f"{escape(tr('Print or save as PDF'))}</button>{taken}"
    )


def heading(tr: Texts, title: str, site: str, span: tuple[date, date] | None, made: str) -> str:
    """Return what says on screen and on paper what this is, of whom, of which days, and when it was made."""
    days = "" if span is None else f"{span[0]} – {span[1]} · "
    return (
        f'<div class="gg-report-head"><h1>{escape(title)}</h1>'
        f"<p>{escape(site)} · {days}{escape(tr('made {time}', time=made))}</p></div>"
    )


def working(tr: Texts) -> str:
    """Return what stands there while a report is computed."""
    return f'<div class="gg-empty" role="status"><span class="gg-wait"></span>{escape(tr("Computing…"))}</div>'


def nothing(tr: Texts) -> str:
    """Return what stands there for a month that has not begun, or whose figures are not there yet."""
    return f'<div class="gg-empty">{empty(tr("There are no figures for this month yet."))}</div>'


def figures(found: Sequence[Figure], tr: Texts) -> str:
    """Return the sheet of the month."""
    rows = "".join(
        f"<tr><td>{escape(tr(FIGURES[one.name]))}</td>"
        f'<td class="num"><b>{_value(one, one.value)}</b>{_sigma(one)}</td>'
        f'<td class="num">{_goal(one)}</td><td class="num dim">{_value(one, one.before)}</td><td>{_met(one, tr)}</td>'
        "</tr>"
        for one in found
    )
    head = (tr("Figure"), tr("This month"), tr("Goal"), tr("Month before"), tr("State"))
    return table(head, rows, numbers=3, classes="gg-sheet")


def _value(one: Figure, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if one.unit == "%":
        return f"{percent(value)} %"
    shown = number(value) if float(value).is_integer() or one.unit == "m³" else significant(value)
    return f"{shown} {one.unit}".strip()


def _sigma(one: Figure) -> str:
    return "" if one.sigma is None or one.value is None else f' <span class="gg-dim">± {percent(2 * one.sigma)}</span>'


def _goal(one: Figure) -> str:
    if one.goal is None:
        return ""
    sign = "≤" if one.at_most else "≥"
    return f"{sign} {one.goal * 100:g} %" if one.unit == "%" else f"{sign} {one.goal:g}"


def _met(one: Figure, tr: Texts) -> str:
    if one.goal is None:
        return ""
    if one.met is None:
        return f'<span class="gg-dim">{escape(tr("not known"))}</span>'
    return escape(tr("met")) if one.met else f'<span class="gg-chip bad">▲ {escape(tr("not met"))}</span>'


def rates(lines: Sequence[RateLine] | None, tr: Texts) -> str:
    """Return how many meters were read, the whole city first, then each district."""
    if lines is None:
        return f'<div class="gg-empty">{empty(tr("No gas day of this month was audited yet."))}</div>'
    rows = "".join(
        f"<tr><td>{escape(line.name or tr('Whole city'))}</td>"
        + _rate(line.homes, GOALS["homes"])
        + _rate(line.others, GOALS["others"])
        + "</tr>"
        for line in lines
    )
    group = (tr("Meters"), f"{tr('Read')} %", f"{tr('Days measured')} %")
    cells = "".join(f'<th class="num">{escape(name)}</th>' for name in group * 2)
    homes, others = (
        f'<th colspan="3" scope="colgroup" class="num">{escape(tr(name, goal=f"{goal * 100:g}"))}</th>'
        for name, goal in (
            (mark("Households, goal {goal} %"), GOALS["homes"]),
            (mark("All other customers, goal {goal} %"), GOALS["others"]),
        )
    )
    note = tr("Read: a register of the month came. Days measured: gas days that rest on registers, not on estimates.")
    return (
        f'<table class="gg-table gg-sheet"><thead><tr><th rowspan="2">{escape(tr("District"))}</th>{homes}{others}</tr>'
        f'<tr class="second">{cells}</tr></thead><tbody>{rows}</tbody></table><p class="gg-way">{escape(note)}</p>'
    )


def _rate(one: Rate, goal: float) -> str:
    shown = percent(one.share, 1)
    if one.share is not None and one.share < goal:
        shown = f'<span class="gg-chip bad">▼ {shown}</span>'
    return (
        f'<td class="num">{number(one.meters)}</td><td class="num">{shown}</td>'
        f'<td class="num dim">{percent(one.share_of_days, 1)}</td>'
    )


def losses(lines: Sequence[LossLine], tr: Texts) -> str:
    """Return the balance of city and districts, and of the zones with a high loss."""
    upper = [line for line in lines if line.kind in {"city", "district"}]
    high = [line for line in lines if line.verdict == "high" and line.kind not in {"city", "district"}]
    high.sort(key=lambda line: -(line.loss_rate or 0.0))
    if not any(line.days for line in lines):
        return f'<div class="gg-empty">{empty(tr("The first gas day has not been balanced yet."))}</div>'
    shown = "".join(_loss(line, tr) for line in upper)
    text = tr("Goal of the city: at most {goal} %.", goal=f"{LOSS_GOAL * 100:g}")
    parts = [_losses(tr, tr("Zone"), shown), f'<p class="gg-way">{escape(text)}</p>']
    if high:
        title = tr("Zones with a high loss: {count}", count=len(high))
        parts.append(f'<div class="gg-section"><span>{escape(title)}</span></div>')
        parts.append(_losses(tr, tr("Zone"), "".join(_loss(line, tr) for line in high[:_MOST_ZONES])))
    return "".join(parts)


def _losses(tr: Texts, first: str, rows: str) -> str:
    head = (
        first, f"{tr('Supply')} m³", f"{tr('Metered')} m³", f"{tr('Loss')} m³", f"{tr('Loss rate')} %", "± 2σ %",
        f"{tr('Coverage')} %", tr("Days"), tr("Verdict"),
    )  # fmt: skip
    return table(head, rows, numbers=7, classes="gg-sheet")


def _loss(line: LossLine, tr: Texts) -> str:
    verdict = escape(tr(words.VERDICTS.get(line.verdict, line.verdict)))
    if line.verdict == "high":
        verdict = f'<span class="gg-chip bad">▲ {verdict}</span>'
    cells = (
        number(line.supply_m3), number(line.metered_m3), number(line.loss_m3), percent(line.loss_rate),
        percent(None if line.sigma is None else 2 * line.sigma), percent(line.coverage, 1),
        f"{line.days}/{line.days_asked}",
    )  # fmt: skip
    return (
        f'<tr><td style="padding-left:{12 + 16 * line.depth}px">{escape(line.name or line.zone)}</td>'
        + "".join(f'<td class="num">{cell}</td>' for cell in cells)
        + f"<td>{verdict}</td></tr>"
    )
