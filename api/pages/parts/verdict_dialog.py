"""The dialog in which a person says whether an occurrence was a false alarm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.parts import forms, html
from api.pages.parts.elements import Html
from api.services.views import AlarmView
from api.text import Texts

OnVerdict = Callable[[AlarmView, bool, str], Awaitable[bool]]
"""The alarm as it was when the person was asked, whether it was false, and why -> whether that was kept."""


class VerdictDialog:
    """One browser's dialog; it is drawn where it is made."""

    def __init__(self, tr: Texts, on_verdict: OnVerdict) -> None:
        self._tr = tr
        self._on_verdict = on_verdict
        self._view: AlarmView | None = None
        with ui.dialog() as self._dialog, ui.card().classes("gg-dialog"):
            self._form = Html()
            self._form.element.on("submit", self._submitted, js_handler=forms.SUBMIT)

    @property
    def is_open(self) -> bool:
        """True while the dialog is shown."""
        return bool(self._dialog.value)

    def show(self, view: AlarmView) -> None:
        """Ask about the newest occurrence of an alarm; one that comes while the person writes is not meant."""
        tr, self._view = self._tr, view
        options = "".join(
            f'<option value="{value}">{escape(label)}</option>'
            for value, label in (("yes", tr("false alarm")), ("no", tr("real")))
        )
        self._form.set("")
        self._form.set(
            f"<h2>{escape(tr('Was it real: {title}', title=tr(view.definition.title)))}</h2>"
            f'<p class="gg-dim" style="margin:4px 0 16px">{escape(html.place(view))}</p>'
            f'<form class="gg-call"><fieldset class="first"><label class="wide">{escape(tr("Verdict"))}'
            f'<select class="gg-input" name="false">{options}</select></label>'
            f'<label class="wide">{escape(tr("Reason"))}'
            '<input class="gg-input" name="reason" required maxlength="500" autocomplete="off"></label></fieldset>'
            f'<p class="gg-dim">{escape(tr("Alarm and ticket stay as they are."))}</p>'
            f'<button class="gg-button primary" type="submit">{escape(tr("Keep"))}</button></form>'
        )
        self._dialog.open()

    async def _submitted(self, event: GenericEventArguments) -> None:
        said, view = forms.fields(event), self._view
        if view is not None and await self._on_verdict(view, said.get("false") == "yes", said.get("reason", "")):
            self._dialog.close()
