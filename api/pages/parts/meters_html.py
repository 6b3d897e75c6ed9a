"""HTML of the search for meters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from api.pages.parts import finding_words, words
from api.pages.parts.export_html import export
from api.pages.parts.html import empty
from api.services.format import UNKNOWN, clock_time, number
from api.services.meters import LONGEST_TEXT, Wanted
from api.services.newest import Newest
from api.text import Texts, mark
from gateway.model.network import Meter, MeterRole, Network, Zone, ZoneKind

MOST_ZONES = 400
"""zones that a list of choices may have; of more, only districts are offered"""
STALE = timedelta(days=3)
"""a register older than this looks stale"""
SEVERITIES = {"good": mark("good"), "uncertain": mark("uncertain"), "bad": mark("bad")}


def tools(tr: Texts, wanted: Wanted, network: Network, classes: Sequence[str], *, by_customer: bool) -> str:
    """Return the search form; with `by_customer` accounts and addresses are searched, too."""
    zones = [(zone.zone_id, f"{tr(words.ZONES[zone.kind])} · {zone.name}") for zone in _zones(network)]
    kinds = [(kind, tr(name)) for kind, name in finding_words.METER_KINDS.items()]
    used = [(name, tr(finding_words.CLASSES.get(name, name))) for name in classes]
    accounts = [(name, tr(text)) for name, text in finding_words.ACCOUNTS.items()]
    what = tr("Meter, account or address") if by_customer else tr("Meter")
    return (
        '<form class="gg-search-form" role="search" onsubmit="return false">'
        f'<label class="wide"><span>{escape(what)}</span>'
        f'<input class="gg-input" name="text" type="search" maxlength="{LONGEST_TEXT}" autocomplete="off" autofocus '
        f'value="{escape(wanted.text)}" placeholder="{escape(tr("any part of it"))}"></label>'
        + choice("zone", tr("Zone"), zones, wanted.zone, tr)
        + choice("kind", tr("Built as"), kinds, wanted.kind, tr)
        + choice("customer_class", tr("Customer"), used, wanted.customer_class, tr)
        + choice("account", tr("Account"), accounts, wanted.account, tr)
        + "</form>"
    )


def choice(name: str, label: str, options: Iterable[tuple[str, str]], chosen: str, tr: Texts) -> str:
    """Return a list of choices, the first of which is any."""
    every = [("", tr("any")), *options]
    shown = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in every
    )
    return f'<label><span>{escape(label)}</span><select class="gg-input" name="{name}">{shown}</select></label>'


def _zones(network: Network) -> list[Zone]:
    every = list(network.zones.values())
    if len(every) <= MOST_ZONES:
        return every
    return [zone for zone in every if zone.kind in {ZoneKind.CITY, ZoneKind.DISTRICT}][:MOST_ZONES]


def listed(  # noqa: PLR0917 - each part is looked up elsewhere
    found: Sequence[Meter],
    heard: Mapping[str, Newest],
    tr: Texts,
    timezone: str,
    now: datetime,
    name_of: Callable[[str], str],
) -> str:
    """Return the table of meters; each row leads to its meter."""
    if not found:
        return said(tr("No meter is like that."))
    head = (
        f"<th>{escape(tr('Meter'))}</th><th>{escape(tr('Account number'))}</th><th>{escape(tr('Address'))}</th>"
        f"<th>{escape(tr('Zone'))}</th><th>{escape(tr('Built as'))}</th><th>{escape(tr('Customer'))}</th>"
        f"<th>{escape(tr('Account'))}</th>"
        f'<th class="num">{escape(tr("Register"))} <small>m³</small></th><th class="num">{escape(tr("Read at"))}</th>'
    )
    rows = "".join(_row(meter, heard.get(meter.meter_id), tr, timezone, now, name_of) for meter in found)
    return f'<table class="gg-table gg-meters"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(  # noqa: PLR0917 - each part of the line is looked up elsewhere
    meter: Meter, one: Newest | None, tr: Texts, timezone: str, now: datetime, name_of: Callable[[str], str]
) -> str:
    way = f"/meters/{quote(meter.meter_id, safe='')}"
    supply = f' <span class="gg-tag">{escape(tr("supply"))}</span>' if meter.role is MeterRole.SUPPLY else ""
    customer = tr(finding_words.CLASSES.get(meter.customer_class, meter.customer_class)) or UNKNOWN
    account = tr(finding_words.ACCOUNTS.get(meter.account, meter.account)) or UNKNOWN
    zone = name_of(meter.zone_id)
    return (
        f'<tr><td><a href="{escape(way)}">{escape(meter.meter_id)}</a>{supply}</td>'
        f"<td>{escape(meter.account_no) or UNKNOWN}</td>"
        f'<td title="{escape(meter.address)}">{escape(meter.address) or UNKNOWN}</td>'
        f'<td class="dim" title="{escape(zone)}">{escape(zone)}</td>'
        f'<td class="dim">{escape(tr(finding_words.METER_KINDS.get(meter.kind, meter.kind)))}</td>'
        f'<td class="dim">{escape(customer)}</td><td class="dim">{escape(account)}</td>'
        f"{_register(one, meter.decimals, tr, timezone, now)}</tr>"
    )


def _register(one: Newest | None, decimals: int, tr: Texts, timezone: str, now: datetime) -> str:
    if one is None:
        return f'<td class="num">{UNKNOWN}</td><td class="num dim">{escape(tr("never heard"))}</td>'
    stale = " gg-stale" if one.value is None or now - one.at > STALE else ""
    quality = "" if one.severity == "good" else f" · {escape(tr(SEVERITIES[one.severity]))}"
    return (
        f'<td class="num{stale}">{number(one.value, decimals)}</td>'
        f'<td class="num dim">{clock_time(one.at, timezone, now)}{quality}</td>'
    )


def said(text: str) -> str:
    """Return what stands where the table would be."""
    return f'<div class="gg-empty">{empty(text)}</div>'


def foot(tr: Texts, page: int, after: int | None, asked: Mapping[str, str], problem: bool) -> str:
    """Return the ways to other pages, and to the table as a file."""
    away = (
        f'<span class="gg-chip warn">{escape(tr("The store does not answer: no readings."))}</span>' if problem else ""
    )
    return (
        f'<button type="button" class="gg-button small" data-page="back"{" disabled" if page == 1 else ""}>'
        f"‹ {escape(tr('Back'))}</button>"
        f'<span class="gg-dim">{escape(tr("page {number}", number=page))}</span>'
        f'<button type="button" class="gg-button small" data-page="next"{" disabled" if after is None else ""}>'
        f"{escape(tr('Next'))} ›</button>{away}{export(tr, 'meters', **asked)}"
    )
