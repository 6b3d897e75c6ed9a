"""The guide of the first start: what to do until readings come, in the place of pages that would be empty."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING

from nicegui import ui

from api.pages.parts.elements import Html
from api.pages.parts.html import CHECK
from api.roles import Act
from api.services.first_start import FirstStart, first_start
from api.text import Texts, mark
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from api.pages.frame import Page

EVERY_S = 3.0
GUIDED = {
    "/": mark("Alarms, the map and crews will stand here, the most urgent first."),
    "/tickets": mark("Every order for a crew will stand here, with its clocks."),
    "/loss": mark("Supply, use and loss of each zone will stand here after the first gas day."),
    "/meters": mark("Each meter with its register and its use will be found here."),
    "/network": mark("Pressures and flows of stations and regulators will stand here."),
    "/audit": mark("Readings that a rule questions will wait here for a decision."),
    "/reports": mark("The month's figures will stand here."),
}
"""pages that show little before the first reading, and what each will show"""


def draw(page: Page) -> None:
    """Cover the page with the guide while the site has not had a reading; it goes by itself when one comes."""
    path = ui.context.client.page.path
    if path not in GUIDED:
        return
    found = _look(page)
    if found is None:
        return
    shown = Html(_guide(found, page.tr, GUIDED[path], people=page.can(Act.USER_MANAGE)), classes="gg-first")
    shown.on_data("away", lambda _value: shown.element.delete())

    async def again() -> None:
        if shown.element.is_deleted:
            timer.cancel()
            return
        newer = await asyncio.to_thread(_look, page)
        if newer is None:
            shown.element.delete()
        else:
            shown.set(_guide(newer, page.tr, GUIDED[path], people=page.can(Act.USER_MANAGE)))

    timer = ui.timer(EVERY_S, again, immediate=False)


def _look(page: Page) -> FirstStart | None:
    try:
        return first_start(page.parts, page.board, page.pulse)
    except GatewayError:
        return None


def _guide(found: FirstStart, tr: Texts, will: str, *, people: bool) -> str:
    steps = [
        (
            bool(found.points),
            tr("Network folder"),
            tr("{meters} meters, {stations} stations and {points} points are known.",
               meters=found.meters, stations=found.stations, points=found.points)
            if found.points
            else tr("Describe zones, meters, stations and points in the network folder."),
            "",
        ),
        (
            bool(found.links),
            tr("Connections"),
            tr("{up} of {links} links answer; the others stand on the System page.",
               up=found.links_up, links=found.links)
            if found.links
            else tr("Add a [[source]] for each Modbus line and each MQTT broker."),
            "gasgate check gasgate.toml",
        ),
        (bool(found.links_up), tr("One device"), tr("Read one device once and compare with its display."),
         "gasgate probe gasgate.toml S-01"),
    ]  # fmt: skip
    if people:
        steps.append(
            (
                found.people > 1,
                tr("People"),
                tr("{count} people can log in.", count=found.people),
                "gasgate user add gasgate.toml wang --role operator",
            )
        )
    lines = "".join(_step(*step) for step in steps)
    return (
        f"<section><h1>{escape(tr('No readings have come yet'))}</h1><p>{escape(tr(will))}</p><ol>{lines}</ol>"
        f'<p class="gg-dim">{escape(tr("This guide goes by itself with the first reading."))}</p>'
        f'<div class="gg-choices"><a class="gg-button primary" href="/system">{escape(tr("To the System page"))}</a>'
        f'<button type="button" class="gg-button" data-away="1">{escape(tr("Show the page"))}</button></div></section>'
    )


def _step(done: bool, title: str, text: str, command: str) -> str:
    sign = CHECK if done else '<i aria-hidden="true"></i>'
    shown = f"<code>{escape(command)}</code>" if command else ""
    told = f"<div><b>{escape(title)}</b><span>{escape(text)}</span>{shown}</div>"
    return f'<li class="{"done" if done else ""}">{sign}{told}</li>'
