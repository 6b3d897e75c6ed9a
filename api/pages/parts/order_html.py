"""HTML of what customers ask for at the desk."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from api.pages.parts import ticket_words
from api.text import Texts


def form(tr: Texts, key: str, kinds: Sequence[tuple[str, str]]) -> str:
    """Return the empty form of an order for these types and sizes; another `key` empties it."""

    def field(name: str, label: str, attributes: str = "", wide: str = "") -> str:
        box = f'<input class="gg-input" name="{name}" autocomplete="off" {attributes}>'
        return f'<label class="{wide}">{escape(label)}{box}</label>'

    options = "".join(
        f'<option value="{escape(kind)}/{escape(size)}">{escape(ticket_words.order(kind, size, tr))}</option>'
        for kind, size in kinds
    )
    what = f'<label>{escape(tr("What is asked for"))}<select class="gg-input" name="what">{options}</select></label>'
    return (
        f'<form class="gg-call gg-order" data-key="{escape(key)}"><fieldset class="first">'
        + what
        + field("reported_at", tr("Asked at, if not just now"), 'type="datetime-local" step="1"')
        + field("customer", tr("Name of the customer"), 'required maxlength="120"')
        + field("phone", tr("Telephone"), 'required minlength="3" maxlength="40" inputmode="tel"')
        + field("place", tr("Place"), 'required maxlength="120"', "wide")
        + field("asset", tr("Meter, zone or station, if known"), 'maxlength="120"', "wide")
        + field("note", tr("Note"), 'maxlength="500"', "wide")
        + f'</fieldset><button class="gg-button primary" type="submit">{escape(tr("Open the ticket"))}</button></form>'
    )
