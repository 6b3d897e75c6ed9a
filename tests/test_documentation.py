"""The documentation site: built from what is here, whole, and read without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
NOT_LOADED = {"canonical", "prev", "next"}


class Resources(HTMLParser):
    """Addresses that a browser asks for by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADED and given.get("rel") not in NOT_LOADED:
            self.found.append(given.get(LOADED[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_and_no_page_asks_another_host_for_anything(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        reader = Resources()
        reader.feed(page.read_text(encoding="utf-8"))
        assert [address for address in reader.found if re.match(r"(https?:)?//", address)] == [], page.name
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(https?:)?//", sheet.read_text(encoding="utf-8")) == [], sheet.name


def test_the_site_has_a_page_for_each_task() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    connect = ("install", "modbus", "profiles", "mqtt", "influxdb", "tickets")
    work = ("operators-guide", "operators-guide.zh", "analysis", "analysis.zh")
    for page in (*connect, *work, "backup", "upgrade", "configuration", "api", "decisions"):
        assert f": {page}.md\n" in navigation, page


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        number, title = path.read_text(encoding="utf-8").splitlines()[0][2:].split(": ", 1)
        assert f"| {number} | [{title}](decisions/{path.name}) |" in listed, path.name


def test_the_operators_guide_says_the_same_in_both_languages() -> None:
    guides = [
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operators-guide.md", "operators-guide.zh.md")
    ]
    shapes = [[line.split(" ")[0] for line in text.splitlines() if line.startswith("#")] for text in guides]
    assert shapes[0] == shapes[1]
    assert [text.count("\n| ") for text in guides] == [guides[0].count("\n| ")] * 2
    assert len(shapes[0]) > 10
