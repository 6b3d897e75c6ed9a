"""Where the gas goes: the tree of zones, the course of one, and the suspects with their evidence."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from html import escape

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import finding_html, loss_charts, loss_html
from api.pages.parts.elements import Html, KeyedList
from api.pages.trouble import told
from api.services.curves import curves_of
from api.services.findings import FindingView, list_findings, onset_day
from api.services.live import Change
from api.services.loss import (
    LossLine,
    Period,
    known_days,
    loss_months,
    loss_sparks,
    loss_tree,
    loss_trend,
    span,
    zone_total,
)
from api.services.precision import precision
from gateway.model.finding import LIKELY, FindingStatus

_MOST_SUSPECTS = 300
ROW_PX = 52


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Loss"))
    desk = LossPage(page)
    desk.draw()
    await desk.load()
    ui.context.client.on_delete(page.board.listen(desk.changed))
    return None


class LossPage:
    """One browser's loss page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.client = ui.context.client
        self.period = Period.DAY
        self.day: date | None = None
        self.known: tuple[date, date] | None = None
        self.zone = ""
        self.course_of = "days"
        self.only = ""
        """zone whose suspects are listed; empty: all"""
        self.least = LIKELY
        """score from which they are listed"""
        self.lines: list[LossLine] = []
        self.sparks: loss_html.Sparks = {}
        self.folded: set[str] = set()
        self.suspects: dict[int, FindingView] = {}
        self.finding = 0

    def draw(self) -> None:
        """Lay the page out."""
        page = self.page
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/loss"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-loss"):
                with ui.element("div").classes("gg-column"):
                    self._draw_zones()
                with ui.element("div").classes("gg-column"):
                    self._draw_suspects()

    def _draw_zones(self) -> None:
        tr = self.page.tr
        with panel(tr("Loss by zone"), "grow-4"):
            self.tools = Html(classes="gg-bar-tools")
            self.tools.on_data("period", self._set_period).on_data("move", self._move)
            self.tools.element.on("change", self._set_day, js_handler="(e) => emit(e.target.value)")
            self.tree = Html(classes="gg-scroll")
            self.tree.element.props(f'tabindex=0 aria-label="{escape(tr("Loss by zone"))}"')
            self.tree.element.on("click", self._pick_zone, js_handler=_PICK)
            self.tree.element.on("keydown", self._pick_zone, js_handler=_KEYS)
        with panel(tr("Loss rate"), "grow-4"):
            self.course_tools = Html(classes="gg-in-head").on_data("course", self._set_course)
            self.course_title = Html(classes="gg-course-title")
            self.course = ui.echart({}).classes("gg-fill-chart")

    def _draw_suspects(self) -> None:
        tr = self.page.tr
        with panel(tr("Suspects"), "gg-suspects"):
            self.only_tools = (
                Html(classes="gg-in-head").on_data("only", self._show_all).on_data("weak", self._show_weak)
            )
            self.list = KeyedList(
                row_height=ROW_PX,
                label=tr("Suspects"),
                empty=loss_html.no_suspects(tr),
                rows=[],
                on_pick=self._pick,
                opens=".gg-evidence [data-open], .gg-evidence",
            )
            self.record = Html()
        with panel(tr("Evidence"), "grow-4"), ui.element("div").classes("gg-evidence").props("tabindex=-1"):
            self.facts = Html()
            self.chart = ui.echart({}).classes("gg-fill-chart")
            self.bars = Html(classes="gg-roomy")
            self.way = Html(classes="gg-actions")

    @told
    async def load(self) -> None:
        """Read days, tree and suspects."""
        self.known = await asyncio.to_thread(known_days, self.page.parts)
        if self.known is not None and self.day is None:
            self.day = self.known[1]
        await self._load_tree()
        await self._load_suspects()
        ui.run_javascript(_TO_CHOSEN)

    def changed(self, change: Change) -> None:
        """Read again what analysis or an inspector changed."""
        if change.findings:
            background_tasks.create(self._again(), name="load findings")

    @told
    async def _again(self) -> None:
        newest = await asyncio.to_thread(known_days, self.page.parts)
        if self.client.is_deleted:
            return
        with self.client:
            if newest is not None and (self.known is None or self.day == self.known[1]):
                self.day = newest[1]
            self.known = newest
            await self._load_tree()
            await self._load_suspects()

    async def _load_tree(self) -> None:
        page = self.page
        self.course.set_visibility(self.day is not None)
        if self.day is None:
            self.tools.set("")
            for part in (self.tree, self.course_title):
                part.set(loss_html.no_days(page.tr))
            return
        first, last = span(self.period, self.day)
        self.lines = await asyncio.to_thread(loss_tree, page.parts, first, last)
        self.sparks = await asyncio.to_thread(loss_sparks, page.parts, last)
        if not self.zone and self.lines:
            self.zone = max(self.lines, key=_worth_a_look).zone
        self.tools.set(loss_html.tools(page.tr, self.period, self.day, self.known, first))
        self._show_tree()
        await self._load_course(first)

    def _show_tree(self) -> None:
        self.tree.set(loss_html.tree(self.lines, self.sparks, self.page.tr, self.zone, self.folded))

    async def _load_course(self, first: date) -> None:
        page, zone, tr = self.page, self.zone, self.page.tr
        if self.day is None:
            return
        last = self.known[1] if self.known else self.day
        if self.course_of == "months":
            months = await asyncio.to_thread(loss_months, page.parts, zone, last)
            note, options = loss_html.months_note(months, tr), loss_charts.loss_months(months, page.palette, tr)
        elif self.course_of == "terms":
            whole = await asyncio.to_thread(zone_total, page.parts, zone, first, self.day)
            note, options = loss_html.terms_note(whole, tr), loss_charts.loss_terms(whole.terms, page.palette, tr)
        else:
            days = await asyncio.to_thread(loss_trend, page.parts, zone, last)
            chosen = [entry.gas_day for entry in days if first.isoformat() <= entry.gas_day <= self.day.isoformat()]
            note, options = loss_html.days_note(days, tr), loss_charts.loss_course(days, page.palette, tr, chosen)
        self.course_tools.set(loss_html.course_tools(self.course_of, tr, zone))
        self.course_title.set(loss_html.course_title(page.parts.network.name_of(zone), zone, note))
        self.course.options.clear()
        self.course.options.update(options)

    async def _load_suspects(self) -> None:
        parts = self.page.parts
        zones = list(parts.network.below(self.only)) if self.only else None
        statuses = list(FindingStatus)
        found = await asyncio.to_thread(list_findings, parts, statuses, _MOST_SUSPECTS, zones=zones, least=self.least)
        found.sort(key=lambda view: (view.status != FindingStatus.OPEN, -view.score))
        gone = [str(key) for key in self.suspects if all(view.id != key for view in found)]
        self.suspects = {view.id: view for view in found}
        self.list.apply([loss_html.suspect_row(view, n, self.page.tr) for n, view in enumerate(found, 1)], gone)
        if self.finding not in self.suspects:
            self.finding = found[0].id if found else 0
        self.list.select(str(self.finding))
        self.only_tools.set(
            loss_html.suspect_tools(self.only, parts.network.name_of(self.only), self.page.tr, weak=self.least == 0)
        )
        self.record.set(loss_html.record(await asyncio.to_thread(precision, parts), self.page.tr))
        self._show_evidence()

    def _show_evidence(self) -> None:
        page = self.page
        view = self.suspects.get(self.finding)
        options = None
        if view is not None:
            drawn = curves_of(view.evidence, onset_day(page.parts, view).isoformat(), page.tr, page.timezone)
            options = loss_charts.curves(drawn, page.palette, page.tr)
        self.facts.set(
            finding_html.facts(view, page.tr, page.timezone, brief=True) if view else loss_html.no_suspects(page.tr)
        )
        self.bars.set(finding_html.alternatives(view.evidence, page.tr) if view else "")
        self.way.set(finding_html.opener(view, page.tr) if view else "")
        self.chart.set_visibility(options is not None)
        if options is not None:
            self.chart.options.clear()
            self.chart.options.update(options)

    # What the person does ------------------------------------------------------------------------------------

    @told
    async def _set_course(self, course: str) -> None:
        if course in loss_html.COURSES and self.day is not None:
            self.course_of = course
            await self._load_course(span(self.period, self.day)[0])

    @told
    async def _show_all(self, which: str) -> None:
        if which == "all":
            self.only = ""
            await self._load_suspects()

    @told
    async def _show_weak(self, which: str) -> None:
        self.least = 0.0 if which == "too" else LIKELY
        await self._load_suspects()

    @told
    async def _set_period(self, period: str) -> None:
        if period in set(Period):
            self.period = Period(period)
            await self._load_tree()

    async def _move(self, days: str) -> None:
        if days in {"-1", "1"} and self.day is not None:
            await self._go(self.day + timedelta(days=int(days)))

    async def _set_day(self, event: GenericEventArguments) -> None:
        try:
            await self._go(date.fromisoformat(str(event.args)))
        except ValueError:
            return

    @told
    async def _go(self, day: date) -> None:
        if self.known is not None and self.known[0] <= day <= self.known[1]:
            self.day = day
            await self._load_tree()

    @told
    async def _pick_zone(self, event: GenericEventArguments) -> None:
        if not isinstance(event.args, list) or len(event.args) != 2:
            return
        kind, zone = (str(part) for part in event.args)
        if zone not in self.page.parts.network.zones:
            return
        if kind == "fold":
            self.folded ^= {zone}
            self._show_tree()
            return
        self.zone = self.only = zone
        self._show_tree()
        if self.day is not None:
            await self._load_course(span(self.period, self.day)[0])
        await self._load_suspects()

    def _pick(self, finding: str) -> None:
        if finding.isdigit() and int(finding) in self.suspects:
            self.finding = int(finding)
            self.list.select(finding)
            self._show_evidence()


