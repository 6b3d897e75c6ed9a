"""What a person does with the alarm that is chosen in the control room: by key, by button, in a dialog."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4
from zoneinfo import ZoneInfo

from nicegui import ui
from nicegui.events import KeyEventArguments

from api.pages.frame import Page
from api.pages.parts import forms
from api.pages.parts.service_dialog import ServiceDialog
from api.pages.parts.shelf_dialog import ShelfDialog
from api.pages.parts.verdict_dialog import VerdictDialog
from api.services import acts, out_of_service, verdicts
from api.services.detail import AlarmDetail
from api.services.views import AlarmView
from gateway.store.verdict_rows import Verdict

_KEYS = {
    "a": "acknowledge", "s": "shelve", "u": "unshelve", "r": "reset", "m": "silence", "b": "undo", "o": "service",
    "f": "judge",
}  # fmt: skip
_WAYS = {"t": "ticket", "v": "place"}


class AlarmActs:
    """One browser's acts; `chosen` returns the alarm that is meant, `done` is called after each act."""

    def __init__(
        self, page: Page, chosen: Callable[[], Awaitable[AlarmDetail | None]], done: Callable[[], None]
    ) -> None:
        self.page, self._chosen, self._done = page, chosen, done

    def draw(self) -> None:
        """Put keys and dialogs into the page."""
        tr = self.page.tr
        self._dialogs: dict[str, ShelfDialog | ServiceDialog | VerdictDialog] = {
            "shelve": ShelfDialog(tr, self._shelve),
            "service": ServiceDialog(tr, self._service),
            "judge": VerdictDialog(tr, self._judge),
        }
        ui.keyboard(on_key=self._key, ignore=["input", "select", "textarea"], repeating=False)

    async def _key(self, event: KeyEventArguments) -> None:
        key = str(event.key).lower()
        modified = event.modifiers.ctrl or event.modifiers.meta or event.modifiers.alt
        if not event.action.keydown or modified or self._is_asking():
            return
        if key in _KEYS:
            await self.press(_KEYS[key])
        elif key in _WAYS:
            await self._go(_WAYS[key])

    def _is_asking(self) -> bool:
        return any(dialog.is_open for dialog in self._dialogs.values())

    async def _go(self, where: str) -> None:
        """Open the chosen alarm's ticket, or the page of its station or meter."""
        detail = await self._chosen()
        if detail is None:
            return
        if where == "ticket" and detail.tickets:
            ui.navigate.to(f"/tickets/{detail.tickets[0].ticket_no}")
        elif where == "place" and (way := way_to(detail.view.alarm.asset, self.page)):
            ui.navigate.to(way)

    async def press(self, act: str) -> None:
        """Do what a key or a button says, or ask for what it needs; an act that is not offered does nothing."""
        detail = await self._chosen()
        if detail is None or self._is_asking() or not getattr(acts.offer(detail.view, self.page.user), act, False):
            return
        parts, user, alarm = self.page.parts, self.page.user, detail.view.alarm
        calls: dict[str, Callable[[], Any]] = {
            "acknowledge": lambda: acts.acknowledge(parts, user, alarm.alarm_id, alarm.occurrence_no, uuid4().hex),
            "unshelve": lambda: acts.unshelve(parts, user, alarm.alarm_id, alarm.occurrence_no, uuid4().hex),
            "reset": lambda: acts.reset(parts, user, alarm.alarm_id, uuid4().hex),
            "undo": lambda: acts.undo(parts, user, alarm.alarm_id, uuid4().hex),
            "silence": lambda: acts.silence(parts, user, alarm.alarm_id, uuid4().hex),
        }
        if act in self._dialogs:
            self._dialogs[act].show(detail.view)
        elif act in calls:
            await self._try(calls[act])

    async def _shelve(self, view: AlarmView, minutes: int, reason: str) -> bool:
        parts, user = self.page.parts, self.page.user
        until = parts.clock.now() + timedelta(minutes=minutes)
        return await self._try(lambda: acts.shelve(parts, user, view.id, until, reason, uuid4().hex))

    async def _judge(self, view: AlarmView, false_alarm: bool, reason: str) -> bool:
        parts, user, alarm = self.page.parts, self.page.user, view.alarm
        said = Verdict(alarm.alarm_id, alarm.occurrence_no, false_alarm, user.name, reason, parts.clock.now())
        return await self._try(lambda: verdicts.judge(parts, user, said, uuid4().hex))

    async def _service(self, view: AlarmView, said: Mapping[str, str]) -> bool:
        """Take the alarm out of service, or return it, as the form says."""
        parts, user = self.page.parts, self.page.user
        if "test" in said:
            test = said["test"][:500]
            return await self._try(lambda: out_of_service.bring_back(parts, user, view.id, test, uuid4().hex))
        try:
            until = datetime.fromisoformat(said.get("until", "")).replace(tzinfo=ZoneInfo(self.page.timezone))
        except ValueError:
            return False
        wish = out_of_service.Wish(said.get("work_order", "")[:120], said.get("interim", "")[:500], until)
        return await self._try(lambda: out_of_service.remove(parts, user, view.id, wish, uuid4().hex))

    async def _try(self, call: Callable[[], Any]) -> bool:
        """Run an act in a thread; say plainly why if it was refused."""
        with forms.refusals(self.page.tr):
            await asyncio.to_thread(call)
            self._done()
            return True
        return False


def way_to(asset: str, page: Page) -> str:
    """Return the address of the page about an asset, empty where there is none."""
    network = page.parts.network
    if asset in network.meters:
        return f"/meters/{quote(asset)}"
    return f"/network?asset={quote(asset)}" if asset in network.stations or asset in network.zones else ""
