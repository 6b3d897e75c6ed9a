"""HTML of the strip of key figures above the control room."""

from __future__ import annotations

from html import escape

from api.pages.parts import words
from api.pages.parts.html import clock, glyph
from api.services.format import UNKNOWN, number
from api.services.summary import Summary
from api.text import Texts


def strip(figures: Summary, tr: Texts) -> str:
    """Return the strip of key figures."""
    counts = "".join(
        f'<span class="gg-count{"" if count else " zero"}">{glyph(level, f"gg-prio p{level} full")}<b>{count}</b>'
        "</span>"
        for level, count in figures.unacknowledged.items()
    )
    label = escape(tr("Unacknowledged by priority"))
    if figures.flood is not None:
        text = escape(tr("flood: {count} announced", count=figures.flood.announced))
        label = f'{label} <span class="gg-chip warn">{text}</span>'
    cells = [f'<div class="gg-figure"><small>{label}</small><div class="gg-counts">{counts}</div></div>']
    note = escape(tr("{count} not confirmed", count=figures.undelivered)) if figures.undelivered else ""
    cells.append(
        _figure(
            tr("Tickets out"),
            str(figures.tickets_out),
            f"<i>{note}</i>",
            "warn" if figures.undelivered else "" if figures.tickets_out else "quiet",
        )
    )
    if figures.worst is None:
        cells.append(_figure(tr("Worst clock"), UNKNOWN, f"<i>{escape(tr('none running'))}</i>", "quiet"))
    else:
        name, due, number_ = figures.worst
        label, late = words.clock_label(name, tr)
        shown = clock(due, 0.0, late)
        cells.append(
            f'<div class="gg-figure"><small>{escape(tr("Worst clock"))} · {escape(number_)}</small><div>{shown}'
            f'<i data-label="{escape(label)}">{escape(label)}</i></div></div>'
        )
    supply = figures.supply
    partial = (
        f"<i>m³/h · {escape(tr('{known} of {expected} measured', known=supply.known, expected=supply.expected))}</i>"
    )
    whole = supply.known == supply.expected and supply.expected > 0
    cells.append(_figure(tr("Supply now"), number(supply.flow_base_m3h), "<i>m³/h</i>" if whole else partial, ""))
    down = UNKNOWN if figures.links_down is None else str(figures.links_down)
    of = escape(tr("of {count}", count=figures.links)) if figures.links else ""
    cells.append(_figure(tr("Links down"), down, f"<i>{of}</i>", "warn" if figures.links_down else "quiet"))
    return "".join(cells)


def _figure(label: str, value: str, note: str, kind: str) -> str:
    return f'<div class="gg-figure {kind}"><small>{escape(label)}</small><div><b>{escape(value)}</b>{note}</div></div>'
