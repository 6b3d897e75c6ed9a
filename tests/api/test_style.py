"""Colours that carry text, and how the pages write numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.pages.parts import charts, system_html
from api.services.format import sentence
from api.services.pulse import RoleHealth
from api.text import texts

CSS = Path(charts.__file__).parents[2] / "static" / "css" / "base.css"
NOW = datetime(2026, 1, 14, 21, 30, tzinfo=UTC)
AA = 4.5
ON_PANELS = ("text", "muted", "faint", "mark", "bad", "warn", "p1", "p2", "p3", "p4")


def _theme(theme: str) -> dict[str, str]:
    css = CSS.read_text(encoding="utf-8")
    selector = re.escape(":root {" if theme == "dark" else ':root[data-theme="light"] {')
    found = re.search(selector + r"(.*?)\}", css, re.DOTALL)
    assert found is not None
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", found[1]))


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_has_the_contrast_of_wcag_aa(theme: str) -> None:
    colours = _theme(theme)
    pairs = [(name, "panel") for name in ON_PANELS] + [(f"p{n}-ink", f"p{n}") for n in range(1, 5)]
    pairs += [(name, "select") for name in ("text", "muted", "p1", "p2")] + [("bg", "mark"), ("muted", "raised")]
    poor = {pair: _contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < AA} == {}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_charts_repeat_the_colours_of_the_style_sheet(theme: str) -> None:
    colours, palette = _theme(theme), charts.PALETTES[theme]
    for name in ("text", "muted", "bad", "warn"):
        assert getattr(palette, name) == colours[name]


def test_a_role_tells_numbers_as_people_write_them() -> None:
    detail = {"seconds": 2.8764366879995578, "loader_lag": 1200, "own_word": 0.5, "last_pass": "2026-01-14T21:08:16Z"}
    html = system_html.roles([RoleHealth("analyse", ok=True, age_s=0.4, detail=detail)], texts("en"), "UTC", NOW)
    assert "took 2.88 s" in html
    assert "groups on the way into the store: 1\u2009200" in html
    assert "own word 0.50" in html
    assert "last pass 21:08:16" in html


def test_sentences_begin_in_upper_case() -> None:
    assert [sentence(text) for text in ("keep people out", "关闭阀门", "")] == ["Keep people out", "关闭阀门", ""]
