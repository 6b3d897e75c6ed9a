"""Reports as PDF: text in both languages can be read out of them again, whoever may not gets none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pypdf import PdfReader

from api.app import make_rest
from api.deps import Parts
from api.pages import downloads
from api.services import pdf
from api.services.export import Column, Table
from gateway.errors import RefusedError
from tests.api.conftest import Api


def text_of(content: bytes) -> str:
    pages = PdfReader(io.BytesIO(content)).pages
    # pypdf reads the two bytes of a code as two signs
    return "\n".join(page.extract_text() for page in pages).replace("\0", "")


def table(rows: list[tuple[object, ...]]) -> Table:
    return Table("按期履约", (Column("时限"), Column("Share", "%"), Column("At")), rows, "Asia/Shanghai")


def test_tables_become_pages_with_chinese_and_local_time() -> None:
    at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    rows: list[tuple[object, ...]] = [("抢险 · 到场 m³/h", 98.76543, at), ("=1+1", None, True)]
    content = pdf.pdf_of("服务简报", [table(rows)], subtitle="滨江燃气", timezone="Asia/Shanghai")
    text = text_of(content)
    for wanted in (
        "服务简报",
        "滨江燃气",
        "按期履约",
        "抢险 · 到场 m³/h",
        "98.77",
        "2026-11-20 17:30",
        "=1+1",
        "Share (%)",
    ):
        assert wanted in text
    assert len(content) < 200_000


def test_a_long_table_goes_on_over_pages_and_is_bounded() -> None:
    rows: list[tuple[object, ...]] = [(f"row {number}", number, None) for number in range(pdf.MOST_ROWS + 5)]
    content = pdf.pdf_of("x", [table(rows)], subtitle="y", timezone="UTC")
    text, pages = text_of(content), len(PdfReader(io.BytesIO(content)).pages)
    assert pages > 10
    assert f"row {pdf.MOST_ROWS - 1}" in text
    assert f"row {pdf.MOST_ROWS}" not in text
    assert text.count("时限") == pages


@pytest.fixture
def without_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pdf, "FOLDERS", (tmp_path,))
    pdf._font.cache_clear()
    yield
    pdf._font.cache_clear()


@pytest.mark.usefixtures("without_fonts")
def test_a_machine_without_a_font_says_what_is_missing() -> None:
    with pytest.raises(RefusedError, match="fonts-noto-cjk"):
        pdf.pdf_of("x", [table([])], subtitle="y", timezone="UTC")


@pytest.mark.parametrize("name", sorted(downloads.DOCUMENTS))
async def test_each_report_is_a_pdf_for_who_may_see_it(name: str, parts: Parts) -> None:
    app = make_rest(parts)
    app.include_router(downloads.router)
    rest = Api(httpx.ASGITransport(app=app, client=("203.0.113.9", 5555)))
    month = f"{parts.service.calendar.local(parts.clock.now()):%Y-%m}"
    async with rest.nobody() as client:
        assert (await client.get(f"/download/{name}.pdf")).status_code == 401
    async with rest.as_user("viewer") as client:
        answer = await client.get(f"/download/{name}.pdf", params={"month": month})
        assert answer.headers["content-type"] == "application/pdf"
        assert month in text_of(answer.content)
        assert (await client.get("/download/nothing.pdf")).status_code == 404
