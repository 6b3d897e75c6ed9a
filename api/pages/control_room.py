"""The control room: alarms, map, the chosen alarm, tickets with their clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import quote
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui
from nicegui.events import KeyEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel, static
from api.pages.parts import charts, command_html, forms, html, room_html
from api.pages.parts.elements import CityMap, Html, KeyedList
from api.pages.parts.service_dialog import ServiceDialog
from api.pages.parts.shelf_dialog import ShelfDialog
from api.roles import Act
from api.services import acts, out_of_service
from api.services.city import place_of
from api.services.detail import AlarmDetail, Latest, alarm_detail, latest, limit_of, trend
from api.services.findings import list_findings
from api.services.live import Change
from api.services.room import related
from api.services.summary import story, summary
from gateway.errors import GatewayError
from gateway.model.finding import LIKELY, FindingStatus

ROW_PX = 52
_LONGEST_ID = 200
_MOST_FINDINGS = 300
_KEYS = {"a": "acknowledge", "s": "shelve", "u": "unshelve", "r": "reset", "m": "silence", "b": "undo", "o": "service"}
_WAYS = {"t": "ticket", "v": "place"}


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page; `?alarm=` chooses one."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Control room"))
    ui.add_head_html(f'<script src="{static("room.js")}"></script>')
    ui.add_head_html(f'<script>gasgate.room.open("{page.tr.language}")</script>')
    room = ControlRoom(page)
    room.draw(request.query_params.get("alarm", "")[:_LONGEST_ID])
    stop = page.board.listen(room.changed)
    ui.context.client.on_delete(stop)
    return None


class ControlRoom:
    """One browser's control room. What all see comes over the room's own connection; here is what is this person's."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.client = ui.context.client
        self.chosen = ""
        self.detail: AlarmDetail | None = None
        self.live: Latest | None = None

    def draw(self, wanted: str) -> None:
        """Lay the page out and choose an alarm: the wanted one, else the most urgent one."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/"), sanitize=False, tag="header").classes("gg-head")
            Html(html.strip(summary(page.board, page.pulse), tr), classes="gg-strip")
            with ui.element("main").classes("gg-room"):
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Alarms"), "grow-3"):
                        Html(room_html.beside_title(tr), classes="gg-in-head")
                        Html(room_html.tools(tr), classes="gg-alarm-tools")
                        self.alarms = KeyedList(
                            row_height=ROW_PX,
                            label=tr("Alarms"),
                            empty=html.empty(tr("No alarm. All is well.")),
                            feed="alarms",
                            on_pick=self.choose,
                            everywhere=True,
                        )
                        self.findings = Html()
                    with panel(tr("Tickets"), "grow-2"):
                        self.tickets = KeyedList(
                            row_height=ROW_PX,
                            label=tr("Tickets"),
                            empty=html.empty(tr("No crew is out.")),
                            feed="tickets",
                            on_pick=self._choose_ticket,
                        )
                with ui.element("div").classes("gg-column"), panel(tr("Selected alarm"), "grow-2"):
                    self._draw_detail()
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Map"), "grow-3"):
                        self.map = CityMap(marks=[], on_pick=self._choose_asset, zoom=(tr("Closer"), tr("Farther")))
                    self._draw_story()
        Html(room_html.help_table(tr), tag="aside", classes="gg-help").element.props(
            f'role=dialog hidden aria-label="{tr("Keys")}"'
        )
        self.shelf = ShelfDialog(tr, self._shelve)
        self.service = ServiceDialog(tr, self._service)
        ui.keyboard(on_key=self._key, ignore=["input", "select", "textarea"], repeating=False)
        ui.run_javascript(f"gasgate.room.on('marks', (marks) => getElement({self.map.id})?.show(marks))")
        ui.timer(3.0, self._refresh_trend)
        first = wanted or min(page.board.alarms.values(), key=lambda view: view.order, default=None)
        if first:
            self.choose(first if isinstance(first, str) else first.id)
        background_tasks.create(self._load_findings(), name="load findings")

    def _draw_detail(self) -> None:
        with ui.element("div").classes("gg-scroll"):
            self.nothing = Html(html.empty(self.page.tr("Choose an alarm to see what to do.")), classes="gg-empty")
            self.box = ui.element("div").classes("gg-detail").props("tabindex=-1")
            with self.box:
                self.top = Html()
                self.actions = Html(classes="gg-actions").on_data("act", self._act)
                self.guide = Html()
                self.ticket = Html()
                with ui.element("div") as self.trend_box:
                    self.trend_title = Html(classes="gg-section")
                    self.chart = ui.echart({}).classes("gg-chart")
                self.related = Html().on_data("related", self.choose)
                self.journal = Html()
            self.box.set_visibility(False)

    def _draw_story(self) -> None:
        if self.page.parts.note_file is None:
            return
        note = self.page.tr("a simulation: nothing here is real")
        with panel(self.page.tr("What happens here"), "gg-told", note):
            self.story = Html(self._story(), tag="ul", classes="gg-story gg-scroll")
        ui.timer(2.0, lambda: self.story.set(self._story()))

    # What changed ------------------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Look again at what this person has chosen, if the change is about it."""
        if change.findings or self._concerns_chosen(change) or (not self.chosen and change.alarms):
            with self.client:
                if change.findings:
                    background_tasks.create(self._load_findings(), name="load findings")
                if not self.chosen and change.alarms:
                    self.choose(min(change.alarms, key=lambda view: view.order).id)
                elif self._concerns_chosen(change):
                    self._reload()

    def _concerns_chosen(self, change: Change) -> bool:
        mine = self.chosen
        if mine in change.alarm_ids:
            return True
        tickets = {ticket.ticket_no for ticket in self.detail.tickets} if self.detail else set()
        return any(ticket.ticket_no in tickets or mine in ticket.alarms for ticket in change.tickets)

    def _story(self) -> str:
        page = self.page
        return room_html.story(story(page.board, page.now()), page.tr, page.timezone, page.now())

    async def _load_findings(self) -> None:
        page = self.page
        try:
            found = await asyncio.to_thread(
                list_findings, page.parts, [FindingStatus.OPEN], _MOST_FINDINGS, least=LIKELY
            )
        except GatewayError:
            return
        if not self.client.is_deleted:
            with self.client:
                self.findings.set(room_html.findings_line(found, page.tr, page.timezone, page.now()))

    # The chosen alarm --------------------------------------------------------------------------------------

    def choose(self, alarm_id: str) -> None:
        """Show an alarm."""
        self.chosen = alarm_id
        self.alarms.select(alarm_id)
        self.map.select(alarm_id.partition("@")[2])
        self._reload()

    def _choose_asset(self, asset: str) -> None:
        own = [view for view in self.page.board.alarms.values() if view.alarm.asset == asset]
        if own:
            self.choose(min(own, key=lambda view: view.order).id)

    def _choose_ticket(self, ticket_no: str) -> None:
        self.tickets.select(ticket_no)
        ticket = self.page.board.tickets.get(ticket_no)
        if ticket is not None and ticket.alarms:
            self.choose(ticket.alarms[0])

    def _reload(self) -> None:
        background_tasks.create(self._load(self.chosen), name="load alarm")

    async def _load(self, alarm_id: str) -> None:
        try:
            detail = await asyncio.to_thread(alarm_detail, self.page.parts, alarm_id)
        except GatewayError:
            return
        if alarm_id != self.chosen or self.client.is_deleted:
            return
        with self.client:
            if self.detail is None or self.detail.view.id != alarm_id:
                self.live = None
            self.detail = detail
            self._show(detail)
            await self._refresh_trend()

    def _show(self, detail: AlarmDetail) -> None:
        page, view = self.page, detail.view
        tr, zone, now = page.tr, page.timezone, page.now()
        self.nothing.element.set_visibility(False)
        self.box.set_visibility(True)
        self._show_top(detail)
        self.actions.set(html.actions(acts.offer(view, page.user), tr))
        may_order = page.can(Act.COMMAND_CLOSE) and place_of(page.parts.network, view.alarm.asset) is not None
        ways = room_html.ways(_way_to(view.alarm.asset, page), tr)
        self.guide.set(html.guide(view, tr) + ways + (command_html.link(view.alarm.asset, tr) if may_order else ""))
        self.related.set(room_html.related(related(page.board, view), tr, zone, now))
        self.ticket.set(html.detail_tickets(detail.tickets, tr, zone, now))
        self.journal.set(html.journal(detail, tr, zone, now))

    def _show_top(self, detail: AlarmDetail) -> None:
        page, view = self.page, detail.view
        limit = limit_of(page.parts, view)
        self.top.set(html.detail_top(view, page.tr, page.timezone, page.now(), limit, self.live))

    async def _refresh_trend(self) -> None:
        detail, page = self.detail, self.page
        if detail is None:
            return
        view = detail.view
        live, found = await asyncio.gather(latest(page.parts, view), trend(page.parts, view))
        if self.detail is not detail:
            return
        self.live = live
        self._show_top(detail)
        self.trend_box.set_visibility(found is not None and bool(found.times_ms))
        if found is None:
            return
        onset = view.alarm.source_at or view.alarm.condition_at
        label = f"{found.point} · {found.unit}" if found.unit else found.point
        self.trend_title.set(
            f"<span>{escape(page.tr('Trend'))} · {escape(label)}</span><span>"
            f"{charts.zone_label(page.timezone, page.now())}</span>"
        )
        options = charts.trend(
            found, page.palette, page.tr, timezone=page.timezone, onset=onset, limit=limit_of(page.parts, view)
        )
        if self.chart.options != options:
            self.chart.options.clear()
            self.chart.options.update(options)

    # Acts --------------------------------------------------------------------------------------------------

    async def _key(self, event: KeyEventArguments) -> None:
        act = _KEYS.get(str(event.key).lower())
        modified = event.modifiers.ctrl or event.modifiers.meta or event.modifiers.alt
        if not event.action.keydown or modified or self.shelf.is_open or self.service.is_open:
            return
        if act:
            await self._act(act)
        elif str(event.key).lower() in _WAYS:
            self._go(_WAYS[str(event.key).lower()])

    def _go(self, where: str) -> None:
        """Open the chosen alarm's ticket, or the page of its station or meter."""
        detail = self.detail
        if detail is None:
            return
        if where == "ticket" and detail.tickets:
            ui.navigate.to(f"/tickets/{detail.tickets[0].ticket_no}")
        elif where == "place" and (way := _way_to(detail.view.alarm.asset, self.page)):
            ui.navigate.to(way)

    async def _act(self, act: str) -> None:
        detail = self.detail
        if detail is None or not getattr(acts.offer(detail.view, self.page.user), act, False):
            return
        parts, user, alarm = self.page.parts, self.page.user, detail.view.alarm
        calls: dict[str, Callable[[], Any]] = {
            "acknowledge": lambda: acts.acknowledge(parts, user, alarm.alarm_id, alarm.occurrence_no, uuid4().hex),
            "unshelve": lambda: acts.unshelve(parts, user, alarm.alarm_id, alarm.occurrence_no, uuid4().hex),
            "reset": lambda: acts.reset(parts, user, alarm.alarm_id, uuid4().hex),
            "undo": lambda: acts.undo(parts, user, alarm.alarm_id, uuid4().hex),
            "silence": lambda: acts.silence(parts, user, alarm.alarm_id, uuid4().hex),
        }
        if act == "shelve":
            self.shelf.show(detail.view)
        elif act == "service":
            self.service.show(detail.view)
        elif act in calls:
            await self._try(calls[act])

    async def _shelve(self, minutes: int, reason: str) -> bool:
        detail = self.detail
        if detail is None:
            return False
        parts, user, alarm_id = self.page.parts, self.page.user, detail.view.id
        until = parts.clock.now() + timedelta(minutes=minutes)
        return await self._try(lambda: acts.shelve(parts, user, alarm_id, until, reason, uuid4().hex))

    async def _service(self, said: Mapping[str, str]) -> bool:
        """Take the alarm out of service, or return it, as the form says."""
        detail, parts, user = self.detail, self.page.parts, self.page.user
        if detail is None:
            return False
        alarm_id = detail.view.id
        if "test" in said:
            test = said["test"][:500]
            return await self._try(lambda: out_of_service.bring_back(parts, user, alarm_id, test, uuid4().hex))
        try:
            until = datetime.fromisoformat(said.get("until", "")).replace(tzinfo=ZoneInfo(self.page.timezone))
        except ValueError:
            return False
        wish = out_of_service.Wish(said.get("work_order", "")[:120], said.get("interim", "")[:500], until)
        return await self._try(lambda: out_of_service.remove(parts, user, alarm_id, wish, uuid4().hex))

    async def _try(self, call: Callable[[], Any]) -> bool:
        """Run an act in a thread; say plainly why if it was refused."""
        with forms.refusals(self.page.tr):
            await asyncio.to_thread(call)
            self._reload()
            return True
        return False


def _way_to(asset: str, page: Page) -> str:
    """Return the address of the page about an asset, empty where there is none."""
    network = page.parts.network
    if asset in network.meters:
        return f"/meters/{quote(asset)}"
    return f"/network?asset={quote(asset)}" if asset in network.stations or asset in network.zones else ""
