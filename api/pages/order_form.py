"""The form of an order: what a customer asks for at the desk becomes a ticket with the clocks of its type."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from nicegui import ui
from nicegui.events import GenericEventArguments

from alarms.tickets.desk import Order
from api.pages.frame import Page
from api.pages.parts import forms, order_html
from api.pages.parts.elements import Html
from api.services import service
from api.shapes import telephone_number


class OrderForm:
    """One browser's form of an order; `taken` is called after a ticket was opened."""

    def __init__(self, page: Page, taken: Callable[[], Awaitable[None]]) -> None:
        self.page, self.taken = page, taken
        self.form = Html()
        self.form.element.on("submit", self._submitted, js_handler=forms.SUBMIT)
        self._fresh()

    def _fresh(self) -> None:
        self.request_id = secrets.token_hex(8)
        self.form.set(order_html.form(self.page.tr, self.request_id, service.order_kinds(self.page.parts)))

    async def _submitted(self, event: GenericEventArguments) -> None:
        page, tr = self.page, self.page.tr
        try:
            wanted = _order(forms.fields(event), page.now(), page.timezone)
        except (ValueError, KeyError):
            ui.notify(tr("Name, telephone and place are needed."), type="warning", position="top")
            return
        number = await forms.attempt(tr, lambda: service.take_order(page.parts, page.user, wanted, self.request_id))
        if number is not None:
            self._fresh()
            ui.notify(tr("Ticket {number} is on its way.", number=number), type="positive", position="top")
            await self.taken()


def _order(said: Mapping[str, str], now: datetime, timezone: str) -> Order:
    """Return the order of a form. Raises ValueError or KeyError if what is needed is missing."""
    kind, _, size = said["what"].partition("/")
    entered = said.get("reported_at", "")
    if not said["customer"] or not said["place"]:
        raise ValueError("name and place are needed")
    return Order(
        type=kind[:60],
        reported_at=datetime.fromisoformat(entered).replace(tzinfo=ZoneInfo(timezone)) if entered else now,
        place=said["place"][:120],
        customer=said["customer"][:120],
        phone=telephone_number(said["phone"][:40]),
        asset=said.get("asset", "")[:120],
        size=size[:40],
        note=said.get("note", "")[:500],
    )
