"""Reports of a month: one sheet of all, the alarm system, service, reading rates and losses; made for paper, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from api.pages.frame import Page, draw_frame, header_html, open_page
from api.pages.parts import alarm_month_html, kpi_html, report_html, service_html
from api.pages.parts.elements import Html
from api.pages.parts.export_html import export
from api.pages.trouble import told
from api.services import alarm_month, loss, service
from api.services.alarm_report import reports
from api.services.month import Span, month_figures, span_of, this_month
from api.services.reading_rates import reading_rates
from api.services.site_time import zone_label
from api.services.verdicts import false_alarms
from api.text import Texts, mark
from gateway.errors import GatewayError

_GO = "(e) => { if (e.target.value) location.search = '?month=' + e.target.value }"


@dataclass(frozen=True)
class Report:
    """One report: its title, what makes its HTML in a worker thread, and the file it can be taken along as."""

    title: str
    by_gas_day: bool
    """it counts gas days that have ended, not local days that have begun"""
    make: Callable[[Page, Span], str]
    taken: Callable[[Texts, Span], str] = lambda _tr, _span: ""


def _sheet(page: Page, span: Span) -> str:
    return report_html.figures(month_figures(page.parts, span.month), page.tr)


def _alarms(page: Page, span: Span) -> str:
    parts = page.parts
    tr, titles, name_of = page.tr, parts.desk.definitions, parts.network.name_of
    false = false_alarms(parts, span.first, span.last)
    return (
        kpi_html.reports(reports(parts, span.first, span.last), false, titles, tr)
        + alarm_month_html.answers(alarm_month.answers(parts, span.first, span.last), tr)
        + alarm_month_html.lists(
            alarm_month.month_lists(parts, span.first, span.last, span.last_gas_day), titles, tr, name_of
        )
        + export(tr, "alarm-month", month=span.month)
    )


def _service(page: Page, span: Span) -> str:
    return service_html.month(service.brief(page.parts, span.month), page.tr, page.parts.network.name_of)


def _readings(page: Page, span: Span) -> str:
    return report_html.rates(reading_rates(page.parts, span.first, span.last_gas_day), page.tr)


def _losses(page: Page, span: Span) -> str:
    return report_html.losses(loss.loss_tree(page.parts, span.first, span.last_gas_day), page.tr)


REPORTS: Mapping[str, Report] = {
    "/reports": Report(
        mark("Month on one sheet"), False, _sheet, lambda tr, span: export(tr, "month", month=span.month)
    ),
    "/reports/alarms": Report(
        mark("Alarm system"),
        False,
        _alarms,
        lambda tr, span: export(tr, "alarm-measures", pdf="alarm-report", month=span.month),
    ),
    "/reports/service": Report(
        mark("Service to customers"),
        False,
        _service,
        lambda tr, span: export(tr, "promises", pdf="service-brief", month=span.month),
    ),
    "/reports/readings": Report(
        mark("Reading rates"), True, _readings, lambda tr, span: export(tr, "reading-rates", month=span.month)
    ),
    "/reports/loss": Report(
        mark("Loss rates"), True, _losses, lambda tr, span: export(tr, "loss", period="month", day=span.last_gas_day)
    ),
}


async def build(request: Request) -> RedirectResponse | None:
    """Draw the report that stands in the address, of the month that it asks for."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    path = request.url.path.rstrip("/")
    if path not in REPORTS:
        return RedirectResponse("/reports", status_code=303)
    try:
        span = span_of(page.parts, request.query_params.get("month", this_month(page.parts)))
    except GatewayError:
        return RedirectResponse(path, status_code=303)
    draw_frame(page, page.tr(REPORTS[path].title))
    view = ReportPage(page, path, span)
    view.draw()
    ui.timer(0.05, view.compute, once=True)
    return None


class ReportPage:
    """One browser's report."""

    def __init__(self, page: Page, path: str, span: Span) -> None:
        self.page = page
        self.path = path
        self.report = REPORTS[path]
        self.span = span

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, self.path), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-report"), ui.element("section").classes("gg-panel"):
                tools = report_html.tools(tr, self.span.month, this_month(page.parts), self.report.taken(tr, self.span))
                Html(tools, classes="gg-bar-tools").element.on("change", js_handler=_GO)
                self.shown = Html(report_html.working(tr), classes="gg-scroll gg-printed").on_data("open", self._open)
            with ui.dialog() as self.opened, ui.card().classes("gg-dialog"):
                self.tickets = Html()

    @told
    async def compute(self) -> None:
        """Compute the report in a worker thread and show it."""
        self.shown.set(await asyncio.to_thread(self._content))

    async def _open(self, figure: str) -> None:
        """Show the tickets that a figure of the service report counts."""
        page = self.page
        try:
            found = await asyncio.to_thread(service.opened, page.parts, self.span.month, figure)
        except GatewayError:
            return
        self.tickets.set(f"<h2>{escape(page.tr('Tickets of this figure'))}</h2>{service_html.tickets(found)}")
        self.opened.open()

    def _content(self) -> str:
        page, span = self.page, self.span
        if not (span.has_gas_days if self.report.by_gas_day else span.has_begun):
            return report_html.nothing(page.tr)
        now = page.now()
        made = f"{now.astimezone(ZoneInfo(page.timezone)):%Y-%m-%d %H:%M} {zone_label(page.timezone, now)}"
        last = span.last_gas_day if self.report.by_gas_day else span.last
        title, name = page.tr(self.report.title), page.parts.site.name
        head = report_html.heading(page.tr, title, name, (span.first, last), made)
        return head + self.report.make(page, span)
