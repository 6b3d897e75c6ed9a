"""Rows of commands: steps that exclude each other, and looks that do not grow with the commands of years."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.errors import RefusedError
from gateway.model.command import CommandOffer, CommandState, CommandWish
from gateway.model.quantity import Quantity
from gateway.store import command_rows, tables
from gateway.store.state import State

NOW = 1_768_435_200_000_000


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State.in_folder(tmp_path)
    yield made
    made.close()


def offer(asset: str) -> CommandOffer:
    return CommandOffer(asset, "valve_close", "s", Quantity.VALVE, 0.0, 0.0, 1.0, second_person=True, closes=True)


def wish(asset: str, key: str = "k", who: str = "wang") -> CommandWish:
    return CommandWish(key, asset, "valve_close", "smell of gas", who)


def test_a_look_at_open_commands_does_not_walk_through_those_of_years(state: State) -> None:
    old = [
        {
            "key": f"old-{number}", "asset": f"M-{number % 900:06d}", "name": "valve_close", "reason": "x", "who": "li",
            "offer": asdict(offer("M")), "state": "confirmed", "open": False, "requested_at": 1,
            "wall_requested": 1.0, "wall_asked": 1.0,
        }
        for number in range(2_000)
    ]  # fmt: skip
    with state.write() as connection:
        connection.execute(insert(tables.device_command), old)
        command, _ = command_rows.add_request(connection, wish("M-000001"), offer("M-000001"), NOW, time.time())
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with state.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(count, 1)
        assert [one.id for one in command_rows.list_open(connection)] == [command.id]
        assert command_rows.assets_that_differ(connection) == []
        driver.set_progress_handler(None, 1)
    assert steps < 1_000, "the database walked through all commands"


def test_of_two_who_decide_only_the_first_one_does(state: State) -> None:
    with state.write() as connection:
        command, _ = command_rows.add_request(connection, wish("M-000001"), offer("M-000001"), NOW, 1000.0)

    def decide(who: str, *, agree: bool, wall: float = 1001.0) -> CommandState:
        with state.write() as connection:
            return command_rows.decide(connection, command.id, who, agree=agree, reason="", at_us=NOW, wall=wall).state

    with pytest.raises(RefusedError, match="requested"):
        decide("li", agree=True, wall=1000.0 + 301)
    assert decide("li", agree=True) is CommandState.APPROVED
    with pytest.raises(RefusedError, match="approved"):
        decide("zhao", agree=False)
    with state.write() as connection:
        before = (CommandState.REQUESTED,)
        assert command_rows.move(connection, command.id, before, CommandState.SENT, NOW) is None
        assert command_rows.find(connection, command.id).state is CommandState.APPROVED


def test_an_end_frees_the_asset_and_an_unknown_outcome_only_when_nobody_looks_any_more(state: State) -> None:
    with state.write() as connection:
        command, is_new = command_rows.add_request(connection, wish("M-000001"), offer("M-000001"), NOW, 1000.0)
        assert is_new
        command_rows.move(connection, command.id, (command.state,), CommandState.SENT, NOW)
        unknown = (CommandState.SENT,), CommandState.UNKNOWN
        command_rows.move(connection, command.id, *unknown, NOW)
        with pytest.raises(RefusedError, match="open command"):
            command_rows.add_request(connection, wish("M-000001", "k2"), offer("M-000001"), NOW, 1000.0)
        left = command_rows.move(connection, command.id, unknown[1:], CommandState.UNKNOWN, NOW + 5, over=True)
        assert left is not None
        assert (left.open, left.ended_at) == (False, NOW + 5)
        _, is_new = command_rows.add_request(connection, wish("M-000001", "k2"), offer("M-000001"), NOW, 1000.0)
        assert is_new
