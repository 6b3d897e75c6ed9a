"""What the tables about people have when they are saved."""

from __future__ import annotations

from api.pages.parts import audit_html
from api.pages.parts.tables import Asked
from api.services import audit_trail
from api.services.export import MOST_XLSX_ROWS, Column, Table

MOST_LINES = MOST_XLSX_ROWS
"""lines of one file; whoever needs more asks for a shorter time"""


def trail(asked: Asked) -> Table:
    """Return the lines of the audit trail that the page would show, all pages of them."""
    tr = asked.tr
    wish = audit_html.filter_of(asked.query, asked.timezone)
    columns = [
        Column(tr("Number")), Column(tr("When"), asked.zone), Column(tr("Who")), Column(tr("Name of the act")),
        Column(tr("Act")), Column(tr("On what")), Column(tr("How and why")), Column(tr("From where")),
    ]  # fmt: skip
    rows = audit_trail.every_line(asked.parts, asked.user, wish, MOST_LINES)
    return asked.table(tr("Audit trail"), columns, audit_html.file_rows(rows, tr))
