"""Which fault of the gateway itself is said over the pages."""

from __future__ import annotations

import time

from api.deps import Parts
from api.services.live import Board
from api.services.pulse import ROLE_SILENT_S, Pulse
from api.services.trouble import Trouble, trouble
from gateway.store import health_rows
from gateway.store.tables import role_health


def test_the_worst_fault_of_all_is_said(parts: Parts) -> None:
    board, pulse = Board(parts), Pulse(parts)
    assert trouble(board, pulse) is None
    pulse.silent = frozenset({"keep", "analyse"})
    assert trouble(board, pulse) is Trouble.READINGS
    pulse.silent = frozenset({"keep", "alarm"})
    assert trouble(board, pulse) is Trouble.ALARMS
    board.problem = "state database: database is locked"
    assert trouble(board, pulse) is Trouble.STATE


async def test_a_role_that_gives_no_sign_of_life_is_silent(parts: Parts) -> None:
    pulse = Pulse(parts)
    with parts.state.write() as connection:
        connection.execute(role_health.update().where(role_health.c.role == "alarm").values(at=time.time() - 60))
        connection.execute(role_health.delete().where(role_health.c.role == "analyse"))
    await pulse.refresh()
    assert pulse.silent == frozenset(), "roles have some time to begin"
    pulse._since -= ROLE_SILENT_S
    await pulse.refresh()
    assert pulse.silent == {"alarm", "analyse"}
    health_rows.beat(parts.state, "alarm", ok=True, detail={})
    await pulse.refresh()
    assert pulse.silent == {"analyse"}
