"""Sections of the report about findings: all of them in one table, and the evidence of those that matter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from api.pages.parts import finding_words, words
from api.report.case import Case
from api.report.svg import chart, legend
from api.services.curves import curves_of
from api.services.format import UNKNOWN, number, percent, significant
from api.text import Texts
from gateway.model.finding import LIKELY, Finding

MOST_SHOWN = 40
"""findings whose evidence is drawn; all stand in the table"""
MOST_ALTERNATIVES = 6
MOST_PIPES = 5


def table(case: Case, tr: Texts) -> str:
    """Return all findings, the open and certain ones first."""
    if not case.ranked:
        return f"<p>{escape(tr('Nothing is suspected.'))}</p>"
    weak = sum(one.score < LIKELY for one in case.ranked)
    note = tr("{count} more are weak suspicions, of less than 50 %; they stand in the JSON answer.", count=weak)
    return _table(case, tr) + (f'<p class="dim">{escape(note)}</p>' if weak else "")


def _table(case: Case, tr: Texts) -> str:
    names = (tr("Finding"), tr("Where"), tr("Zone"), tr("Began about"), tr("Found"))
    figures = ((tr("Size"), tr("m³/day")), (tr("of the zone's supply"), "%"), (tr("Certainty"), "%"))
    head = "<th>#</th>" + "".join(f"<th>{escape(name)}</th>" for name in names)
    head += "".join(f'<th class="num">{escape(name)}<small>{escape(unit)}</small></th>' for name, unit in figures)
    rows = "".join(_row(case, rank, finding, tr) for rank, finding in enumerate(case.likely, start=1))
    head += f"<th>{escape(tr('Status'))}</th>"
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def evidence(case: Case, tr: Texts) -> str:
    """Return the evidence of the first findings, with curves side by side."""
    cards = "".join(_card(case, rank, one, tr) for rank, one in enumerate(case.likely[:MOST_SHOWN], start=1))
    rest = len(case.likely) - MOST_SHOWN
    more = tr("The evidence of {count} more stands in the JSON answer.", count=rest)
    return cards + (f'<p class="dim">{escape(more)}</p>' if rest > 0 else "")


def _row(case: Case, rank: int, finding: Finding, tr: Texts) -> str:
    link = f'<a href="#f{rank}">{escape(finding.subject)}</a>' if rank <= MOST_SHOWN else escape(finding.subject)
    state = finding_words.state(finding.status, finding.cause, tr)
    size, share = significant(finding.estimate_m3_per_day), percent(case.share(finding), 1)
    return (
        f'<tr><td class="dim">{rank}</td><td>{escape(tr(words.FINDINGS.get(finding.kind, finding.kind)))}</td>'
        f"<td>{link}</td><td>{escape(finding.zone)}</td><td>{_day(case, finding)}</td>"
        f"<td>{_moment(case, finding)}</td>"
        f'<td class="num">{size}</td><td class="num">{share}</td>'
        f'<td class="num">{escape(finding_words.certainty(finding.score))}</td><td>{escape(state)}</td></tr>'
    )


def _card(case: Case, rank: int, finding: Finding, tr: Texts) -> str:
    name = tr(words.FINDINGS.get(finding.kind, finding.kind))
    share = case.share(finding)
    size = f"{significant(finding.estimate_m3_per_day)} {tr('m³/day')}"
    if share is not None:
        size += " · " + tr("{share} % of the zone's supply", share=percent(share, 1))
    facts = (
        (tr("Zone"), f"{finding.zone} {case.network.name_of(finding.zone)}"),
        (tr("Began about"), _day(case, finding)),
        (tr("Found"), _moment(case, finding)),
        (tr("Size"), size if finding.estimate_m3_per_day is not None else UNKNOWN),
        (tr("Certainty"), f"{finding_words.certainty(finding.score)} %"),
        (tr("Status"), finding_words.state(finding.status, finding.cause, tr)),
    )
    cells = "".join(f"<div><small>{escape(label)}</small>{escape(value)}</div>" for label, value in facts)
    return (
        f'<section class="finding" id="f{rank}"><h3>{rank}. {escape(name)} · {escape(finding.subject)}</h3>'
        f'<div class="facts">{cells}</div>{_curves(case, finding, tr)}'
        f"{_odds(finding.evidence, tr)}{_pipes(finding.evidence, tr)}{_figures(finding.evidence, tr)}</section>"
    )


def _curves(case: Case, finding: Finding, tr: Texts) -> str:
    """Return the curves of the evidence side by side."""
    drawn = ""
    for curve in curves_of(finding.evidence, _day(case, finding), tr, case.settings.timezone):
        picture = chart(
            curve.at, curve.lines, unit=curve.unit, label=curve.lines[0].name,
            mark=curve.mark, mark_name=tr("onset"), level=curve.level,
        )  # fmt: skip
        drawn += f"<div>{legend(curve.lines)}{picture}</div>"
    return f'<div class="pair">{drawn}</div>' if drawn else ""


def _odds(facts: Mapping[str, Any], tr: Texts) -> str:
    rows = finding_words.alternatives(facts, tr)[:MOST_ALTERNATIVES]
    if not rows:
        return ""
    cells = "".join(
        f"<span>{escape(name)}</span><span{' class=first' if place == 0 else ''}>"
        f'<i style="width:{share * 100:.1f}%"></i></span><span class="num">{percent(share, 1)} %</span>'
        for place, (name, share) in enumerate(rows)
    )
    return f'<p class="dim">{escape(tr("Explanations compared"))}</p><div class="odds">{cells}</div>'


def _pipes(facts: Mapping[str, Any], tr: Texts) -> str:
    found = facts.get("location")
    if not isinstance(found, list):
        return ""
    pipes = [
        f"{escape(str(one.get('pipe_id', '')))} {percent(one.get('probability'), 0)} %"
        for one in found[:MOST_PIPES]
        if isinstance(one, dict)
    ]
    by = tr(finding_words.LOCATED_BY.get(str(facts.get("located_by", "")), ""))
    name = escape(tr("Likely pipes"))
    return f"<p><small>{name}</small> {' · '.join(pipes)} <small>{escape(by)}</small></p>" if pipes else ""


def _figures(facts: Mapping[str, Any], tr: Texts) -> str:
    """Return single facts of the evidence, of findings that a single reading proves."""
    rows = finding_words.single_facts(facts, tr)
    return (
        f'<p class="dim">{" · ".join(f"{escape(name)}: {escape(value)}" for name, value in rows)}</p>' if rows else ""
    )


def _day(case: Case, finding: Finding) -> str:
    return case.settings.gas_day.of(finding.onset).isoformat()


def _moment(case: Case, finding: Finding) -> str:
    return case.settings.gas_day.of(finding.detected_at).isoformat()


def counts(episodes: Sequence[Finding], tr: Texts) -> str:
    """Return how many findings of each kind there are."""
    kinds: dict[str, int] = {}
    for finding in episodes:
        kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
    ordered = sorted(kinds.items(), key=lambda entry: -entry[1])
    return ", ".join(f"{tr(words.FINDINGS.get(kind, kind))} {number(count)}" for kind, count in ordered)
