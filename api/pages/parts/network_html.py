"""HTML of the page of the network: the list of sites, the tools of the trend, and the marks of pressures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from api.pages.parts import words
from api.pages.parts.export_html import export
from api.pages.parts.html import empty, ms
from api.pages.parts.meter_html import QUANTITIES, segment
from api.pages.parts.meters_html import MOST_ZONES, SEVERITIES, choice
from api.services.format import UNKNOWN, significant
from api.services.network import LONGEST_TEXT, Site, Value
from api.text import Texts, mark
from gateway.model.network import Network, ZoneKind
from gateway.model.quantity import UNITS, Quantity
from gateway.model.reading import PointId, split_point

KINDS = {"station": mark("Station"), "regulator": mark("Regulator")}
SPANS = {
    "6": mark("6 hours"),
    "24": mark("24 hours"),
    "168": mark("7 days"),
    "744": mark("31 days"),
    "8760": mark("A year"),
}
"""hours that a trend may show"""
COLUMNS = (
    Quantity.PRESSURE_GAUGE_KPA, Quantity.INLET_PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H, Quantity.GAS_LEL_PCT,
    Quantity.TEMPERATURE_C,
)  # fmt: skip
TYPED = (
    "(e) => { clearTimeout(window.ggTyped); const form = e.currentTarget.querySelector('form');"
    "window.ggTyped = setTimeout(() => emit(JSON.stringify(Object.fromEntries(new FormData(form)))),"
    " e.type === 'input' && e.target.name === 'text' ? 250 : 0) }"
)
SIDES = {"low": "▼", "high": "▲"}


def tools(tr: Texts, text: str, network: Network) -> str:
    """Return the search form."""
    every = list(network.zones.values())
    if len(every) > MOST_ZONES:
        every = [zone for zone in every if zone.kind in {ZoneKind.CITY, ZoneKind.DISTRICT}][:MOST_ZONES]
    zones = [(zone.zone_id, f"{tr(words.ZONES[zone.kind])} · {zone.name}") for zone in every]
    kinds = [(kind, tr(name)) for kind, name in KINDS.items()]
    return (
        '<form class="gg-search-form" role="search" onsubmit="return false">'
        f'<label class="wide"><span>{escape(tr("Station, regulator or address"))}</span>'
        f'<input class="gg-input" name="text" type="search" maxlength="{LONGEST_TEXT}" autocomplete="off" '
        f'value="{escape(text)}" placeholder="{escape(tr("any part of it"))}"></label>'
        f"{choice('zone', tr('Zone'), zones, '', tr)}{choice('kind', tr('Kind'), kinds, '', tr)}</form>"
    )


def listed(sites: Sequence[Site], chosen: Sequence[PointId], tr: Texts) -> str:
    """Return the table of sites; each value is a button that puts it into the trend."""
    if not sites:
        return nothing(tr)
    used = [quantity for quantity in COLUMNS if any(site.value_of(quantity) for site in sites)]
    head = f"<th>{escape(tr('Designation'))}</th>" + "".join(
        f'<th class="num">{escape(tr(QUANTITIES[quantity]))} <small>{escape(UNITS[quantity])}</small></th>'
        for quantity in used
    )
    rows = "".join(_row(site, used, chosen, tr) for site in sites)
    return f'<table class="gg-table tight gg-sites"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(site: Site, used: Sequence[Quantity], chosen: Sequence[PointId], tr: Texts) -> str:
    station = site.station
    last = max((value.newest.at for value in site.values), default=None)
    age = escape(tr("never heard"))
    if last:
        age = escape(tr("{age} ago")).replace("{age}", f'<span data-since="{ms(last)}"></span>')
    cells = "".join(_value(site.value_of(quantity), chosen, tr) for quantity in used)
    return (
        f'<tr><td title="{escape(station.address)}"><b>{escape(station.name)}</b><small>'
        f"{escape(station.station_id)} · {escape(tr(KINDS.get(station.kind, station.kind)))} · {escape(site.zone_name)}"
        f" · {age}</small></td>{cells}</tr>"
    )


def _value(value: Value | None, chosen: Sequence[PointId], tr: Texts) -> str:
    if value is None:
        return f'<td class="num dim">{UNKNOWN}</td>'
    one = value.newest
    classes = ["gg-value"]
    classes += ["gg-stale"] if value.stale or one.value is None else []
    classes += ["outside"] if value.outside else []
    quality = "" if one.severity == "good" else f" · {tr(SEVERITIES[one.severity])}"
    limits = " · ".join(f"{'≥' if one.side == 'high' else '≤'} {significant(one.value)}" for one in value.limits)
    title = " · ".join(filter(None, (f"{tr('limits')} {limits}" if limits else "", quality.strip(" ·"))))
    sign = f"{SIDES[value.outside]} " if value.outside else ""
    pressed = str(value.point in chosen).lower()
    return (
        f'<td class="num"><button type="button" class="{" ".join(classes)}" data-point="{escape(value.point)}" '
        f'aria-pressed="{pressed}" title="{escape(title)}">{sign}{significant(one.value)}</button></td>'
    )


def nothing(tr: Texts) -> str:
    """Return what stands where the list would be."""
    return f'<div class="gg-empty">{empty(tr("No station and no regulator is like that."))}</div>'


def away(tr: Texts) -> str:
    """Return what stands there while the store does not answer."""
    text = tr("The store does not answer. What it holds is shown again by itself.")
    return f'<div class="gg-empty">{escape(text)}</div>'


def foot(tr: Texts, page: int, after: int | None, asked: Mapping[str, str]) -> str:
    """Return the ways to other pages of the list, and to the table as a file."""
    ways = ""
    if page > 1 or after is not None:
        ways = (
            f'<button type="button" class="gg-button small" data-page="back"{" disabled" if page == 1 else ""}>'
            f'‹ {escape(tr("Back"))}</button><span class="gg-dim">{escape(tr("page {number}", number=page))}</span>'
            f'<button type="button" class="gg-button small" data-page="next"{" disabled" if after is None else ""}>'
            f"{escape(tr('Next'))} ›</button>"
        )
    return f"{ways}{export(tr, 'sites', **asked)}"


def chart_tools(points: Sequence[PointId], span: str, tr: Texts, name_of: Callable[[str], str]) -> str:
    """Return the spans, and the chosen points, each of which a click takes out."""
    chosen = "".join(
        f'<button type="button" class="gg-chip" data-drop="{escape(point)}" title="{escape(tr("Take out"))}">'
        f"{escape(point_name(point, name_of, tr))} ×</button>"
        for point in points
    )
    return segment("span", [(name, tr(text)) for name, text in SPANS.items()], span) + chosen


def point_name(point: PointId, name_of: Callable[[str], str], tr: Texts) -> str:
    """Return what people call a point."""
    asset, quantity = split_point(point)
    return f"{name_of(asset)} · {tr(QUANTITIES.get(quantity, quantity))}"


def mark_of(site: Site) -> dict[str, Any]:
    """Return the mark of a pressure on the map: grey within its limits, hatched when old, coloured beyond them."""
    value = site.value_of(Quantity.PRESSURE_GAUGE_KPA)
    assert value is not None
    classes = "gg-pressure" + (" outside" if value.outside else "") + (" gg-stale" if value.stale else "")
    sign = f"{SIDES[value.outside]} " if value.outside else ""
    title = f"{site.station.name}: {significant(value.newest.value)} kPa"
    html = f'<span class="{classes}" title="{escape(title)}">{sign}{significant(value.newest.value)}</span>'
    return {
        "asset": site.station.station_id,
        "x": site.station.x_m,
        "y": site.station.y_m,
        "priority": 1 if value.outside else 4,
        "html": html,
    }
