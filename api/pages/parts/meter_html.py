"""HTML of the page of one meter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from api.pages.parts import command_html, finding_html, finding_words, link_html, words
from api.pages.parts.html import empty
from api.pages.parts.meters_html import SEVERITIES
from api.services.findings import FindingView
from api.services.format import UNKNOWN, clock_time, number, percent, significant
from api.services.meter import Event, MeterView, Purchase
from api.services.newest import Newest
from api.text import Texts, mark
from gateway.model.network import Meter
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us

CHOICES = {
    "register": mark("Register"),
    "use": mark("Use"),
    "credit": mark("Credit"),
    "valve": mark("Valve"),
    "device": mark("Battery and signal"),
}
SPANS = {"7": mark("7 days"), "31": mark("31 days"), "365": mark("A year")}
QUANTITIES = {
    Quantity.REGISTER_MEASURED_M3: mark("Register"),
    Quantity.REGISTER_BASE_M3: mark("Register, base volume"),
    Quantity.FLOW_MEASURED_M3H: mark("Flow"),
    Quantity.FLOW_BASE_M3H: mark("Flow, base volume"),
    Quantity.PRESSURE_GAUGE_KPA: mark("Pressure"),
    Quantity.INLET_PRESSURE_GAUGE_KPA: mark("Inlet pressure"),
    Quantity.TEMPERATURE_C: mark("Temperature"),
    Quantity.GAS_LEL_PCT: mark("Gas in the air"),
    Quantity.VALVE: mark("Valve"),
    Quantity.BALANCE_M3: mark("Credit left"),
    Quantity.PURCHASED_M3: mark("Bought in all"),
    Quantity.BATTERY_V: mark("Battery"),
    Quantity.SIGNAL_DBM: mark("Signal"),
}
SIGNS = {
    "magnet": mark("magnet near"),
    "cover_open": mark("cover open"),
    "reverse_flow": mark("reverse flow"),
    "low_battery": mark("low battery"),
    "clock_reset": mark("clock reset"),
    "over_range": mark("over range"),
    "leak_sensor": mark("gas at the meter"),
    "no_gas": mark("no gas before the meter"),
}
_HIDDEN = frozenset({Quantity.FLAGS, Quantity.SENT})
_STALE = timedelta(days=3)
_ODD_CLOCK_S = 300.0
_MOST_LINKS = 4


def chart_tools(choices: Sequence[str], shown: str, days: str, tr: Texts) -> str:
    """Return what the chart may show, and over how many days."""
    return segment("shown", [(name, tr(CHOICES[name])) for name in choices], shown) + segment(
        "days", [(name, tr(text)) for name, text in SPANS.items()], days
    )


def segment(name: str, options: Sequence[tuple[str, str]], chosen: str) -> str:
    """Return buttons of which one is pressed."""
    buttons = "".join(
        f'<button type="button" data-{name}="{escape(value)}" aria-pressed="{str(value == chosen).lower()}">'
        f"{escape(text)}</button>"
        for value, text in options
    )
    return f'<div class="gg-seg">{buttons}</div>'


def head(meter: Meter, path: Sequence[tuple[str, str]], tr: Texts) -> str:
    """Return what the company's file says of the meter."""
    where = " › ".join(escape(name) for _, name in path)
    account = f"{escape(tr('Account number'))} {escape(meter.account_no)}" if meter.account_no else ""
    lines = " · ".join(filter(None, (escape(meter.address), account)))
    return (
        f"<h1>{escape(meter.meter_id)}</h1>{f'<p>{lines}</p>' if lines else ''}<p>{where}</p>"
        f"{finding_html.meter_facts(meter, tr)}"
    )


def newest(view: MeterView, tr: Texts, timezone: str, now: datetime) -> str:
    """Return the newest readings with their times and qualities, signs, clock and when it was last heard."""
    links = _links(view, tr, timezone, now)
    if not view.newest:
        return f'<div class="gg-empty">{empty(tr("This meter was never heard."))}</div>{links}'
    cells = [
        _newest(tr(name), quantity, view.newest[quantity], view.meter, tr, timezone, now)
        for quantity, name in QUANTITIES.items()
        if quantity in view.newest and quantity not in _HIDDEN
    ]
    signs = " ".join(f'<span class="gg-chip warn">{escape(tr(SIGNS[name]))}</span>' for name in view.flags)
    if Quantity.FLAGS in view.newest:
        cells.append(_cell(tr("Signs"), signs or escape(tr("none"))))
    cells.append(_cell(tr("Device clock"), _clock(view.clock_offset, tr)))
    cells.append(_cell(tr("Last heard"), f"{clock_time(view.last_heard, timezone, now)}"))
    return "".join(cells) + links


def _links(view: MeterView, tr: Texts, timezone: str, now: datetime) -> str:
    """Return what reads the meter, with the state and the last answer of each; where nobody knows, what may."""
    name = tr("Read by") if view.links_known else tr("Not heard since the start; may come over")
    lines = "".join(
        f'<div><a class="gg-plain-link" href="/system?link={quote(one.name, safe="")}">{escape(one.name)}</a>'
        f'{link_html.state_of(one, tr)}<span class="gg-dim">{escape(tr("Last answer"))} '
        f"{clock_time(one.last_good, timezone, now)}</span></div>"
        for one in view.links[:_MOST_LINKS]
    )
    if not lines:
        name, lines = tr("Read by"), f"<div>{escape(tr('no link of this gateway'))}</div>"
    return f'<div class="gg-read-by"><small>{escape(name)}</small>{lines}</div>'


