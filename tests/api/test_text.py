"""The catalogues: complete, without left-overs, places filled alike."""

from __future__ import annotations

import string

import pytest

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


def test_chinese_texts_are_chinese() -> None:
    for key, text in catalogue("zh").items():
        assert any("\u4e00" <= sign <= "\u9fff" for sign in text), key


def test_an_unknown_language_is_the_default_one() -> None:
    assert texts("xx").language == "zh"
    assert texts("en")("{count} h", count=3) == "3 h"