_TO_CHOSEN = "document.querySelector('tr[aria-selected=true]')?.scrollIntoView({ block: 'nearest' })"
_PICK = (
    "(e) => { const f = e.target.closest('[data-fold]'); if (f) return emit('fold', f.dataset.fold);"
    "const r = e.target.closest('[data-pick]'); if (r) emit('zone', r.dataset.pick) }"
)


_KEYS = (
    "(e) => { const step = { ArrowDown: 1, ArrowUp: -1 }[e.key], fold = { ArrowLeft: 'true', ArrowRight: 'false' };"
    "const rows = [...e.currentTarget.querySelectorAll('tr[data-pick]')];"
    "const at = rows.findIndex((row) => row.ariaSelected === 'true');"
    "const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];"
    "if (step) e.preventDefault(); if (step && next) { next.scrollIntoView({ block: 'nearest' });"
    "return emit('zone', next.dataset.pick) }"
    "const knob = rows[at]?.querySelector('[data-fold]');"
    "if (fold[e.key] && knob?.ariaExpanded === fold[e.key]) emit('fold', knob.dataset.fold) }"
)


def _worth_a_look(line: LossLine) -> tuple[bool, int, float]:
    """Order zones by what a person wants to see first: high, deep in the tree, large."""
    return (line.verdict == "high", line.depth if line.verdict == "high" else -line.depth, line.loss_rate or 0.0)
