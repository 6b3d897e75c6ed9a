"""The dialog in which an alarm is taken out of service, or returned to it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from html import escape

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.parts import html
from api.pages.parts.elements import Html
from api.services.views import AlarmView
from api.text import Texts

OnSubmit = Callable[[AlarmView, Mapping[str, str]], Awaitable[bool]]
"""The alarm the person was asked about, and what was filled in -> whether it was done."""
_SUBMIT = "(e) => { e.preventDefault(); emit(JSON.stringify(Object.fromEntries(new FormData(e.target)))) }"
_LONGEST = 4000


class ServiceDialog:
    """One browser's dialog; it is drawn where it is made."""

    def __init__(self, tr: Texts, on_submit: OnSubmit) -> None:
        self._tr = tr
        self._on_submit = on_submit
        self._view: AlarmView | None = None
        with ui.dialog() as self._dialog, ui.card().classes("gg-dialog"):
            self._form = Html()
            self._form.element.on("submit", self._submitted, js_handler=_SUBMIT)

    @property
    def is_open(self) -> bool:
        """True while the dialog is shown."""
        return bool(self._dialog.value)

    def show(self, view: AlarmView) -> None:
        """Ask about an alarm: why it leaves service, or how it was tested."""
        tr, self._view = self._tr, view
        out = view.alarm.oos is not None
        name = tr(view.definition.title)
        title = tr("Return to service: {title}", title=name) if out else tr("Out of service: {title}", title=name)
        note = tr("A second person has to agree.") if view.definition.highly_managed and not out else ""
        fields = (
            [_field("test", tr("How it was tested"), 'required maxlength="500"')]
            if out
            else [
                _field("work_order", tr("Work order"), 'required maxlength="120"'),
                _field("interim", tr("Who watches what meanwhile, how often"), 'required maxlength="500"'),
                _field("until", tr("Planned return"), 'type="datetime-local" required'),
            ]
        )
        self._form.set("")
        self._form.set(
            f"<h2>{escape(title)}</h2>"
            f'<p class="gg-dim" style="margin:4px 0 16px">{escape(html.place(view))}</p>'
            f'<form class="gg-call"><fieldset class="first">{"".join(fields)}</fieldset>'
            f'<p class="gg-dim">{escape(note)}</p>'
            f'<button class="gg-button primary" type="submit">{escape(tr("Keep"))}</button></form>'
        )
        self._dialog.open()

    async def _submitted(self, event: GenericEventArguments) -> None:
        try:
            said = {str(key): str(value) for key, value in json.loads(str(event.args)[:_LONGEST]).items()}
        except (ValueError, AttributeError):
            return
        if self._view is not None and await self._on_submit(self._view, said):
            self._dialog.close()


def _field(name: str, label: str, attributes: str) -> str:
    box = f'<input class="gg-input" name="{name}" autocomplete="off" {attributes}>'
    return f'<label class="wide">{escape(label)}{box}</label>'
