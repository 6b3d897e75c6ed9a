"""Every table of the pages as a file, under `/download/<table>.csv` and `.xlsx`, in the reader's language.

A table is a line of `TABLES`: the act that lets a person see it, and a function that makes it from what the address
asks for. It is made in a worker thread and leaves row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from api.deps import user_of
from api.pages.frame import LANGUAGE_COOKIE
from api.pages.parts import tables, tables_meters, tables_people, tables_reports, tables_tickets
from api.pages.parts.tables import Asked
from api.roles import Act
from api.services.export import KINDS, Table, file_of, in_turn
from api.services.pdf import MEDIA_TYPE, pdf_of
from api.text import mark, texts
from gateway.errors import RefusedError

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Download:
    """Who may have a table, and what makes it; the maker raises RefusedError where the address asks for nonsense."""

    act: Act
    make: Callable[[Asked], Table]


TABLES: Mapping[str, Download] = {
    "audit-trail": Download(Act.AUDIT_READ, tables_people.trail),
    "alarms": Download(Act.READ, tables.alarms),
    "loss": Download(Act.READ, tables.loss),
    "loss-days": Download(Act.READ, tables.loss_days),
    "findings": Download(Act.READ, tables.findings),
    "meters": Download(Act.READ, tables_meters.meters),
    "sites": Download(Act.READ, tables_meters.sites),
    "notices": Download(Act.INTERRUPTION_PLAN, tables_meters.notices),
    "meter-days": Download(Act.READING_AUDIT, tables_meters.meter_days),
    "month": Download(Act.READ, tables_reports.month),
    "alarm-measures": Download(Act.READ, tables_reports.alarm_measures),
    "alarm-month": Download(Act.READ, tables_reports.alarm_month),
    "promises": Download(Act.READ, tables_reports.promises),
    "tickets": Download(Act.READ, tables_tickets.tickets),
    "questioned": Download(Act.READING_AUDIT, tables_tickets.questioned_readings),
    "reading-rates": Download(Act.READ, tables_reports.rates),
}


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF of several tables, under `/download/<document>.pdf`."""

    act: Act
    title: str
    make: tuple[Callable[[Asked], Table], ...]


DOCUMENTS: Mapping[str, Document] = {
    "service-brief": Document(
        Act.READ,
        mark("Service to customers"),
        (tables_reports.month, tables_reports.promises, tables_reports.breaches, tables_reports.counts),
    ),
    "alarm-report": Document(
        Act.READ,
        mark("Alarm system"),
        (tables_reports.alarm_measures, tables_reports.alarm_days, tables_reports.alarm_month),
    ),
}


@router.get("/download/{name}.pdf")
def document(name: str, request: Request) -> Response:
    """Return a report as a PDF."""
    user = user_of(request)
    if user is None:
        raise RefusedError(401, "login_required")
    wanted = DOCUMENTS.get(name)
    if wanted is None:
        raise RefusedError(404, "unknown_table")
    if not user.may(wanted.act):
        raise RefusedError(403, "forbidden")
    tr = texts(request.cookies.get(LANGUAGE_COOKIE, user.language))
    parts = request.app.state.parts
    asked = Asked(parts, user, tr, request.query_params)
    zone = parts.site.gas_day.timezone
    made = parts.clock.now().astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    subtitle = f"{parts.site.name}  ·  {made} ({zone})"
    with in_turn():
        content = pdf_of(tr(wanted.title), [make(asked) for make in wanted.make], subtitle=subtitle, timezone=zone)
    month = quote(asked.query.get("month", ""))
    headers = {
        "content-disposition": f'attachment; filename="{name}{"-" + month if month else ""}.pdf"',
        "cache-control": "no-store",
    }
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


@router.get("/download/{name}.{kind}")
def download(name: str, kind: str, request: Request) -> StreamingResponse:
    """Return a table as a file."""
    user = user_of(request)
    if user is None:
        raise RefusedError(401, "login_required")
    wanted = TABLES.get(name)
    if wanted is None or kind not in KINDS:
        raise RefusedError(404, "unknown_table")
    if not user.may(wanted.act):
        raise RefusedError(403, "forbidden")
    language = request.cookies.get(LANGUAGE_COOKIE, user.language)
    table = wanted.make(Asked(request.app.state.parts, user, texts(language), request.query_params))
    disposition = f"attachment; filename=\"{name}.{kind}\"; filename*=UTF-8''{quote(table.name)}.{kind}"
    headers = {"content-disposition": disposition, "cache-control": "no-store"}
    return StreamingResponse(file_of(table, kind), media_type=KINDS[kind], headers=headers)
