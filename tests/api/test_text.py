"""The catalogues: complete, without left-overs, places filled alike."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from api.pages.parts.act_words import ACTS
from api.text import LANGUAGES, texts
from tests.api.messages import catalogue, wanted


def _places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_text_is_missing_and_none_is_left_over(language: str) -> None:
    known = catalogue(language)
    assert sorted(wanted() - {key for key, text in known.items() if text}) == []
    assert sorted(set(known) - wanted()) == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_places_are_the_same_in_both(language: str) -> None:
    for key, text in catalogue(language).items():
        assert _places(key) == _places(text), key


def acts_written() -> set[str]:
    """Return the acts that the code writes into the audit trail, where they stand as words in the call or before it."""
    root = Path(__file__).parents[2]
    found: set[str] = set()
    for file in (file for part in ("gateway", "alarms", "api") for file in (root / part).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = {
            node.targets[0].id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                given = node.args[_ACT_AT[name]] if name in _ACT_AT and len(node.args) > _ACT_AT[name] else None
                found |= _strings(named.get(given.id, given) if isinstance(given, ast.Name) else given)
    return found


_ACT_AT = {"add_audit": 3, "_audit": 2}


def _strings(node: ast.expr | None) -> set[str]:
    if isinstance(node, ast.IfExp):
        return _strings(node.body) | _strings(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_each_act_of_the_audit_trail_has_words() -> None:
    written = acts_written()
    assert {"reading_rejected", "call.join"} <= written
    assert written - set(ACTS) == set()


def test_chinese_texts_are_chinese() -> None:
    for key, text in catalogue("zh").items():
        assert any("\u4e00" <= sign <= "\u9fff" for sign in text), key


def test_an_unknown_language_is_the_default_one() -> None:
    assert texts("xx").language == "zh"
    assert texts("en")("{count} h", count=3) == "3 h"
