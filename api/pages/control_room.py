"""The control room: alarms, map, the chosen alarm, tickets with their clocks."""

from __future__ import annotations

import asyncio
from html import escape

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui

from api.pages.alarm_acts import AlarmActs, way_to
from api.pages.frame import Page, draw_frame, header_html, open_page, panel, static
from api.pages.parts import charts, command_html, detail_html, forms, html, room_html
from api.pages.parts.elements import CityMap, Html, KeyedList
from api.pages.room_feed import RoomFeed
from api.pages.trouble import told
from api.roles import Act
from api.services import acts, alarm_month
from api.services.city import place_of
from api.services.detail import AlarmDetail, Latest, alarm_detail, latest, limit_of, trend
from api.services.findings import list_findings
from api.services.live import Change
from api.services.room import related
from api.services.summary import story
from gateway.errors import RefusedError
from gateway.model.finding import LIKELY, FindingStatus

ROW_PX = 52
_LONGEST_ID = 200
_MOST_FINDINGS = 300


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page; `?alarm=` chooses one."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Control room"))
    ui.add_head_html(f'<script src="{static("room.js")}"></script>')
    ui.add_head_html(f'<script>gasgate.room.open("{page.tr.language}")</script>')
    room = ControlRoom(page, request.app.state.rooms.feed(page.tr.language))
    room.draw(request.query_params.get("alarm", "")[:_LONGEST_ID])
    stop = page.board.listen(room.changed)
    ui.context.client.on_delete(stop)
    return None


class ControlRoom:
    """One browser's control room. What all see comes over the room's own connection; here is what is this person's."""

    def __init__(self, page: Page, feed: RoomFeed) -> None:
        self.page, self.feed = page, feed
        self.client = ui.context.client
        self.chosen = ""
        self.detail: AlarmDetail | None = None
        self.live: Latest | None = None
        self.chart: ui.echart | None = None
        self.acts = AlarmActs(page, self.looked_at, self._reload)

    def draw(self, wanted: str) -> None:
        """Lay the page out and choose an alarm: the wanted one, else the most urgent one."""
        page, tr = self.page, self.page.tr
        page.reading.shown = True  # alarms and tickets come another way
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/"), sanitize=False, tag="header").classes("gg-head")
            Html(self.feed.strip(), classes="gg-strip")
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
                        self.map = CityMap(tr, marks=[], on_pick=self._choose_asset)
                    self._draw_story()
        Html(room_html.help_table(tr), tag="aside", classes="gg-help").element.props(
            f'role=dialog hidden aria-label="{tr("Keys")}"'
        )
        self.acts.draw()
        ui.run_javascript(f"gasgate.room.on('marks', (marks) => getElement({self.map.id})?.show(marks))")
        ui.timer(3.0, self._refresh_trend)
        if first := wanted or self.feed.most_urgent():
            self.choose(first)
        background_tasks.create(self._load_findings(), name="load findings")

    def _draw_detail(self) -> None:
        with ui.element("div").classes("gg-scroll"):
            self.nothing = Html(html.empty(self.page.tr("Choose an alarm to see what to do.")), classes="gg-empty")
            self.box = ui.element("div").classes("gg-detail").props("tabindex=-1")
            with self.box:
                self.top = Html()
                self.actions = Html(classes="gg-actions").on_data("act", self.acts.press)
                self.guide = Html().on_data("guidance", self._guidance_opened)
                self.ticket = Html()
                with ui.element("div") as self.trend_box:
                    self.trend_title = Html(classes="gg-section")
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

    @told
    async def _load_findings(self) -> None:
        page = self.page
        found = await asyncio.to_thread(list_findings, page.parts, [FindingStatus.OPEN], _MOST_FINDINGS, least=LIKELY)
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

    async def _guidance_opened(self, alarm_id: str) -> None:
        page = self.page
        await forms.attempt(page.tr, lambda: alarm_month.guidance_opened(page.parts, page.user, alarm_id))

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

    async def looked_at(self) -> AlarmDetail | None:
        """Return the alarm chosen now, read if it is not shown yet: whoever acts means it, whatever comes next."""
        if self.detail is not None and self.detail.view.id == self.chosen:
            return self.detail
        parts, wanted = self.page.parts, self.chosen
        return await forms.attempt(self.page.tr, lambda: alarm_detail(parts, wanted)) if wanted else None

    @told
    async def _load(self, alarm_id: str) -> None:
        try:
            detail = await asyncio.to_thread(alarm_detail, self.page.parts, alarm_id)
        except RefusedError:
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
        self.actions.set(detail_html.actions(acts.offer(view, page.user), tr))
        may_order = page.can(Act.COMMAND_CLOSE) and place_of(page.parts.network, view.alarm.asset) is not None
        ways = room_html.ways(way_to(view.alarm.asset, page), tr)
        ways += command_html.link(view.alarm.asset, tr) if may_order else ""
        self.guide.set(f'{detail_html.guide(view, tr)}<div class="gg-ways">{ways}</div>')
        self.related.set(room_html.related(related(page.board, view), tr, zone, now))
        self.ticket.set(detail_html.ticket(detail.tickets, tr, zone, now))
        self.journal.set(detail_html.journal(detail, tr, zone, now))

    def _show_top(self, detail: AlarmDetail) -> None:
        page, view = self.page, detail.view
        limit = limit_of(page.parts, view)
        self.top.set(detail_html.top(view, page.tr, page.timezone, page.now(), limit, self.live))

    async def _refresh_trend(self) -> None:
        detail, page = self.detail, self.page
        if detail is None or not self.client.has_socket_connection:  # the rows come first
            return
        view = detail.view
        live, found = await asyncio.gather(latest(page.parts, view), trend(page.parts, view))
        if self.detail is not detail:
            return
        self.live = live
        self._show_top(detail)
        self.trend_box.set_visibility(found is not None and bool(found.times_ms))
        if found is None or not found.times_ms:
            return
        clock = charts.clock_of(found, page.timezone)
        onset = view.alarm.source_at or view.alarm.condition_at
        label = f"{found.point} · {found.unit}" if found.unit else found.point
        self.trend_title.set(f"<span>{escape(page.tr('Trend'))} · {escape(label)}</span><span>{clock.label}</span>")
        options = charts.trend(found, page.palette, page.tr, clock=clock, onset=onset, limit=limit_of(page.parts, view))
        if self.chart is None:
            with self.trend_box:
                self.chart = ui.echart(options).classes("gg-chart")
        elif self.chart.options != options:
            self.chart.options.clear()
            self.chart.options.update(options)
