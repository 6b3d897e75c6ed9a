"""Sections of the report about loss: figures first, then zones, months, levels, terms, and what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape

from api.pages.parts import finding_words, words
from api.report.case import Case
from api.report.svg import chart, whisker
from api.services.curves import Line
from api.services.format import number, percent
from api.text import Texts
from gateway.model.finding import FindingStatus, LossRow, LossVerdict
from gateway.model.loss_total import LossTotal

MOST_COURSES = 12
MOST_REASONS = 60
_LEAST_TOP = 0.04
_WIDE = 1060


def summary(case: Case, tr: Texts) -> str:
    """Return the key figures."""
    top = next((zone for zone, depth in case.supplied if depth == 0), "")
    whole = case.whole.get(top)
    open_now = sum(one.status is FindingStatus.OPEN for one in case.likely)
    high = sum(case.whole[zone].verdict is LossVerdict.HIGH for zone, _ in case.supplied)
    unknown = sum(row.verdict is LossVerdict.NOT_ASSESSABLE for row in case.loss)
    figures = [
        (_rate(whole), tr("Loss rate of {zone}, %", zone=case.network.name_of(top))) if whole else None,
        (number(whole.loss_m3), tr("m³ lost of {supply} m³ supplied", supply=number(whole.supply_m3)))
        if whole
        else None,
        (str(high), tr("of {count} zones with a high loss", count=len(case.supplied))),
        (str(open_now), tr("findings open, of {count} raised", count=len(case.likely))),
        (f"{percent(unknown / len(case.loss), 0)} %" if case.loss else "—", tr("of zone-days not assessable")),
    ]
    boxes = "".join(f"<div><b>{value}</b>{escape(name)}</div>" for value, name in filter(None, figures))
    return f'<div class="figures">{boxes}</div>{_course(case, top, tr) if top else ""}'


def zones(case: Case, tr: Texts) -> str:
    """Return the tree of zones over the whole time, with what is lost between levels."""
    totals = [case.whole[zone] for zone, _ in case.shown]
    top = max([_LEAST_TOP, *((one.loss_rate or 0.0) + 2 * (one.sigma or 0.0) for one in totals)])
    head = (
        _th(tr("Zone")),
        *(_th(name, unit) for name, unit in _columns(tr)),
        f"<th>± 2σ <small>0–{top * 100:.0f} %</small></th>",
        *(_th(name, unit) for name, unit in ((tr("Coverage"), "%"), (tr("Days"), ""), (tr("Days high"), ""))),
        _th(tr("Verdict")),
    )
    rows = "".join(_zone_row(case, zone, depth, top, tr) for zone, depth in case.shown)
    return f'<div class="wide"><table><thead><tr>{"".join(head)}</tr></thead><tbody>{rows}</tbody></table></div>'


def calendar(case: Case, size: int, tr: Texts) -> str:
    """Return the loss rate of each zone by months, or by spans of `size` months."""
    spans = case.spans(size)
    head = "".join(_th(_span_name(first, size), "") for first, _ in spans)
    rows = []
    for zone, depth in case.supplied:
        cells = "".join(_span_cell(case.of_span(zone, first, size, days)) for first, days in spans)
        rows.append(f"<tr>{_name_cell(case, zone, depth)}{cells}</tr>")
    body = f"<thead><tr>{_th(tr('Zone'))}{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="wide"><table>{body}</table></div>'


def terms(case: Case, tr: Texts) -> str:
    """Return what the loss of each zone is made of; empty if no day tells."""
    known = [(zone, depth) for zone, depth in case.supplied if case.whole[zone].terms]
    if not known:
        return ""
    names = list(dict.fromkeys(name for zone, _ in known for name in case.whole[zone].terms))
    unit = tr("m³/day")
    head = _th(tr(finding_words.TERMS["whole"]), unit)
    head += "".join(_th(tr(finding_words.TERMS.get(name, name)), f"{unit} ± 2σ") for name in names)
    rows = []
    for zone, depth in known:
        whole = case.whole[zone]
        cells = f'<td class="num">{_mean(sum(value for value, _ in whole.terms.values()), whole.days)}</td>'
        cells += "".join(_pair_cell(whole.terms.get(name), whole.days) for name in names)
        rows.append(f"<tr>{_name_cell(case, zone, depth)}{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{_th(tr("Zone"))}{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def courses(case: Case, tr: Texts) -> str:
    """Return the course of the zones that lost most, beside the one of the whole."""
    worst = [zone for zone, depth in case.supplied if depth > 0 and case.whole[zone].days_high]
    worst.sort(key=lambda zone: -case.whole[zone].days_high)
    charts = "".join(f"<div>{_course(case, zone, tr, width=520)}</div>" for zone in worst[:MOST_COURSES])
    return f'<div class="finding"><div class="pair">{charts}</div></div>' if charts else ""


def unknown(case: Case, tr: Texts) -> str:
    """Return which zones cannot be judged, on how many days, and why."""
    supplied = {zone for zone, _ in case.supplied}
    without = ", ".join(zone for zone, _ in case.tree if zone not in supplied)
    note = tr(
        "Without readings of a supply meter of their own; customers count for the zone above: {zones}", zones=without
    )
    reasons = list(case.unknown())
    rows = "".join(
        f"<tr><td>{escape(_name(case, zone))}</td><td>{escape(finding_words.reason(reason, tr))}</td>"
        f'<td class="num">{count}</td></tr>'
        for zone, reason, count in reasons[:MOST_REASONS]
    )
    head = f"{_th(tr('Zone'))}{_th(tr('Why'))}{_th(tr('Days'), '')}"
    table = (
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        if rows
        else f"<p>{escape(tr('Every gas day of every supplied zone could be assessed.'))}</p>"
    )
    rest = len(reasons) - MOST_REASONS
    more = f'<p class="dim">{escape(tr("and {count} more", count=rest))}</p>' if rest > 0 else ""
    return table + more + (f'<p class="dim">{escape(note)}</p>' if without else "")


def _columns(tr: Texts) -> Sequence[tuple[str, str]]:
    unit = tr("m³/day")
    return ((tr("Supply"), unit), (tr("Metered"), unit), (tr("Loss"), unit), (tr("Loss rate"), "%"))


def _zone_row(case: Case, zone: str, depth: int, top: float, tr: Texts) -> str:
    whole = case.whole[zone]
    high = whole.verdict is LossVerdict.HIGH
    verdict = escape(tr(words.VERDICTS[whole.verdict]))
    row = (
        f"<tr>{_name_cell(case, zone, depth)}"
        f'<td class="num">{_mean(whole.supply_m3, whole.days, 0)}</td>'
        f'<td class="num">{_mean(whole.metered_m3, whole.days, 0)}</td>'
        f'<td class="num">{_mean(whole.loss_m3, whole.days)}</td><td class="num">{_rate(whole)}</td>'
        f"<td>{whisker(whole.loss_rate, whole.sigma, top, high=high)}</td>"
        f'<td class="num">{percent(whole.coverage, 0)}</td><td class="num">{whole.days}/{whole.days_asked}</td>'
        f'<td class="num">{whole.days_high or ""}</td><td class="{"bad" if high else ""}">{verdict}</td></tr>'
    )
    children = case.network.children(zone)
    if whole.between_m3 is None or not any(case.whole[child].days for child in children):
        return row
    share = whole.between_m3 / whole.supply_m3 if whole.supply_m3 else None
    bounds = _mean(None if whole.between_sigma_m3 is None else 2 * whole.between_sigma_m3, whole.days)
    return row + (
        f'<tr class="between"><td style="padding-left:{28 + 18 * depth}px" colspan="3">'
        f"{escape(tr('of this between {zone} and the supply meters below it', zone=_name(case, zone)))}</td>"
        f'<td class="num">{_mean(whole.between_m3, whole.days)}</td><td class="num">{percent(share)}</td>'
        f'<td colspan="5">± {bounds} {escape(tr("m³/day"))}</td></tr>'
    )


def _mean(sum_m3: float | None, days: int, digits: int = 1) -> str:
    return number(None if sum_m3 is None or not days else sum_m3 / days, digits)


def _course(case: Case, zone: str, tr: Texts, width: int = _WIDE) -> str:
    """Return the loss rate of one zone by gas day with its band of two sigma."""
    rows = {row.gas_day: row for row in case.by_zone.get(zone, ())}
    found = [rows.get(day) for day in case.days]
    rate = [_points(row, 0) for row in found]
    band = ([_points(row, -2) for row in found], [_points(row, 2) for row in found])
    days = [day.isoformat() for day in case.days]
    label = f"{tr('Loss rate')} {_name(case, zone)}"
    drawn = chart(days, [Line(label, rate, "one")], unit="%", label=label, band=band, width=width)
    return f"<h3>{escape(_name(case, zone))} <small>{escape(tr('loss rate by gas day, band ± 2σ'))}</small></h3>{drawn}"


def _points(row: LossRow | None, sigmas: int) -> float | None:
    if row is None or row.loss_rate is None or row.sigma is None:
        return None
    return round(100 * (row.loss_rate + sigmas * row.sigma), 3)


def _rate(whole: LossTotal) -> str:
    bounds = "" if whole.sigma is None else f" <small>± {percent(2 * whole.sigma)}</small>"
    return f"{percent(whole.loss_rate)}{bounds}"


def _span_cell(span: LossTotal) -> str:
    if span.loss_rate is None:
        return '<td class="num none">—</td>'
    style = {LossVerdict.HIGH: " bad", LossVerdict.NOT_ASSESSABLE: " none"}.get(span.verdict, "")
    return f'<td class="num{style}">{_rate(span)}</td>'


def _pair_cell(pair: tuple[float, float] | None, days: int) -> str:
    if pair is None:
        return '<td class="num none">—</td>'
    return f'<td class="num">{_mean(pair[0], days)} <small>± {_mean(2 * pair[1], days)}</small></td>'


def _name_cell(case: Case, zone: str, depth: int) -> str:
    return f'<td class="zone" style="padding-left:{8 + 18 * depth}px">{escape(_name(case, zone))}</td>'


def _name(case: Case, zone: str) -> str:
    name = case.network.name_of(zone)
    return zone if name in {"", zone} else f"{zone} {name}"


def _th(name: str, unit: str | None = None) -> str:
    small = f"<small>{escape(unit)}</small>" if unit else ""
    return f"<th{'' if unit is None else ' class=num'}>{escape(name)}{small}</th>"


def _span_name(first: date, size: int) -> str:
    return f"{first:%Y-%m}" if size == 1 else f"{first:%Y-%m}/{first.month + size - 1:02}"
