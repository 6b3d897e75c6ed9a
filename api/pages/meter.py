"""One meter: its register and use, what it says now, its gas days, what happened to it, and its zone's loss."""

from __future__ import annotations

from datetime import timedelta

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui
from starlette.exceptions import HTTPException

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import meter_days_html, meter_html, words
from api.pages.parts.elements import Html
from api.pages.parts.series_chart import Drawing, DrawnPoint, Moment, SeriesChart
from api.roles import Act
from api.services import meter as service
from api.services.customers import meter_for
from api.services.intervals import meter_days
from api.services.live import Change
from api.services.meter import Event, Purchase
from gateway.errors import GatewayError, RefusedError
from gateway.model.network import Meter, MeterKind
from gateway.model.quantity import Quantity
from gateway.model.reading import point_id

EVERY_S = 10.0
HAPPENED_EVERY = 12
"""looks between two readings of months of purchases and signs"""
DAYS = 31
SPANS = {"7": 7, "31": 31, "365": 365}
"""days that a chart may show"""


async def build(request: Request, meter_id: str) -> RedirectResponse | None:
    """Draw the page of one meter."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    try:
        meter = service.known(page.parts, meter_id[:120])
    except RefusedError as error:
        raise HTTPException(404) from error
    draw_frame(page, f"{page.tr('Meter')} {meter.meter_id}")
    view = MeterPage(page, meter_for(page.user, meter))
    view.draw()
    await view.load()
    ui.context.client.on_delete(page.board.listen(view.changed))
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class MeterPage:
    """One browser's page of a meter."""

    def __init__(self, page: Page, meter: Meter) -> None:
        self.page, self.meter = page, meter
        self.client = ui.context.client
        self.shown = "register"
        self.days = "31"
        self.moments: tuple[Moment, ...] = ()
        self.looks = 0
        self.past: tuple[list[Purchase], list[Event]] = ([], [])
        """purchases and events, as they were read last"""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/meters"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-meter-page"):
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Readings"), "grow-3"), ui.element("div").classes("gg-chart-box"):
                        self.tools = Html(classes="gg-chart-tools")
                        self.tools.on_data("shown", self._show).on_data("days", self._span)
                        self.chart = SeriesChart(page, f"{tr('Readings')} {self.meter.meter_id}", self._drawing())
                    if page.can(Act.READING_AUDIT):
                        with panel(tr("Gas days"), "grow-2", tr("31 days, the latest first")):
                            self.gas_days = Html(classes="gg-scroll")
                with ui.element("div").classes("gg-column"):
                    with ui.element("section").classes("gg-panel gg-meter-card"):
                        self.head = Html(classes="gg-meter-head")
                        self.newest = Html(classes="gg-newest")
                    with panel(tr("Around it"), "grow-2"):
                        self.around = Html(classes="gg-scroll")
                    with panel(tr("What happened"), "grow-3", tr("three months, the latest first")):
                        self.happened = Html(classes="gg-scroll")

    async def load(self) -> None:
        """Read everything and show it."""
        self.tools.set(meter_html.chart_tools(self._choices(), self.shown, self.days, self.page.tr))
        await self.refresh()
        await self._load_days()

    async def refresh(self) -> None:
        """Read what may have changed and show what differs."""
        page, tr = self.page, self.page.tr
        try:
            view = await service.one_meter(page.parts, page.user, self.meter.meter_id)
            if self.looks % HAPPENED_EVERY == 0:
                self.past = await service.happened(page.parts, self.meter.meter_id)
            self.looks += 1
        except GatewayError:
            self.head.set(meter_html.head(self.meter, service.path_of(page.parts, self.meter.zone_id), tr))
            for part in (self.newest, self.around, self.happened):
                part.set(meter_html.away(tr))
            return
        self.head.set(meter_html.head(view.meter, view.path, tr))
        self.newest.set(meter_html.newest(view, tr, page.timezone, page.now()))
        self.around.set(meter_html.around(view, tr, page.timezone, page.now()))
        may = page.can(Act.COMMAND_CLOSE)
        self.happened.set(meter_html.happened(view, *self.past, tr, page.timezone, page.now(), may_command=may))
        self.moments = tuple(
            moment
            for finding in view.findings[:2]
            for moment in (
                Moment(finding.onset, f"{tr('onset')}: {tr(words.FINDINGS.get(finding.kind, finding.kind))}"),
                Moment(finding.detected_at, tr("detected")),
            )
        )
        self.chart.show(self._drawing())

    async def _load_days(self) -> None:
        page, parts = self.page, self.page.parts
        if not page.can(Act.READING_AUDIT):
            return
        last = parts.site.gas_day.of(parts.clock.now())
        try:
            found = await meter_days(parts, self.meter.meter_id, last - timedelta(days=DAYS - 1), last)
        except GatewayError:
            self.gas_days.set(meter_html.away(page.tr))
            return
        self.gas_days.set(meter_days_html.days(found, page.tr, page.timezone, self.meter.decimals))

    def changed(self, change: Change) -> None:
        """Look again when analysis or an inspector changed something."""
        if change.findings:
            background_tasks.create(self._again(), name="load meter")

    async def _again(self) -> None:
        if not self.client.is_deleted:
            with self.client:
                await self.refresh()

    def _choices(self) -> tuple[str, ...]:
        return ("register", "use", "credit", "valve") if self.meter.kind is MeterKind.IC_CARD else _REMOTE

    def _drawing(self) -> Drawing:
        tr, name = self.page.tr, self.meter.meter_id
        register = DrawnPoint(point_id(name, self.meter.register), tr("Register"))
        points = {
            "register": (register,),
            "use": (DrawnPoint(register.id, tr("Use in the hour")),),
            "credit": (
                DrawnPoint(point_id(name, Quantity.BALANCE_M3), tr("Credit")),
                DrawnPoint(point_id(name, Quantity.PURCHASED_M3), tr("Bought in all"), step=True),
            ),
            "valve": (DrawnPoint(point_id(name, Quantity.VALVE), tr("Valve: 1 is open"), step=True),),
            "device": (
                DrawnPoint(point_id(name, Quantity.BATTERY_V), tr("Battery")),
                DrawnPoint(point_id(name, Quantity.SIGNAL_DBM), tr("Signal")),
            ),
        }[self.shown]
        now = self.page.now()
        # whole quarters of an hour, so that looking again does not draw anew
        end = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
        start = end - timedelta(days=SPANS[self.days])
        moments = tuple(moment for moment in self.moments if start <= moment.at < end)
        return Drawing(points, start, end, moments=moments, use=self.shown == "use")

    async def _show(self, shown: str) -> None:
        if shown in self._choices():
            self.shown = shown
            self._redraw()

    async def _span(self, days: str) -> None:
        if days in SPANS:
            self.days = days
            self._redraw()

    def _redraw(self) -> None:
        self.tools.set(meter_html.chart_tools(self._choices(), self.shown, self.days, self.page.tr))
        self.chart.show(self._drawing())


_REMOTE = ("register", "use", "valve", "device")
