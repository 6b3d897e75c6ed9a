"""A table of rows that are HTML already."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table(head: Sequence[str], rows: str, numbers: int = 0, classes: str = "") -> str:
    """Return a table; the columns after the first are right-aligned, `numbers` of them."""
    cells = "".join(
        f'<th class="num">{escape(name)}</th>' if 0 < place <= numbers else f"<th>{escape(name)}</th>"
        for place, name in enumerate(head)
    )
    kind = f"gg-table {classes}" if classes else "gg-table"
    return f'<table class="{kind}"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>'
