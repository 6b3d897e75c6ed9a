"""The addresses of all pages, each with what it needs to be shown."""

from __future__ import annotations

from api.pages.register import PAGES
from api.pages.reports import REPORTS

FILLED_IN = {"finding_id": "1", "ticket_no": "T-20260115-000003", "meter_id": "M-000241", "report": "service"}
"""what stands in an address for each part in braces: something of the sample city"""


def addresses() -> list[str]:
    """Return an address of each page of the register, and of each report."""
    return sorted({path.format(**FILLED_IN) for path in PAGES} | set(REPORTS))
