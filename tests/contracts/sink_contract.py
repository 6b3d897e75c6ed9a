"""What every ticket sink must do. A sink's tests make a `Receiver` that misbehaves on order, and run `check_*`."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Protocol

import pytest

from alarms.tickets.compare import steps_of
from alarms.tickets.sending import Collision, ours
from gateway.errors import GatewayError, TransientError
from gateway.model.ticket import Attempt, Command, Confirmed, Misconfigured, Refused, Unknown
from gateway.ports import TicketSink

ATTEMPT = Attempt(1, 20.0, 30.0)
SHORT = Attempt(1, 0.5, 1.0)
"""over before a receiver that hangs answers"""


class Receiver(Protocol):
    """A real ticketing system, or a stand-in on a real socket, that can be told to misbehave."""

    def behave(self, *modes: str) -> None:
        """Answer the next posts in these ways, then well again.

        Modes: `500`, `503`, `429`, `302`, `202`, `400`, `401`, `409`, `410`, `cut` (works, then cuts the answer),
        `hang` (works, then answers too late), `reset` (closes at once), `garbage` (works, then answers no JSON),
        `huge`.
        """

    def count(self, dedup_key: str) -> int:
        """Return how many tickets of this key exist."""

    def advance(self, dedup_key: str, *states: str) -> None:
        """Let a crew take these steps, without a word to gasgate."""


def rekeyed(command: Command, dedup_key: str) -> Command:
    """Return the command of another incident."""
    body = {**command.body, "dedup_key": dedup_key}
    return replace(command, dedup_key=dedup_key, webhook_id=f"msg_{abs(hash(dedup_key))}", body=body)


async def check_delivers_once(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """A repeat is told apart from the first and makes no second ticket."""
    first = await sink.deliver(command, ATTEMPT)
    again = await sink.deliver(command, replace(ATTEMPT, number=2))
    assert isinstance(first, Confirmed)
    assert isinstance(again, Confirmed)
    assert not first.duplicate
    assert again.duplicate
    assert again.ticket.external_id == first.ticket.external_id != ""
    assert receiver.count(command.dedup_key) == 1


async def check_many_at_once(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """Eight posts of one command at the same time make one ticket; none of them is told that it was wrong."""
    outcomes = await asyncio.gather(*(sink.deliver(command, ATTEMPT) for _ in range(8)))
    assert any(isinstance(outcome, Confirmed) for outcome in outcomes)
    assert all(isinstance(outcome, Confirmed | Unknown) for outcome in outcomes)
    assert receiver.count(command.dedup_key) == 1


async def check_unclear_answers_are_unknown(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """Whatever leaves it open whether the ticket exists is Unknown, within the time allowed; a look-up then tells."""
    for number, mode in enumerate(("500", "503", "302", "202", "409", "reset", "cut", "hang", "garbage", "huge")):
        one = rekeyed(command, f"{command.dedup_key}:{number}")
        receiver.behave(mode)
        loop = asyncio.get_running_loop()
        begun, attempt = loop.time(), SHORT if mode == "hang" else ATTEMPT
        outcome = await sink.deliver(one, attempt)
        assert isinstance(outcome, Unknown), mode
        assert outcome.reason
        assert loop.time() - begun < ATTEMPT.total_timeout_s, mode
        found = await sink.lookup(one.dedup_key)
        assert (found is not None) == (receiver.count(one.dedup_key) == 1), mode
        assert isinstance(await sink.deliver(one, ATTEMPT), Confirmed), mode
        assert receiver.count(one.dedup_key) == 1, mode


async def check_waits_as_asked(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """Retry-After of a 429 comes back with the outcome."""
    receiver.behave("429")
    outcome = await sink.deliver(command, ATTEMPT)
    assert isinstance(outcome, Unknown)
    assert outcome.retry_after_s == 7.0


async def check_faults_that_last(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """A bad message is Refused, wrong credentials are Misconfigured."""
    receiver.behave("400")
    assert isinstance(await sink.deliver(command, ATTEMPT), Refused)
    receiver.behave("401")
    wrong = await sink.deliver(command, ATTEMPT)
    assert isinstance(wrong, Misconfigured)
    assert not wrong.gone


async def check_gone(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """An address that is gone for good is told apart from a wrong one."""
    receiver.behave("410")
    outcome = await sink.deliver(command, ATTEMPT)
    assert isinstance(outcome, Misconfigured)
    assert outcome.gone


async def check_lookup(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """None means surely absent; a key with odd characters is found as it was sent."""
    assert await sink.lookup("nobody.1:knows:this:1") is None
    odd = rekeyed(command, "hq.1:M 1/ä?#%:X:1")
    made = await sink.deliver(odd, ATTEMPT)
    found = await sink.lookup(odd.dedup_key)
    assert isinstance(made, Confirmed)
    assert found is not None
    assert (found.external_id, found.dedup_key) == (made.ticket.external_id, odd.dedup_key)


async def check_key_collision(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """A key that stands for something raised at another moment is told apart, and makes no second ticket."""
    await sink.deliver(replace(command, body={**command.body, "raised_at": "2026-01-15T05:00:00.000Z"}), ATTEMPT)
    other = replace(command, body={**command.body, "raised_at": "2026-01-16T05:00:00.000Z"})
    outcome = await sink.deliver(other, ATTEMPT)
    assert isinstance(outcome, Confirmed)
    assert isinstance(ours(outcome, other), Collision)
    assert receiver.count(command.dedup_key) == 1


async def check_pull_after_a_gap(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """Whatever was missed since a cursor comes with all its steps, and comes again as it was when it is asked again."""
    keys = [f"{command.dedup_key}:{number}" for number in range(3)]
    for key in keys:
        assert isinstance(await sink.deliver(rekeyed(command, key), ATTEMPT), Confirmed)
    cursor = [change async for change in sink.changed_since("")][-1].cursor
    receiver.advance(keys[2], "accepted")
    receiver.advance(keys[0], "accepted", "departed")
    receiver.advance(keys[2], "departed", "arrived")
    first = {change.ticket.dedup_key: change.ticket async for change in sink.changed_since(cursor)}
    again = {change.ticket.dedup_key: change.ticket async for change in sink.changed_since(cursor)}
    assert first == again
    assert (first[keys[0]].state, first[keys[0]].version) == ("departed", 2)
    steps = sorted((step.version, step.type) for step in first[keys[2]].events)
    assert steps == [(1, "accepted"), (2, "departed"), (3, "arrived")]
    assert [key for key in keys if key in {one.ticket.dedup_key async for one in sink.changed_since("")}] == keys


async def check_shuffled_steps(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """In whatever order steps come, the ticket stands as it does in theirs."""
    await sink.deliver(command, ATTEMPT)
    receiver.advance(command.dedup_key, "accepted", "departed", "arrived", "completed", "reopened", "departed")
    found = await sink.lookup(command.dedup_key)
    assert found is not None
    in_order = [(step.version, step.type) for step, _ in steps_of(found)]
    assert in_order == list(enumerate(("accepted", "departed", "arrived", "completed", "reopened", "departed"), 1))
    for seed in range(5):
        events = list(found.events)
        random.Random(seed).shuffle(events)
        assert [(step.version, step.type) for step, _ in steps_of(replace(found, events=tuple(events)))] == in_order


async def check_unreachable(sink: TicketSink, command: Command) -> None:
    """With nobody there a delivery is Unknown, and a look-up or probe raises; to be called after a stop."""
    assert isinstance(await sink.deliver(command, ATTEMPT), Unknown)
    with pytest.raises(TransientError):
        await sink.lookup(command.dedup_key)
    with pytest.raises(GatewayError):
        await sink.probe()


async def check_probe_and_close(sink: TicketSink, receiver: Receiver, command: Command) -> None:
    """A probe creates nothing; closing twice is fine."""
    assert sink.name in await sink.probe()
    assert receiver.count(command.dedup_key) == 0
    await sink.close()
    await sink.close()
