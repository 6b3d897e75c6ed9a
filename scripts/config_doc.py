"""Write the table of all keys into docs/configuration.md; with `--check` only say whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.config_keys import describe

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN = "<!-- keys: written by scripts/config_doc.py -->\n"
END = "<!-- end of keys -->\n"


def with_table(text: str) -> str:
    """Return the document with the table between its marks replaced by one of the keys as they are now."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    rows = [f"| `{key}` | {cell(meaning or kind_of(key))} |" for key, meaning in describe()]
    return head + BEGIN + "\n".join(["| key | meaning |", "| --- | --- |", *rows]) + "\n" + END + tail


def kind_of(key: str) -> str:
    """Return the meaning of a `kind` key, which its table's kind says."""
    table, _, rest = key.partition("[")
    kind, _, name = rest.partition("].")
    return f'"{kind}"; says what this {table} is' if name == "kind" else ""


def cell(meaning: str) -> str:
    """Return a text that fits into a cell of a table."""
    return " ".join(meaning.split()).replace("|", "\\|")


def main() -> int:
    """Write or check; returns the exit code."""
    before = DOCUMENT.read_text(encoding="utf-8")
    after = with_table(before)
    if "--check" in sys.argv[1:]:
        if before != after:
            print(f"{DOCUMENT.name} is out of date; run: .venv/bin/python scripts/config_doc.py")
        return int(before != after)
    DOCUMENT.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
