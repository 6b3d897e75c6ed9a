"""What a check finds is told in the reader's language: every pattern stands in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from api.pages.parts import problem_words
from api.pages.parts.letter_words import REASONS
from api.text import texts
from gateway.checking import check_file
from tests.end_to_end.small_site import SmallSite

ROOT = Path(__file__).parents[2]
ZH = texts("zh")


def bare(text: str) -> str:
    return re.sub(r"\{\w+\}", "{}", text.replace("{{", "\0").replace("}}", "\1")).replace("\0", "{").replace("\1", "}")


def written() -> set[str]:
    """Return every text of the code, `{}` where something is filled in; also what follows a place and a colon."""
    found: set[str] = set()
    for folder in ("gateway", "collectors", "alarms", "api"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.name != "problem_words.py":
                found |= {text for node in ast.walk(ast.parse(file.read_text("utf-8"))) if (text := text_of(node))}
    for text in list(found):
        parts = text.split(": ")
        found |= {": ".join(parts[at:]) for at in range(1, len(parts))}
    return found


def text_of(node: ast.AST) -> str:
    match node:
        case ast.JoinedStr():
            parts = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            return parts.replace("{}{}", "{}")
        case ast.Constant(value=str(text)):
            return text
    return ""


def test_every_pattern_is_a_text_of_the_code() -> None:
    known = written()
    missing = [text for text in map(bare, (*REASONS, *problem_words.OURS)) if text not in known]
    assert [
        text for text in missing if not re.fullmatch(r"(source|output|ticket_sink|profile) .*\{\}: \{\}", text)
    ] == []


def test_a_name_that_comes_twice_is_one_name_and_braces_are_braces() -> None:
    doubled = "source: the name a is used twice; every source needs its own"
    assert problem_words.problem(doubled, ZH) == "source：名称 a 重复；每个 source 须有自己的名称"
    assert problem_words.problem(doubled.replace("every source", "every output"), ZH).startswith("source: the name")
    values = 'values names no quantity: write for example { register_measured_m3 = "v" }'
    assert problem_words.problem(values, ZH).endswith('{ register_measured_m3 = "v" }')
    assert problem_words.problem(values, texts("en")) == values


def test_what_stands_in_a_text_is_told_too_and_what_is_not_ours_stays() -> None:
    deep = "source a, link b: 'x' cannot be used (a number of at least 0 is wanted); correct it"
    assert problem_words.problem(deep, ZH) == "采集源 a，链路 b：'x' 不可用（应为不小于 0 的数）；请更正"
    assert problem_words.problem("shape: $.a[*] is no list", ZH) == "结构：$.a[*] 不是列表"
    assert problem_words.problem("a library's own words", ZH) == "a library's own words"
    refused = f"site.toml:3:1: web.colour: {problem_words.OURS[0]}"
    assert problem_words.placed(refused, ZH).startswith("site.toml:3:1: web.colour: 没有这个配置项")
    assert problem_words.placed("a: b: c: d: e", ZH) == "a: b: c: d: e"


def test_the_findings_of_a_site_with_many_faults_are_chinese(tmp_path: Path) -> None:
    site = SmallSite(tmp_path / "site", 1883)
    folder = tmp_path / "site" / "network"
    with (folder / "meters.csv").open("a", encoding="utf-8") as meters:
        meters.write("M-000001,R-001,customer,remote,residential,6,3,6,0,2020-01-01,open,0,0\n")
        meters.write("M-900001,R-999,customer,smart,residential,6,3,-6,0,never,open,0,0\n")
    with (folder / "zones.csv").open("a", encoding="utf-8") as zones:
        zones.write("R-002,D-9,regulator,Zone 2,20\n")
    network = check_file(site.config)
    text = (
        site.config.read_text("utf-8").replace('listen = "127', 'colour = 1\nlisten = "127').replace("mqtt://", "x://")
    )
    site.config.write_text(text.replace('name = "Small site"', "") + '[[output]]\nkind = "sql"\n', encoding="utf-8")
    found = [*network, *check_file(site.config)]
    site.config.write_text("[site\n", encoding="utf-8")
    found += check_file(site.config)
    assert len(found) >= 9
    english = [one.text for one in found if not re.search("[\u4e00-\u9fff]", problem_words.problem(one.text, ZH))]
    assert english == []
