"""Where every page is found."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from nicegui import app as pages_app
from nicegui import ui

from api.pages import (
    account,
    audit_trail,
    call_backs,
    calls,
    commands,
    control_room,
    definitions,
    downloads,
    errors,
    finding,
    handover,
    interruptions,
    login,
    login_oidc,
    loss,
    meter,
    meters,
    network,
    questioned,
    reports,
    rooms,
    style_sheet,
    system,
    ticket,
    tickets,
    tokens,
    users,
)
from gateway.errors import GatewayError

PAGES = {
    "/": control_room,
    "/loss": loss,
    "/findings/{finding_id}": finding,
    "/tickets": tickets,
    "/tickets/{ticket_no}": ticket,
    "/calls": calls,
    "/call-backs": call_backs,
    "/handover": handover,
    "/audit": questioned,
    "/meters": meters,
    "/meters/{meter_id}": meter,
    "/network": network,
    "/interruptions": interruptions,
    "/commands": commands,
    "/reports": reports,
    "/reports/{report}": reports,
    "/system": system,
    "/users": users,
    "/tokens": tokens,
    "/audit-trail": audit_trail,
    "/account": account,
    "/definitions": definitions,
}
"""address and module of each page; all are looked at by tests/api/test_every_page.py"""
MOVED = {"/service": "/calls", "/alarms": "/handover"}
"""earlier addresses and where they lead now"""


def register(app: FastAPI) -> None:
    """Add the log-in page to the app and all others to the pages' library."""
    app.include_router(login.router)
    app.include_router(login_oidc.router)
    app.include_router(downloads.router)
    app.include_router(rooms.router)
    app.include_router(style_sheet.router)
    app.state.rooms = pages_app.state.rooms = rooms.Rooms(app.state.board, app.state.pulse)
    pages_app.on_startup(app.state.rooms.begin)
    for path, module in PAGES.items():
        ui.page(path, response_timeout=10.0)(module.build)
    for old, new in MOVED.items():
        app.add_api_route(old, _way_to(new), include_in_schema=False)
    for status in (403, 404):
        pages_app.add_exception_handler(status, errors.refused)
    for fault in (GatewayError, Exception):  # of the latter the server ends the connection, too
        pages_app.add_exception_handler(fault, errors.failed)


def _way_to(path: str) -> Callable[[], RedirectResponse]:
    def moved() -> RedirectResponse:
        return RedirectResponse(path, 308)

    return moved
