"""Finds every text that the catalogues need; run as a program it adds the new ones to them, without translation."""

from __future__ import annotations

import ast
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from alarms.definitions import load_definitions
from api.text import FOLDER, LANGUAGES

API = Path(__file__).parents[2] / "api"


def wanted() -> set[str]:
    """Return every text in `tr(...)`, `mark(...)` and the master alarm database."""
    found: set[str] = set()
    for file in API.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in {"tr", "mark"}:
                found.update(_texts(node.args[0]))
    for rule in load_definitions().values():
        found.update((rule.title, rule.cause, rule.consequence, rule.action))
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def path_of(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "gasgate.po"


def catalogue(language: str) -> dict[str, str]:
    """Return the texts of a catalogue as they stand in the file."""
    with path_of(language).open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id}


def update(translations: dict[str, dict[str, str]]) -> None:
    """Write all catalogues: known texts kept, new ones added, unused ones dropped."""
    for language in LANGUAGES:
        known = catalogue(language) if path_of(language).exists() else {}
        known |= translations.get(language, {})
        fresh = Catalog(
            locale=language, project="gasgate", fuzzy=False, header_comment=f"# Texts of gasgate: {LANGUAGES[language]}"
        )
        for text in sorted(wanted()):
            fresh.add(text, text if language == "en" else known.get(text, ""))
        with path_of(language).open("wb") as file:
            write_po(file, fresh, width=120, omit_header=False, sort_output=True)


if __name__ == "__main__":
    update({})
