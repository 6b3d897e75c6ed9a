"""The button by which a table is taken along."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from api.text import Texts

_ARROW = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true"><path d="M12 4v11M7.500 10.500 12 15l4.500-4.500M5 19.500h14"/></svg>'
)


def export(tr: Texts, table: str, *, pdf: str = "", **asked: object) -> str:
    """Return the links to a table of `api.pages.downloads` as CSV and XLSX; `asked` goes into the address.

    With `pdf` there is one more, to the document of that name.
    """
    query = urlencode({name: str(value) for name, value in asked.items() if value not in {None, ""}})
    files = [(table, "csv"), (table, "xlsx"), *([(pdf, "pdf")] if pdf else [])]
    ways = "".join(
        f'<a href="/download/{name}.{kind}{"?" if query else ""}{escape(query)}" download '
        f'aria-label="{escape(tr("Save as {kind}", kind=kind.upper()))}">{kind.upper()}</a>'
        for name, kind in files
    )
    return f'<span class="gg-export" title="{escape(tr("Save this table"))}">{_ARROW}{ways}</span>'
