"""Where every page is found."""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import app as pages_app
from nicegui import ui

from api.pages import alarms, commands, control_room, errors, finding, login, loss, service, system


def register(app: FastAPI) -> None:
    """Add the log-in page to the app and all others to the pages' library."""
    app.include_router(login.router)
    pages = {
        "/": control_room,
        "/loss": loss,
        "/findings/{finding_id}": finding,
        "/alarms": alarms,
        "/commands": commands,
        "/service": service,
        "/system": system,
    }
    for path, module in pages.items():
        ui.page(path, response_timeout=10.0)(module.build)
    for status in (403, 404):
        pages_app.add_exception_handler(status, errors.refused)
    pages_app.add_exception_handler(Exception, errors.failed)
