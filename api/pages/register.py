"""Where every page is found."""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import ui

from api.pages import control_room, login, loss, system


def register(app: FastAPI) -> None:
    """Add the log-in page to the app and all others to the pages' library."""
    app.include_router(login.router)
    for path, build in (("/", control_room.build), ("/loss", loss.build), ("/system", system.build)):
        ui.page(path, response_timeout=10.0)(build)
