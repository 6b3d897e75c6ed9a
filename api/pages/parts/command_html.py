"""HTML of the page of commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from api.pages.parts.html import empty
from api.services.commands import CommandView
from api.services.format import clock_time, significant
from api.text import Texts, mark
from gateway.model.command import APPROVE_WITHIN_S, CommandOffer, CommandState

_NAMES = {"valve_close": mark("Close the valve"), "valve_open": mark("Open the valve")}
STATES = {
    CommandState.REQUESTED: mark("asked for"),
    CommandState.APPROVED: mark("agreed"),
    CommandState.SENT: mark("sent"),
    CommandState.CONFIRMED: mark("done, read back"),
    CommandState.MISMATCH: mark("not done"),
    CommandState.UNKNOWN: mark("outcome unknown"),
    CommandState.REFUSED: mark("turned down"),
    CommandState.EXPIRED: mark("too late, not sent"),
}
_BAD = (CommandState.MISMATCH, CommandState.UNKNOWN)
_SHOWN = {0.0: mark("valve closed"), 1.0: mark("valve open")}


def name(command: str, tr: Texts) -> str:
    """Name a command."""
    return tr(_NAMES[command]) if command in _NAMES else command.replace("_", " ")


def link(asset: str, tr: Texts) -> str:
    """Return the way to what an asset can be told."""
    text = tr("Commands to {asset}", asset=asset)
    return f'<p class="gg-way"><a href="/commands?asset={escape(quote(asset))}">{escape(text)}</a></p>'


def form(asset: str, tr: Texts) -> str:
    """Return the field for the asset, with its button."""
    return (
        f'<label class="gg-field">{escape(tr("Meter, regulator or station"))}'
        f'<input maxlength="120" autocomplete="off" spellcheck="false" value="{escape(asset)}"></label>'
        f'<button type="button" class="gg-button" data-find="1">{escape(tr("Show"))}</button>'
    )


def offered(asset: str, asset_name: str, zone_name: str, offers: Sequence[CommandOffer], tr: Texts) -> str:
    """Return what an asset can be told, one button each."""
    place = " · ".join(part for part in (asset_name if asset_name != asset else "", zone_name) if part)
    head = f"<h3>{escape(asset)}</h3><p class='gg-dim'>{escape(place)}</p>"
    if not offers:
        return f"{head}<p>{escape(tr('It takes no command from afar.'))}</p>"
    buttons = "".join(
        f'<button type="button" class="gg-button" data-choose="{escape(offer.name)}">{escape(name(offer.name, tr))}…'
        "</button>"
        for offer in offers
    )
    return f'{head}<div class="gg-choices">{buttons}</div>'


def confirmation(
    offer: CommandOffer, asset_name: str, zone_name: str, tr: Texts, *, is_meter: bool, asker: str = ""
) -> str:
    """Return the last question before a command is asked for, or agreed to if somebody else has asked for it.

    It names the asset and the consequence, and asks why.
    """
    second = ""
    if asker:
        second = f"<p>{escape(tr('{name} asked for it. You are the second person.', name=asker))}</p>"
    elif offer.second_person:
        minutes = round(APPROVE_WITHIN_S / 60)
        told = tr("A second person must agree within {minutes} minutes.", minutes=minutes)
        second = f"<p>{escape(told)}</p>"
    full = offer.asset if asset_name == offer.asset else f"{offer.asset} {asset_name}"
    return (
        f"<h2>{escape(name(offer.name, tr))}: {escape(full)}</h2>"
        f'<p class="gg-warning">{escape(_consequence(offer, zone_name, is_meter, tr))}</p>{second}'
        f'<label class="gg-field">{escape(tr("Reason"))}<input maxlength="500" autofocus></label>'
        f'<div class="gg-choices"><button type="button" class="gg-button primary" data-go="1">'
        f"{escape(tr('Agree') if asker else name(offer.name, tr))}</button>"
        f'<button type="button" class="gg-button" data-go="">{escape(tr("Do nothing"))}</button></div>'
    )


def _consequence(offer: CommandOffer, zone_name: str, is_meter: bool, tr: Texts) -> str:
    if offer.closes and is_meter:
        return tr("Gas to this customer stops at once. The valve is opened again on site, after a tightness test.")
    if offer.closes:
        return tr(
            "Gas to everybody behind it stops at once: {zone}. Gas flows again only after a crew has visited every "
            "customer.",
            zone=zone_name,
        )
    return tr("This changes a device from afar. Be sure that nobody is at risk.")


def listed(views: Sequence[CommandView], tr: Texts, timezone: str, now: datetime) -> str:
    """Return all commands, newest first, with what this person may decide."""
    if not views:
        return f'<div class="gg-empty">{empty(tr("No command was given yet."))}</div>'
    heads = (tr("Time"), tr("Asset"), tr("Command"), tr("State"), tr("Who and why"))
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    rows = "".join(_row(view, tr, timezone, now) for view in views)
    return f'<table class="gg-table gg-ordered"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(view: CommandView, tr: Texts, timezone: str, now: datetime) -> str:
    command = view.command
    who = command.wish.who if not command.decided_by else f"{command.wish.who}, {command.decided_by}"
    asset_name = "" if view.asset_name == command.wish.asset else f"<small>{escape(view.asset_name)}</small>"
    frames = " / ".join(part for part in (command.request_frame, command.reply_frame, command.read_frames) if part)
    return (
        f"<tr><td>{clock_time(view.requested_at, timezone, now)}</td>"
        f"<td><b>{escape(command.wish.asset)}</b>{asset_name}</td>"
        f"<td>{escape(name(command.wish.name, tr))}</td>"
        f'<td title="{escape(frames)}">{_state(view, tr)}</td>'
        f'<td class="wrap"><b>{escape(who)}</b> {escape(command.wish.reason)}</td></tr>'
    )


def _state(view: CommandView, tr: Texts) -> str:
    command = view.command
    said = tr("waits for a second person") if view.waits_for_second_person else tr(STATES[command.state])
    kind = " bad" if command.state in _BAD else ""
    note = _seen(view, tr) or command.detail
    small = f"<small>{escape(note)}</small>" if note else ""
    acts = "".join(
        f'<button type="button" class="gg-button" data-decide="{word}:{command.id}">{escape(text)}</button>'
        for word, text, may in (
            ("approve", tr("Agree"), view.may_approve),
            ("reject", tr("Turn down"), view.may_reject),
        )
        if may
    )
    choices = f'<div class="gg-choices">{acts}</div>' if acts else ""
    return f'<span class="gg-state{kind}">{escape(said)}</span>{small}{choices}'


def _seen(view: CommandView, tr: Texts) -> str:
    """Say what the device showed."""
    value = view.command.read_value
    if value is None:
        return ""
    if view.command.offer.confirm.value == "valve" and value in _SHOWN:
        return tr(_SHOWN[value])
    return f"{view.command.offer.confirm.value} {significant(value)}"
