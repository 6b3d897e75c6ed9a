from __future__ import annotations

import csv
import io
from typing import NoReturn

import pytest

from api.deps import Parts
from gateway.errors import TransientError
from gateway.model.ticket import Cause, DeliveryState, DifferenceKind
from gateway.store import delivery_rows, outbox_rows, ticket_rows
from tests.api.conftest import Api


def give_up(parts: Parts, error: str) -> tuple[str, int]:
    """Let the first open ticket's `open` be given up; return its number and the command's row."""
    with parts.state.write() as connection:
        ticket = ticket_rows.list_open(connection)[0]
        row = outbox_rows.outbox_of(connection, ticket.ticket_no)[0]
        outbox_rows.set_delivery(
            connection, row.id, DeliveryState.DEAD, attempts=2, next_at=0.0, error=error, cause=Cause.REFUSED
        )
    return ticket.ticket_no, row.id


async def test_a_dead_letter_is_listed_exported_and_sent_again_once(rest: Api, parts: Parts) -> None:
    number, row = give_up(parts, "=cmd|'/c calc'!A1")
    async with rest.as_user("operator") as client:
        listed = (await client.get("/api/v1/ticket-dead-letters")).json()
        (letter,) = [one for one in listed["dead_letters"] if one["id"] == row]
        assert (letter["ticket_no"], letter["cause"], letter["command"]) == (number, "refused", "open")
        assert letter["age_s"] >= 0
        before = (await client.get(f"/api/v1/ticket-dead-letters?before={row}")).json()
        assert row not in [one["id"] for one in before["dead_letters"]]
        body = {"ids": [row], "request_id": "again-1"}
        first = await client.post("/api/v1/ticket-dead-letters/replay", json=body)
        again = await client.post("/api/v1/ticket-dead-letters/replay", json=body)
        assert first.json()["sent_again"] == again.json()["sent_again"] == [row]
        left = (await client.get("/api/v1/ticket-dead-letters")).json()
        assert left["total"] == listed["total"] - 1


async def test_the_exported_table_holds_no_formula(rest: Api, parts: Parts) -> None:
    give_up(parts, "=cmd|'/c calc'!A1")
    async with rest.as_user("manager") as client:
        answer = await client.get("/api/v1/ticket-dead-letters.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=cmd" in answer.text
    assert ",=cmd" not in answer.text


async def test_the_exported_table_is_read_page_by_page_and_has_an_end(
    rest: Api, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with parts.state.write() as connection:
        rows = [
            row.id
            for one in ticket_rows.list_open(connection)
            for row in outbox_rows.outbox_of(connection, one.ticket_no)
        ]
        for row in rows:
            outbox_rows.set_delivery(
                connection, row, DeliveryState.DEAD, attempts=2, next_at=0.0, error="no", cause=Cause.REFUSED
            )
    assert len(rows) > 4
    monkeypatch.setattr("api.services.tickets._PAGE", 2)
    async with rest.as_user("manager") as client:

        async def ids(path: str) -> list[int]:
            text = (await client.get(f"/api/v1/ticket-dead-letters.csv{path}")).text
            return [int(line["id"]) for line in csv.DictReader(io.StringIO(text))]

        every = await ids("")
        assert every == sorted(rows, reverse=True)
        assert await ids(f"?before={every[2]}") == every[3:]
        monkeypatch.setattr("api.services.tickets.MOST_EXPORTED", 3)
        assert await ids("") == every[:3]


async def test_a_state_that_is_away_is_told_instead_of_a_table(rest: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> NoReturn:
        raise TransientError("away")

    monkeypatch.setattr(outbox_rows, "list_dead", away)
    async with rest.as_user("manager") as client:
        answer = await client.get("/api/v1/ticket-dead-letters.csv")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_ticket_is_shown_from_all_sides(rest: Api, parts: Parts) -> None:
    with parts.state.write() as connection:
        ticket = ticket_rows.list_open(connection)[0]
        delivery_rows.note_difference(
            connection,
            DifferenceKind.FIELD,
            sink="desk",
            dedup_key=ticket.dedup_key,
            ticket_no=ticket.ticket_no,
            external_id="7",
            at=parts.clock.now(),
            detail={"type": ["a", "b"]},
        )
    async with rest.as_user("operator") as client:
        noted = await client.post(
            f"/api/v1/tickets/{ticket.ticket_no}/note", json={"reason": "the gate is locked", "request_id": "n-1"}
        )
        assert noted.status_code == 200
        shown = (await client.get(f"/api/v1/tickets/{ticket.ticket_no}")).json()
        differences = (await client.get("/api/v1/ticket-differences")).json()
    assert shown["dedup_key"] == ticket.dedup_key
    assert shown["commands"][-1]["command"] == "note"
    assert [act["reason"] for act in shown["acts"]] == ["the gate is locked"]
    assert [one["kind"] for one in shown["differences"]] == ["field"]
    assert differences["counts"]["field"] == {"found": 1, "open": 1}


async def test_an_unknown_ticket_is_404_and_an_emergencys_end_needs_a_supervisor(rest: Api, parts: Parts) -> None:
    with parts.state.read() as connection:
        grave = ticket_rows.list_open(connection)[0]
    body = {"reason": "false alarm", "request_id": "c-1"}
    async with rest.as_user("operator") as client:
        assert (await client.get("/api/v1/tickets/T-0")).status_code == 404
        assert grave.ticket_class.value == "EMERGENCY"
        refused = await client.post(f"/api/v1/tickets/{grave.ticket_no}/cancel-request", json=body)
        assert refused.status_code == 403
    async with rest.as_user("manager") as client:
        asked = await client.post(f"/api/v1/tickets/{grave.ticket_no}/cancel-request", json=body)
        assert asked.status_code == 200
