"""The configuration files, checked from the system page and by REST, by a real `gasgate check`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from api.app import make_rest
from api.deps import Parts
from api.pages.parts import check_html
from api.text import texts
from gateway.errors import TransientError
from gateway.model.file_problem import FileProblem
from gateway.runtime import check
from gateway.runtime.check import Checker
from tests.api.conftest import Api


async def test_each_problem_is_told_with_file_line_and_key(parts: Parts, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[web]\ncolour = "grey"\n', encoding="utf-8")
    app = make_rest(replace(parts, check=Checker(file)))
    async with app.router.lifespan_context(app):
        api = Api(httpx.ASGITransport(app=app))
        async with api.as_user("engineer") as client:
            assert (await client.get("/api/v1/configuration/check")).status_code == 403
        async with api.as_user("admin") as client:
            problems = (await client.get("/api/v1/configuration/check")).json()["problems"]
    colour = next(one for one in problems if one["key"] == "web.colour")
    assert (colour["level"], Path(colour["file"]).name, colour["line"]) == ("error", "site.toml", 2)


async def test_a_check_that_takes_too_long_is_ended_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LIMIT_S", 0.05)
    with pytest.raises(TransientError, match="no answer"):
        await Checker(tmp_path / "none.toml")()


def test_errors_come_first_text_is_escaped_and_a_long_list_is_cut() -> None:
    tr = texts("en")
    wrong = FileProblem("error", "/etc/gas/site.toml", 7, 1, "web.listen", "<b>not</b> an address")
    found = [wrong, *[FileProblem("warning", "site.toml", 0, 0, "", f"w{n}") for n in range(check_html.MOST)]]
    shown = check_html.result(found, "12:00", tr)
    assert "1 errors, 200 warnings, 12:00" in shown
    assert "&lt;b&gt;not&lt;/b&gt; an address" in shown
    assert ">site.toml:7<" in shown
    assert "w198<" in shown
    assert "w199<" not in shown
    assert "1 more: run gasgate check" in shown
    assert "No problems found, 12:00." in check_html.result([], "12:00", tr)


@pytest.mark.browser
@pytest.mark.parametrize(("language", "label"), [("zh", "立即检查配置文件"), ("en", "Check the files now")])
def test_an_administrator_checks_from_the_system_page(visit: Any, language: str, label: str) -> None:
    page = visit("admin", "/system", language=language)
    page.get_by_role("button", name=label).focus()
    page.keyboard.press("Enter")
    row = page.locator(".gg-checked tbody tr", has_text="web.colour")
    expect(row).to_contain_text("gasgate.toml:3")
    expect(page.get_by_role("button", name=label)).to_be_enabled()
    other = visit("engineer", "/system", language=language)
    expect(other.locator(".gg-card").first).to_be_visible()
    expect(other.locator(".gg-checked")).to_have_count(0)