def _newest(  # noqa: PLR0917 - each part of the cell is looked up elsewhere
    name: str, quantity: str, one: Newest, meter: Meter, tr: Texts, timezone: str, now: datetime
) -> str:
    if one.value is None:
        shown = UNKNOWN
    elif quantity == Quantity.VALVE:
        shown = escape(tr("valve open") if one.value > 0 else tr("valve closed"))
    elif quantity in {Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3}:
        shown = number(one.value, meter.decimals)
    else:
        shown = significant(one.value)
    stale = " gg-stale" if one.value is None or now - one.at > _STALE else ""
    quality = "" if one.severity == "good" else f" · {escape(tr(SEVERITIES[one.severity]))}"
    return _cell(
        name, f'<b class="{stale}">{shown} <i>{escape(one.unit)}</i></b>',
        f"{clock_time(one.at, timezone, now)}{quality}",
    )  # fmt: skip


def _cell(name: str, value: str, note: str = "") -> str:
    return f"<div><small>{escape(name)}</small>{value}{f'<small>{note}</small>' if note else ''}</div>"


def _clock(offset: timedelta | None, tr: Texts) -> str:
    """Return how a meter's clock stands: what is behind may only be late."""
    if offset is None:
        return UNKNOWN
    seconds = offset.total_seconds()
    text = tr("{seconds} s ahead", seconds=number(seconds)) if seconds > 0 else tr(
        "{seconds} s behind or under way", seconds=number(-seconds)
    )  # fmt: skip
    return f'<span class="gg-chip warn">{escape(text)}</span>' if seconds > _ODD_CLOCK_S else escape(text)


def away(tr: Texts) -> str:
    """Return what stands where readings would be while the store does not answer."""
    text = tr("The store does not answer. What it holds is shown again by itself.")
    return f'<div class="gg-empty">{escape(text)}</div>'


def around(view: MeterView, tr: Texts, timezone: str, now: datetime) -> str:
    """Return what is suspected of the meter, its alarms, and what its zone loses."""
    zone, zone_name = view.path[-1] if view.path else (view.meter.zone_id, view.meter.zone_id)
    known = [day for day in view.zone_days if day.loss_rate is not None]
    last = known[-1] if known else None
    rate = (
        f"{percent(last.loss_rate)} ± {percent(None if last.sigma is None else 2 * last.sigma)} %" if last else UNKNOWN
    )
    high = last is not None and last.verdict == "high"
    shown = f'<span class="gg-chip bad">▲ {rate}</span>' if high else rate
    zone_line = (
        f'<li><a class="gg-plain-link" href="/loss">{escape(tr("Loss rate"))} · {escape(zone_name)}</a>'
        f"<span>{shown}</span><span>{last.gas_day if last else escape(zone)}</span></li>"
    )
    lines = [zone_line]
    lines += [_finding(one, tr, timezone, now) for one in view.findings]
    lines += [
        f"<li><b>{escape(tr(one.definition.title))}</b><span>{escape(words.state(one.letter, tr))}</span>"
        f"<span>{clock_time(one.alarm.raised_at, timezone, now)}</span></li>"
        for one in view.alarms
    ]
    if not view.findings:
        lines.append(f'<li class="gg-dim">{escape(tr("Nothing is suspected."))}</li>')
    return f'<ul class="gg-list-plain">{"".join(lines)}</ul>'


def _finding(one: FindingView, tr: Texts, timezone: str, now: datetime) -> str:
    name = escape(tr(words.FINDINGS.get(one.kind, one.kind)))
    size = f" · {number(one.estimate_m3_per_day, 1)} {escape(tr('m³/day'))}" if one.estimate_m3_per_day else ""
    return (
        f'<li><a class="gg-plain-link" href="/findings/{one.id}">{name}</a>'
        f"<span>{escape(finding_words.state(one.status, one.cause, tr))} · "
        f"{escape(finding_words.certainty(one.score))} %{size}</span>"
        f"<span>{clock_time(one.detected_at, timezone, now)}</span></li>"
    )


def happened(  # noqa: PLR0917 - each list is looked up elsewhere
    view: MeterView,
    purchases: Sequence[Purchase],
    events: Sequence[Event],
    tr: Texts,
    timezone: str,
    now: datetime,
    *,
    may_command: bool,
) -> str:
    """Return purchases, signs, valve movements and commands in one list, the latest first."""
    lines: list[tuple[datetime, str, str]] = [
        (one.at, tr("Credit bought"), f"+{number(one.volume_m3, 1)} m³") for one in purchases
    ]
    for event in events:
        if event.name == "valve":
            lines.append((event.at, tr("Valve"), tr("valve open") if event.on else tr("valve closed")))
        else:
            lines.append((event.at, tr(SIGNS[event.name]), tr("began") if event.on else tr("ended")))
    for one in view.commands:
        name = command_html.name(one.command.offer.name, tr)
        state = tr(command_html.STATES[one.command.state])
        lines.append((from_us(one.command.requested_at), name, f"{state} · {one.command.wish.who}"))
    lines.sort(key=lambda line: line[0], reverse=True)
    way = (
        f'<div class="gg-foot"><a class="gg-button" href="/commands?asset={quote(view.meter.meter_id, safe="")}">'
        f"{escape(tr('Command its valve…'))}</a></div>"
        if may_command
        else ""
    )
    rows = "".join(
        f"<li><span>{escape(what)}</span><span>{escape(how)}</span><span>{clock_time(at, timezone, now)}</span></li>"
        for at, what, how in lines
    )
    if not rows:
        return f'<div class="gg-empty">{empty(tr("Nothing in these months."))}</div>{way}'
    return f'<ul class="gg-list-plain">{rows}</ul>{way}'
