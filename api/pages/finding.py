"""One suspected case: its curves, what else could explain them, where it is, and what people found there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import finding_html, finding_words, forms, loss_charts, words
from api.pages.parts.elements import CityMap, Html
from api.pages.trouble import told
from api.roles import Act
from api.services import findings as service
from api.services.city import place_of
from api.services.curves import curves_of
from api.services.findings import FindingView
from api.services.live import Change
from api.services.precision import precision
from gateway.errors import RefusedError
from gateway.model.finding import FindingKind, FindingStatus, InspectionResult

_MOST_OTHERS = 6
_MOST_ASKED = 50
_LARGEST = 1e7
_SUBMIT = "(e) => { e.preventDefault(); emit(Object.fromEntries(new FormData(e.target))) }"
_SPOT = '<span class="gg-spot"></span>'


async def build(request: Request, finding_id: str) -> RedirectResponse | None:
    """Draw the page; an unknown case leads back to the loss page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    view = await _read(page, finding_id)
    if view is None:
        return RedirectResponse("/loss", status_code=303)
    name = page.tr(words.FINDINGS.get(view.kind, view.kind))
    draw_frame(page, f"{name} {view.meter or view.zone}")
    desk = FindingPage(page, view)
    desk.draw()
    await desk.load()
    ui.context.client.on_delete(page.board.listen(desk.changed))
    return None


async def _read(page: Page, finding_id: str) -> FindingView | None:
    if not finding_id.isdigit() or len(finding_id) > 15:
        return None
    try:
        return await asyncio.to_thread(service.one_finding, page.parts, int(finding_id))
    except RefusedError:
        return None


class FindingPage:
    """One browser's page of one case."""

    def __init__(self, page: Page, view: FindingView) -> None:
        self.page = page
        self.view = view
        self.client = ui.context.client

    def draw(self) -> None:
        """Lay the page out."""
        with ui.element("div").classes("gg"):
            ui.html(header_html(self.page, "/loss"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-loss gg-case"):
                with ui.element("div").classes("gg-column"):
                    self._draw_evidence()
                with ui.element("div").classes("gg-column"):
                    self._draw_map()
                    self._draw_inspection()

    def _draw_evidence(self) -> None:
        tr = self.page.tr
        with panel(tr("Evidence"), "grow-4"), ui.element("div").classes("gg-evidence"):
            Html(finding_html.title(self.view, tr), classes="gg-case-title")
            self.facts = Html()
            self.chart = ui.echart({}).classes("gg-fill-chart")
            self.single = Html()
            self.bars = Html()

    def _draw_inspection(self) -> None:
        with (
            panel(self.page.tr("Inspection"), "grow-4"),
            ui.element("div").classes("gg-scroll gg-inspection"),
        ):
            self.sending = Html().on_data("send", self._send)
            self.visits = Html()
            self.form = Html()
            self.form.element.on("submit", self._inspect, js_handler=_SUBMIT)
            self.record = Html()
            self.others = Html()

    def _draw_map(self) -> None:
        page, view = self.page, self.view
        network = page.parts.network
        candidates = finding_html.pipes(view.evidence)
        asset = view.meter or view.zone
        place = place_of(network, asset)
        marks: list[dict[str, Any]] = []
        if place is not None:
            marks = [{"asset": asset, "x": place[0], "y": place[1], "priority": 1, "html": _SPOT}]
        with panel(page.tr("Place"), "grow-4"):
            city = CityMap(page.tr, marks=marks, on_pick=lambda _asset: None, pipes=candidates, near=True)
            city.classes("gg-case-map")
            Html(finding_html.pipe_list(candidates, str(view.evidence.get("located_by", "")), page.tr))
            if view.meter is not None:
                Html(finding_html.meter_facts(network.meters.get(view.meter), page.tr), classes="gg-meter-facts")

    @told
    async def load(self) -> None:
        """Read the case, its visits and what else is there, and show them."""
        page, number = self.page, self.view.id
        parts, tr = page.parts, page.tr
        self.view = view = await asyncio.to_thread(service.one_finding, parts, number)
        found = await asyncio.to_thread(service.visits, parts, number)
        ticket = await asyncio.to_thread(service.ticket_of, parts, number)
        record = await asyncio.to_thread(precision, parts)
        here = await asyncio.to_thread(
            service.list_findings, parts, list(FindingStatus), _MOST_ASKED, zones=[view.zone]
        )
        near = [other for other in here if other.id != number and (view.meter is None or _is_near(view, other))]
        self.facts.set(finding_html.facts(view, tr, page.timezone))
        self.single.set(finding_html.single_facts(view.evidence, tr))
        self.bars.set(finding_html.alternatives(view.evidence, tr))
        self.sending.set(finding_html.sending(view, ticket, tr, may=page.can(Act.FINDING_RELEASE)))
        self.visits.set(finding_html.visits(found, tr, page.timezone))
        self.form.set(finding_html.form(view, tr) if page.can(Act.FINDING_INSPECT) else "")
        self.record.set(finding_html.record(record, view.kind, tr))
        self.others.set(finding_html.others(near[:_MOST_OTHERS], tr))
        drawn = curves_of(view.evidence, service.onset_day(parts, view).isoformat(), tr, page.timezone)
        options = loss_charts.curves(drawn, page.palette, tr)
        self.chart.set_visibility(options is not None)
        if options is not None:
            self.chart.options.clear()
            self.chart.options.update(options)

    def changed(self, change: Change) -> None:
        """Read again what analysis or an inspector changed."""
        if change.findings:
            background_tasks.create(self._again(), name="load finding")

    async def _again(self) -> None:
        if not self.client.is_deleted:
            with self.client:
                await self.load()

    async def _send(self, _number: str) -> None:
        """Release the case as a ticket."""
        page = self.page
        await forms.attempt(page.tr, lambda: service.send(page.parts, page.user, self.view.id))
        await self.load()

    async def _inspect(self, event: GenericEventArguments) -> None:
        """Record what the form says; a browser may send anything."""
        page, said = self.page, _said(event)
        if said is None:
            ui.notify(page.tr("Say what was found."), type="warning", position="top")
            return
        with forms.refusals(page.tr):
            await asyncio.to_thread(service.inspect, page.parts, page.user, self.view.id, **said)
            result = page.tr(finding_words.RESULTS[said["result"]])
            ui.notify(page.tr("Recorded: {result}", result=result), position="top")
        await self.load()


def _is_near(view: FindingView, other: FindingView) -> bool:
    """Say whether a case of the zone belongs beside this one: of the same meter, or of the zone as a whole."""
    return other.meter == view.meter or other.meter is None


def _said(event: GenericEventArguments) -> dict[str, Any] | None:
    """Return what a form says as arguments of `inspect`, None if it says no result or no sensible size."""
    given = event.args if isinstance(event.args, Mapping) else {}
    result, kind = str(given.get("result", "")), str(given.get("found_kind", ""))
    size = str(given.get("found_m3_per_day", "")).strip()
    if result not in set(InspectionResult) or (kind and kind not in set(FindingKind)):
        return None
    try:
        found = float(size) if size else None
    except ValueError:
        return None
    if found is not None and not 0 <= found <= _LARGEST:
        return None
    note = str(given.get("note", ""))[:500]
    return {"result": InspectionResult(result), "found_kind": kind, "found_m3_per_day": found, "note": note}
