"""The dialog in which an alarm is put on the shelf: for how long, and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from html import escape

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.parts import html
from api.pages.parts.elements import Html
from api.services import acts
from api.services.views import AlarmView
from api.text import Texts

OnShelve = Callable[[AlarmView, int, str], Awaitable[bool]]
"""The alarm the person was asked about, minutes and reason -> whether it was done."""


class ShelfDialog:
    """One browser's dialog; it is drawn where it is made."""

    def __init__(self, tr: Texts, on_shelve: OnShelve) -> None:
        self._tr = tr
        self._on_shelve = on_shelve
        self._view: AlarmView | None = None
        with ui.dialog() as self._dialog, ui.card().classes("gg-dialog"):
            self._form = Html()
            script = (
                "(e) => { const b = e.target.closest('[data-minutes]'); if (!b) return;"
                "emit(b.dataset.minutes, e.currentTarget.querySelector('input').value) }"
            )
            self._form.element.on("click", self._picked, js_handler=script)

    @property
    def is_open(self) -> bool:
        """True while the dialog is shown."""
        return bool(self._dialog.value)

    def show(self, view: AlarmView) -> None:
        """Ask about an alarm."""
        tr, self._view = self._tr, view
        choices = "".join(
            f'<button type="button" class="gg-button" data-minutes="{int(span.total_seconds() // 60)}">'
            f"{_span(span, tr)}</button>"
            for span in acts.shelf_choices(view)
        )
        self._form.set(
            f"<h2>{escape(tr('Shelve: {title}', title=tr(view.definition.title)))}</h2>"
            f'<p class="gg-dim" style="margin:4px 0 16px">{escape(html.place(view))}</p>'
            f'<label class="gg-field">{escape(tr("Reason"))}<input maxlength="200" autofocus></label>'
            f'<p class="gg-dim" style="margin:16px 0 8px">{escape(tr("It comes back by itself after"))}</p><div '
            f'class="gg-choices">{choices}</div>'
        )
        self._dialog.open()

    async def _picked(self, event: GenericEventArguments) -> None:
        view = self._view
        if view is None or not isinstance(event.args, list) or len(event.args) != 2:
            return
        minutes, reason = str(event.args[0]), str(event.args[1])[:200]
        if minutes.isdigit() and await self._on_shelve(view, int(minutes[:5]), reason):
            self._dialog.close()


def _span(span: timedelta, tr: Texts) -> str:
    minutes = int(span.total_seconds() // 60)
    return tr("{count} min", count=minutes) if minutes < 60 else tr("{count} h", count=minutes // 60)
