"""Stations and regulators: live values against limits, trends of several points, and the pressures of a zone."""

from __future__ import annotations

from datetime import timedelta

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, network_html
from api.pages.parts.elements import CityMap, Html
from api.pages.parts.paging import Paging
from api.pages.parts.series_chart import Drawing, DrawnPoint, Level, SeriesChart
from api.services import network as service
from api.services.network import Site
from api.services.series import MOST_POINTS, unit_of
from gateway.errors import GatewayError, RefusedError
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, split_point

EVERY_S = 5.0
ROWS = 50
_MOST_UNITS = 2


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page; `?asset=` shows one station or regulator and its pressure."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Network"))
    asset = request.query_params.get("asset", "")[:120]
    view = NetworkPage(page, asset if asset in page.parts.network.stations else "")
    view.draw()
    await view.load()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class NetworkPage:
    """One browser's page of the network."""

    def __init__(self, page: Page, asset: str) -> None:
        self.page = page
        self.text, self.zone, self.kind = asset, "", ""
        self.paging = Paging()
        self.sites: tuple[Site, ...] = ()
        self.points: list[PointId] = []
        """what the trend shows, in the order in which it was chosen"""
        self.span = "24"

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/network"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-network"):
                with panel(tr("Stations and regulators"), "", tr("choose values for the trend")):
                    tools = Html(network_html.tools(tr, self.text, page.parts.network), classes="gg-search")
                    for event in ("input", "change"):
                        tools.element.on(event, self._typed, js_handler=network_html.TYPED)
                    self.list = Html(classes="gg-scroll").on_data("point", self._toggle)
                    self.foot = Html(classes="gg-foot").on_data("page", self._turn)
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Trend"), "grow-3"), ui.element("div").classes("gg-chart-box"):
                        self.tools = Html(classes="gg-chart-tools")
                        self.tools.on_data("span", self._set_span).on_data("drop", self._toggle)
                        self.chart = SeriesChart(page, tr("Trend"), self._drawing())
                    with panel(tr("Pressures"), "grow-2", tr("gauge pressure in kPa, as measured last")):
                        self.map = CityMap(tr, marks=[], on_pick=self._picked, near=True)
                        self.map.classes("gg-case-map")

    async def load(self) -> None:
        """Read the list, and draw the first pressure of it."""
        await self.refresh()
        if not self.points:
            first = next((value for site in self.sites for value in site.values), None)
            if first is not None:
                self.points = [first.point]
        self._redraw()

    async def refresh(self) -> None:
        """Read the values again and show what differs."""
        page, tr = self.page, self.page.tr
        try:
            found = await service.sites(
                page.parts, text=self.text, zone=self.zone, kind=self.kind, after=self.paging.after, limit=ROWS
            )
            pressures = await service.pressures(page.parts, self.zone)
        except RefusedError:
            self.sites = ()
            self.list.set(network_html.nothing(tr))
            return
        except GatewayError:
            self.list.set(network_html.away(tr))
            return
        self.sites = found.sites
        self.paging.found(found.after)
        self.list.set(network_html.listed(found.sites, self.points, tr))
        self.foot.set(network_html.foot(tr, self.paging.number, found.after, self._asked()))
        self.map.show([network_html.mark_of(site) for site in pressures])

    def _asked(self) -> dict[str, str]:
        return {"text": self.text, "zone": self.zone, "kind": self.kind}

    def _drawing(self) -> Drawing:
        network, tr = self.page.parts.network, self.page.tr
        points = [DrawnPoint(point, network_html.point_name(point, network.name_of, tr)) for point in self.points]
        now = self.page.now()
        # a whole minute, so that looking again does not draw anew
        end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        levels = [
            Level(limit.value, tr(limit.title))
            for limit in (service.limits_of(self.page.parts, self.points[0]) if len(self.points) == 1 else ())
        ]
        return Drawing(points, end - timedelta(hours=int(self.span)), end, levels)

    def _redraw(self) -> None:
        page, tr = self.page, self.page.tr
        names = page.parts.network.name_of
        self.list.set(network_html.listed(self.sites, self.points, tr))
        self.tools.set(network_html.chart_tools(self.points, self.span, tr, names))
        self.chart.show(self._drawing())

    # What the person does ------------------------------------------------------------------------------------

    async def _typed(self, event: GenericEventArguments) -> None:
        asked = forms.fields(event)
        wanted = (asked.get("text", "")[: service.LONGEST_TEXT], asked.get("zone", ""), asked.get("kind", ""))
        if wanted == (self.text, self.zone, self.kind):
            return
        moved = wanted[1] != self.zone
        self.text, self.zone, self.kind = wanted
        self.paging.restart()
        await self.refresh()
        if moved:
            self.map.frame()

    async def _turn(self, way: str) -> None:
        if self.paging.turn(way):
            await self.refresh()

    def _toggle(self, name: str) -> None:
        """Put a point into the trend, or take it out; the oldest leaves for a seventh, another unit for a third."""
        point = PointId(name)
        asset, _, quantity = name.rpartition("/")
        if asset not in self.page.parts.network.stations or quantity not in set(Quantity):
            return
        if point in self.points:
            self.points.remove(point)
        else:
            units = dict.fromkeys(unit_of(one) for one in [point, *reversed(self.points)])
            kept = list(units)[:_MOST_UNITS]
            fitting = [one for one in self.points if unit_of(one) in kept]
            self.points = [*fitting[-(MOST_POINTS - 1) :], point]
        self._redraw()

    def _set_span(self, span: str) -> None:
        if span in network_html.SPANS:
            self.span = span
            self._redraw()

    def _picked(self, asset: str) -> None:
        site = asset in self.page.parts.network.stations
        point = PointId(f"{asset}/{Quantity.PRESSURE_GAUGE_KPA}")
        if site and split_point(point)[1] and point not in self.points:
            self._toggle(point)
