"""The reading audit: what a rule questioned, raw beside estimate, accepted or rejected; meters that wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import app as pages_app
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel, refuse_page
from api.pages.parts import forms, meter_days_html, questioned_html, ticket_html, words
from api.pages.parts.elements import Html
from api.pages.parts.export_html import export
from api.pages.parts.html import empty
from api.pages.parts.series_chart import Drawing, DrawnPoint, Moment, SeriesChart
from api.pages.trouble import told
from api.roles import Act
from api.services import questioned
from api.services.intervals import MeterDays, meter_days
from api.services.questioned import PAGE, Answer, Case
from api.services.unread import CLASSES, WaitingMeters
from gateway.errors import GatewayError, RefusedError
from gateway.model.reading import point_id

EVERY_S = 10.0
AROUND = timedelta(days=8)
_TABS = ("cases", "decided", "unread", "old")
_DECIDED = (
    "(e) => { e.preventDefault(); const said = Object.fromEntries(new FormData(e.target, e.submitter));"
    "emit(JSON.stringify(said)) }"
)
_RULE = "(e) => { if (e.target.name === 'rule') emit(e.target.value) }"
_ENTER = "(e) => { const row = e.target.closest('[data-case]'); if (row && e.key === 'Enter') emit(row.dataset.case) }"


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    refuse_page(page, Act.READING_AUDIT)
    draw_frame(page, page.tr("Reading audit"))
    view = QuestionedPage(page, pages_app.state.waiting)
    view.waiting.begin()
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class QuestionedPage:
    """One browser's reading audit."""

    def __init__(self, page: Page, waiting: WaitingMeters) -> None:
        self.page = page
        self.waiting = waiting
        self.tab, self.rule, self.unread = _TABS[0], "", next(iter(CLASSES))
        self.before: int | None = None
        self.cases: dict[int, Case] = {}
        self.chosen: Case | None = None
        self.days: MeterDays | None = None
        self.chart: SeriesChart | None = None

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/audit"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-audit"):
                with ui.element("section").classes("gg-panel"):
                    self.tabs = Html(tag="header").on_data("tab", self._tab)
                    self.tools = Html(classes="gg-bar-tools")
                    self.tools.element.on("change", self._by_rule, js_handler=_RULE)
                    self.list = Html(classes="gg-scroll")
                    self.list.on_data("case", self._choose).on_data("class", self._class).on_data("older", self._older)
                    self.list.element.on("keydown", self._chosen_by_key, js_handler=_ENTER)
                with ui.element("div").classes("gg-column"):
                    with ui.element("section").classes("gg-panel gg-ticket-head"):
                        self.head = Html(
                            f'<div class="gg-empty">{empty(tr("Choose a reading to decide on it."))}</div>'
                        )
                        self.form = Html()
                        self.form.element.on("submit", self._decided, js_handler=_DECIDED)
                    with ui.element("div").classes("gg-audit-sides"):
                        with panel(tr("Raw readings"), "", tr("as they came; nothing changes them")):
                            self.raw = Html(classes="gg-scroll")
                        with panel(tr("Gas days"), "", tr("what they come to")):
                            self.estimate = Html(classes="gg-scroll")
                    with panel(tr("Register"), "gg-audit-chart"):
                        self.chart_box = ui.element("div").classes("gg-chart-box")

    @told
    async def refresh(self) -> None:
        """Read the list again and show what differs."""
        page, tr, zone, now = self.page, self.page.tr, self.page.timezone, self.page.now()
        counts = await asyncio.to_thread(questioned.counts, page.parts)
        titles = (tr("Questioned"), tr("Decided"), tr("Long unread"), tr("Over ten years"))
        shown = {"cases": sum(counts.values())}
        choice = questioned_html.rules(counts, self.rule, tr) + export(tr, "questioned", rule=self.rule)
        self.tools.set(choice if self.tab == "cases" else "")
        if self.tab == "cases":
            rules = [self.rule] if self.rule else []
            found = await asyncio.to_thread(questioned.cases, page.parts, page.user, rules, before=self.before)
            self.cases = {one.id: one for one in found}
            chosen = self.chosen.id if self.chosen else 0
            more = len(found) == PAGE
            self.list.set(questioned_html.cases(found, chosen, tr, zone, now, more=more))
        elif self.tab == "decided":
            done = await asyncio.to_thread(questioned.decisions, page.parts)
            self.list.set(questioned_html.decided(done, tr, zone, now))
        else:
            tab = self.tab
            waiting = await self.waiting.look()
            if self.tab != tab:
                return
            shown |= {"unread": sum(waiting.counts[name] for name in CLASSES), "old": waiting.old_count}
            text = questioned_html.old(waiting, tr)
            if self.tab == "unread":
                text = questioned_html.unread(waiting, self.unread, tr, zone)
            self.list.set(text)
        self.tabs.set(ticket_html.tabs(list(zip(_TABS, titles, strict=True)), shown, self.tab))

    async def _tab(self, name: str) -> None:
        if name in _TABS:
            self.tab, self.before = name, None
            if name in {"unread", "old"}:
                self.list.set(f'<div class="gg-empty">{empty(self.page.tr("Looking at every meter…"))}</div>')
            await self.refresh()

    async def _by_rule(self, event: GenericEventArguments) -> None:
        self.rule, self.before = str(event.args)[:3], None
        await self.refresh()

    async def _class(self, name: str) -> None:
        self.unread = name
        await self.refresh()

    async def _older(self, _: str) -> None:
        self.before = min(self.cases, default=None)
        await self.refresh()

    async def _chosen_by_key(self, event: GenericEventArguments) -> None:
        await self._choose(str(event.args))

    async def _choose(self, case_id: str) -> None:
        case = self.cases.get(int(case_id)) if case_id.isdigit() and len(case_id) < 16 else None
        if case is None:
            return
        self.chosen, self.days = case, None
        self._show_case(case)
        await self.refresh()
        today = self.page.parts.site.gas_day.of(self.page.now())
        first, last = case.gas_day - AROUND, min(case.gas_day + AROUND, today)
        try:
            found = await meter_days(self.page.parts, case.meter, first, last)
        except RefusedError as error:
            self.raw.set(f'<div class="gg-empty">{words.refusal(error.code, self.page.tr)}</div>')
            return
        except GatewayError:
            text = empty(self.page.tr("The store does not answer: no readings."))
            self.raw.set(f'<div class="gg-empty">{text}</div>')
            return
        if self.chosen is case:
            self.days = found
            self._show_case(case)

    def _show_case(self, case: Case) -> None:
        page, tr = self.page, self.page.tr
        self.head.set(questioned_html.head(case, tr, page.timezone))
        may = page.can(Act.READING_DECIDE)
        self.form.set(questioned_html.form(case, self.days, tr, uuid4().hex) if may and self.days else "")
        meter = page.parts.network.meters.get(case.meter)
        if self.days is None or meter is None:
            self.raw.set("")
            self.estimate.set("")
            return
        self.raw.set(questioned_html.raw(self.days, case, tr, page.timezone))
        self.estimate.set(meter_days_html.days(self.days, tr, page.timezone, meter.decimals))
        point = DrawnPoint(point_id(meter.meter_id, meter.register), tr("Register"))
        gas_day = page.parts.site.gas_day
        start, end = gas_day.begins(case.gas_day - AROUND), gas_day.ends(case.gas_day + AROUND)
        moment = Moment(case.source_time, f"{case.rule} {questioned_html.rule_name(case.rule, tr)}")
        drawing = Drawing((point,), start, min(end, page.now()), moments=(moment,))
        if self.chart is None:
            with self.chart_box:
                self.chart = SeriesChart(page, f"{tr('Register')} {case.meter}", drawing)
        else:
            self.chart.show(drawing)

    async def _decided(self, event: GenericEventArguments) -> None:
        case, page, said = self.chosen, self.page, forms.fields(event)
        if case is None:
            return
        answer = Answer(
            accept=said.get("do") != "reject",
            reason=said.get("reason", ""),
            value_m3=_number(said.get("value", "")),
            gas_day=questioned_html.day_of(said.get("day", "")),
            volume_m3=_number(said.get("volume", "")),
        )
        with forms.refusals(page.tr):
            await questioned.decide(page.parts, page.user, case.id, answer)
            text = page.tr("Accepted.") if answer.accept else page.tr("Rejected: the gas day follows within seconds.")
            ui.notify(text, type="positive", position="top")
            self.chosen = None
            self.form.set("")
            await self.refresh()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1e9 else None
