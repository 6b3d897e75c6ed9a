"""The addresses of all pages, each with what it needs to be shown."""

from __future__ import annotations

from api.pages.register import PAGES

FILLED_IN = {"finding_id": "1", "ticket_no": "", "meter_id": "M-000241"}
"""what stands in an address for each part in braces"""


def addresses() -> list[str]:
    """Return an address of each page of the register."""
    return [path.format(**FILLED_IN) for path in PAGES]
