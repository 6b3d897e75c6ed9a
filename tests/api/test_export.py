"""Tables as files: what Excel reads, in the reader's language, with nothing that runs as a formula."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from api.app import make_rest
from api.deps import Parts
from api.pages.downloads import TABLES
from api.pages.downloads import router as downloads
from api.services import export
from api.services.export import Column, Table, file_of
from gateway.errors import RefusedError
from tests.api.conftest import Api

NOON = datetime(2026, 1, 15, 4, 0, 30, 999_999, tzinfo=UTC)


def table(rows: list[Any]) -> Table:
    columns = [Column("名称"), Column("用量", "m³"), Column("时间", "UTC+8"), Column("Day")]
    return Table("表 [1]", columns, iter(rows), "Asia/Shanghai")


MIDNIGHT = datetime.fromisoformat("2026-01-15")
ROWS = [
    ("=HYPERLINK(1)", 1234.5, NOON, date(2026, 1, 15)),
    ("-2+3", float("nan"), None, None),
    ('a "quoted", cell\nof two\x01 lines', -0.5, NOON, None),
]


def as_csv(rows: list[Any]) -> list[list[str]]:
    data = b"".join(file_of(table(rows), "csv"))
    assert data.startswith(b"\xef\xbb\xbf"), "without the mark Excel takes UTF-8 for another code"
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def as_sheet(rows: list[Any]) -> list[list[Any]]:
    book = load_workbook(io.BytesIO(b"".join(file_of(table(rows), "xlsx"))))
    return [[cell.value for cell in row] for row in book.active.iter_rows()]


def test_csv_has_units_local_times_and_no_formula() -> None:
    header, *rows = as_csv(ROWS)
    assert header == ["名称", "用量 (m³)", "时间 (UTC+8)", "Day"]
    assert rows[0] == ["'=HYPERLINK(1)", "1234.5", "2026-01-15 12:00:30", "2026-01-15"]
    assert rows[1] == ["'-2+3", "", "", ""]
    assert rows[2][:2] == ['a "quoted", cell\nof two\x01 lines', "-0.5"]


def test_a_workbook_has_numbers_and_times_as_such_and_formulas_as_text() -> None:
    header, *rows = as_sheet(ROWS)
    assert header == ["名称", "用量 (m³)", "时间 (UTC+8)", "Day"]
    assert rows[0] == ["=HYPERLINK(1)", 1234.5, datetime.fromisoformat("2026-01-15T12:00:30"), MIDNIGHT]
    assert rows[1] == ["-2+3", None, None, None]
    assert rows[2][0] == 'a "quoted", cell\nof two lines', "a control sign would make the file unreadable"
    parts = zipfile.ZipFile(io.BytesIO(b"".join(file_of(table(ROWS), "xlsx"))))
    assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml"), "a formula"


def test_a_workbook_too_large_to_open_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_XLSX_ROWS", 2)
    with pytest.raises(RefusedError, match="take CSV"):
        file_of(table(ROWS), "xlsx")
    assert len(as_csv(ROWS)) == 4


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_refuses_the_first_rows_is_told_at_once_and_leaves_no_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def rows() -> Iterator[tuple[str]]:
        yield ("one",)
        raise RefusedError(404, "unknown_zone")

    with pytest.raises(RefusedError, match="unknown_zone"):
        file_of(Table("t", [Column("a")], rows(), "Asia/Shanghai"), kind)
    assert list(tmp_path.iterdir()) == []


def test_a_third_workbook_waits_for_another_time() -> None:
    with export.in_turn(), export.in_turn(), pytest.raises(RefusedError, match="try again"):
        file_of(table(ROWS), "xlsx")
    assert len(as_sheet(ROWS)) == 4


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\n", "＝", "＠"])
def test_no_sign_begins_a_formula(sign: str) -> None:
    assert as_csv([(f"{sign}1+1",)])[1] == [f"'{sign}1+1"]


def test_a_long_table_leaves_in_pieces() -> None:
    rows = [(f"M-{n}", float(n), NOON, None) for n in range(50_000)]
    pieces = list(file_of(table(rows), "csv"))
    assert len(pieces) > 20
    assert max(map(len, pieces)) < 200_000


REFUSED = {
    "nothing.csv": 404, "alarms.exe": 404, "loss.csv?day=x": 422, "loss.csv?period=x": 422, "findings.csv?zone=x": 404,
    "sites.csv?zone=x": 404, "meters.csv?zone=x": 404, "meters.csv?kind=x": 422, "notices.csv?id=x": 403,
    "meter-days.csv?meter=x": 403,
}  # fmt: skip
"""what a viewer gets for what there is not, and for what others may have"""


@pytest.fixture
async def pages(parts: Parts) -> AsyncIterator[Api]:
    app = make_rest(parts)
    app.include_router(downloads)
    async with app.router.lifespan_context(app):
        yield Api(httpx.ASGITransport(app=app, client=("203.0.113.9", 5555)))


async def test_every_table_of_the_pages_can_be_taken_along_in_both_languages(pages: Api) -> None:
    plan = {
        "zones": ["R-003"], "reason": "new valve", "start": "2026-01-20T02:00:00Z", "end": "2026-01-20T08:00:00Z",
        "request_id": "one",
    }  # fmt: skip
    async with pages.as_user("admin") as client:
        made = (await client.post("/api/v1/interruptions", json=plan)).json()["id"]
        asked = {"loss-days": "zone=CITY", "meter-days": "meter=M-000001", "notices": f"id={made}"}
        for name in TABLES:
            headers = {}
            for language in ("zh", "en"):
                client.cookies["gasgate_language"] = language
                answer = await client.get(f"/download/{name}.csv?{asked.get(name, '')}")
                assert answer.status_code == 200, (name, answer.text)
                assert answer.headers["content-disposition"].startswith("attachment")
                headers[language] = next(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
                book = await client.get(f"/download/{name}.xlsx?{asked.get(name, '')}")
                sheet = load_workbook(io.BytesIO(book.content)).active
                assert [cell.value for cell in sheet[1]] == headers[language]
            assert len(headers["zh"]) == len(headers["en"]) > 3
            assert any("\u4e00" <= sign <= "\u9fff" for sign in "".join(headers["zh"])), name


async def test_the_saved_loss_is_the_shown_loss(pages: Api) -> None:
    async with pages.as_user("engineer") as client:
        text = (await client.get("/download/loss.csv?period=day&day=2026-01-14")).content.decode("utf-8-sig")
        shown = (await client.get("/api/v1/loss?period=day&day=2026-01-14")).json()["zones"]
    saved = list(csv.DictReader(io.StringIO(text)))
    assert [row["Zone"] for row in saved] == [line["zone"] for line in shown]
    city = next(row for row in saved if row["Zone"] == "CITY")
    line = next(line for line in shown if line["zone"] == "CITY")
    assert float(city["Loss (m³)"]) == line["loss_m3"]
    assert float(city["Loss rate (%)"]) == pytest.approx(line["loss_rate"] * 100, abs=1e-5)


async def test_nobody_gets_a_table_without_logging_in_and_nonsense_is_refused(pages: Api) -> None:
    async with pages.nobody() as client:
        assert (await client.get("/download/alarms.csv")).status_code == 401
    async with pages.as_user("viewer") as client:
        answers = {path: (await client.get(f"/download/{path}")).status_code for path in REFUSED}
    assert answers == REFUSED
