"""How the gateway is doing: status, dead letters, audit trail."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services.live import Board
from api.services.pulse import Pulse, configuration, links, role_health
from api.services.summary import summary
from api.shapes import Body, Name, plain
from gateway.store import replay_rows, user_rows, view_rows
from gateway.store.dead_rows import dead_totals

router = APIRouter(tags=["system"])
_SHOWN_BYTES = 2000


class ReplayBody(Body):
    """Whose dead letters are to be read again."""

    source: Name


@router.get("/status")
def status(_user: Reader, request: Request, parts: PartsDep) -> dict[str, Any]:
    """Return roles, links, spool, outputs and the strip's key figures."""
    board: Board = request.app.state.board
    pulse: Pulse = request.app.state.pulse
    return {
        "now": plain(parts.clock.now()),
        "roles": [plain(role) for role in role_health(parts)],
        "store": plain(dict(pulse.store)) if pulse.store is not None else None,
        "store_problem": pulse.store_problem or None,
        "links": [plain(link) for link in links(pulse.store)],
        "configuration": plain(configuration(parts)),
        "summary": plain(summary(board, pulse)),
    }


@router.get("/clock")
def clock(_user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return the site's time in ms since 1970 UTC and how many of its seconds pass in a real one."""
    return {"now_ms": parts.clock.now_us() / 1000, "factor": 1 / parts.clock.real_seconds(1.0)}


@router.get("/dead-letters")
def dead_letters(
    _user: Annotated[User, Depends(Require(Act.DEAD_LETTER_READ))],
    parts: PartsDep,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Return what could not become a reading, newest first; `before` is the last id seen."""
    with parts.state.read() as connection:
        rows = view_rows.dead_letter_rows(connection, before, limit)
        total = view_rows.dead_letter_count(connection)
        replays = {name: dict(fact) for name, fact in replay_rows.replays(connection).items()}
    shown = [
        {
            "id": row["id"],
            "source": row["source"],
            "topic": row["topic"],
            "reason": row["reason"],
            "received_at": row["received_at"],
            "payload_base64": base64.b64encode(row["payload"][:_SHOWN_BYTES]).decode(),
        }
        for row in rows
    ]
    dropped = dead_totals(parts.state).dropped
    return {"total": total, "dropped": dropped, "dead_letters": shown, "replays": replays}


@router.post("/dead-letters/replay", status_code=202)
def replay(
    body: ReplayBody, user: Annotated[User, Depends(Require(Act.DEAD_LETTER_REPLAY))], parts: PartsDep
) -> dict[str, Any]:
    """Let a source read its dead letters again, after its mapping was put right; those that still fail are left.

    `replays` of GET /dead-letters tells when it is done, how many became readings and how many are left.
    """
    with parts.state.write() as connection:
        count = replay_rows.ask(connection, body.source, user.name, parts.clock.now_us())
        act, detail = str(Act.DEAD_LETTER_REPLAY), {"letters": count}
        user_rows.add_audit(connection, parts.clock.now_us(), user.name, act, subject=body.source, detail=detail)
    return {"source": body.source, "letters": count}
