"""Carries out commands: intent on disk, one write, read-back, outcome on disk. Never the same one twice.

The row in the state database is the truth. Whoever ends between intent and outcome, at whatever moment, leaves a row
that says `sent`; the next start makes it `unknown`, looks at the device, and never sends it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.errors import ConfigError, NotSentError, PermanentError, TransientError
from gateway.model.command import SEND_WITHIN_S, WAITING, CommandOffer, CommandState, DeviceCommand
from gateway.model.reading import PointId, point_id
from gateway.ports import Clock, Commander, Delivery, Observed, Packet
from gateway.runtime.reading_watch import ReadingWatch
from gateway.store import command_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.state import State

LOOK_EVERY_S = 0.2
MOST_AT_ONCE = 32
_TRY_AGAIN_S = 1.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Put = Callable[[Delivery], Awaitable[None]]
Index = Callable[[Sequence[PointId]], NDArray[np.uint32]]


class CommandRunner:
    """Looks after every open command of a site; one task each."""

    def __init__(
        self,
        state: State,
        commanders: Callable[[], Sequence[Commander]],
        watch: ReadingWatch,
        index: Index,
        put: Put,
        *,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Remember the parts. `commanders` is asked each time, for sources may change; `index` finds points."""
        self._state = state
        self._commanders = commanders
        self._watch = watch
        self._index = index
        self._put = put
        self._clock = clock
        self._wall = wall
        self._busy: set[int] = set()
        self._held_up = False

    async def offers(self, asset: str) -> list[CommandOffer]:
        """Return everything that an asset can be told."""
        commanders = self._commanders()
        return await asyncio.to_thread(lambda: [offer for one in commanders for offer in one.offers(asset)])

    async def run(self) -> None:
        """Carry out commands until cancelled."""
        await self._recorded(self._recover)
        changes = ChangeWatch(self._state)
        waiting: Sequence[DeviceCommand] = ()
        async with asyncio.TaskGroup() as group:
            while True:
                if waiting or changes.changed():
                    waiting = await self._recorded(self._open_ones)
                for command in waiting:
                    if command.id not in self._busy and len(self._busy) < MOST_AT_ONCE and self._is_ours(command):
                        self._busy.add(command.id)
                        group.create_task(self._look_after(command), name=f"command {command.id}")
                await asyncio.sleep(LOOK_EVERY_S)

    def _open_ones(self) -> list[DeviceCommand]:
        with self._state.read() as connection:
            return command_rows.list_open(connection)

    def _is_ours(self, command: DeviceCommand) -> bool:
        """Tell whether something is to be done: one that waits for its second person is left alone until it is late."""
        return command.state not in WAITING or command.may_be_sent() or command.too_late(self._wall())

    def _recover(self) -> None:
        """Nobody knows what became of commands that were being sent when the gateway ended.

        The same holds for one that waited when a copy was made of which the state was restored: it may have been sent
        in the span that is missing.
        """
        restored = self._state.restoration()
        restored_wall = 0.0 if restored is None else restored.at / 1e6
        with self._state.write() as connection:
            for command in command_rows.list_open(connection):
                if command.state is CommandState.SENT:
                    detail = "the gateway ended before the outcome was known"
                elif command.state in WAITING and command.wall_asked <= restored_wall:
                    detail = "the state was restored from a copy: it may have been sent after that"
                else:
                    continue
                command_rows.move(
                    connection, command.id, (command.state,), CommandState.UNKNOWN, self._clock.now_us(), detail=detail
                )
                log.warning("command %d to %s: outcome unknown, reading back", command.id, command.wish.asset)

    async def _look_after(self, command: DeviceCommand) -> None:
        try:
            if command.state in WAITING:
                await self._carry_out(command)
            else:
                await self._see_result(command)
        except Exception as error:
            log.exception("command %d to %s failed unexpectedly", command.id, command.wish.asset)
            await self._end_unexpectedly(command, error)
        finally:
            self._busy.discard(command.id)

    async def _end_unexpectedly(self, command: DeviceCommand, error: Exception) -> None:
        sent = (CommandState.SENT, CommandState.UNKNOWN)
        if await self._move(command, sent, CommandState.UNKNOWN, detail=repr(error), over=True) is None:
            await self._move(command, WAITING, CommandState.REFUSED, detail=repr(error))

    # Sending ------------------------------------------------------------------------------------------------

    async def _carry_out(self, command: DeviceCommand) -> None:
        if command.too_late(self._wall()):
            await self._move(command, (command.state,), CommandState.EXPIRED, detail="it was too old to be sent")
            return
        try:
            commander = self._commander(command)
            packet = await asyncio.to_thread(commander.pack, command.offer, command.correlation)
        except ConfigError as error:
            await self._move(command, (command.state,), CommandState.REFUSED, detail=str(error))
            return
        sent = await self._move(
            command, (command.state,), CommandState.SENT, sent_at=self._clock.now_us(), request_frame=packet.frame
        )
        if sent is None:
            return  # turned down meanwhile
        if await self._send(sent, commander, packet):
            await self._see_result(sent)

    async def _send(self, command: DeviceCommand, commander: Commander, packet: Packet) -> bool:
        """Send; return whether the device may have done something."""
        at_sending = (CommandState.SENT,)
        not_after = time.monotonic() + SEND_WITHIN_S - (self._wall() - command.wall_asked)
        try:
            reply = await self._send_once(commander, packet, not_after)
        except NotSentError as error:
            await self._move(command, at_sending, CommandState.EXPIRED, detail=f"never sent: {error}")
            return False
        except PermanentError as error:
            await self._move(command, at_sending, CommandState.REFUSED, detail=str(error))
            return False
        except TransientError as error:
            await self._move(command, at_sending, CommandState.UNKNOWN, detail=str(error))
            return True
        await self._move(command, at_sending, CommandState.SENT, act="answered", reply_frame=reply)
        return True

    async def _send_once(self, commander: Commander, packet: Packet, not_after: float) -> str:
        """Try until it has left once; raises NotSentError when it is too late."""
        while True:
            try:
                return await commander.send(packet, not_after)
            except NotSentError:
                left_s = not_after - time.monotonic()
                if left_s <= 0:
                    raise
                await asyncio.sleep(min(_TRY_AGAIN_S, left_s))

    def _commander(self, command: DeviceCommand) -> Commander:
        for commander in self._commanders():
            if commander.name == command.offer.source:
                return commander
        raise ConfigError([f"there is no source {command.offer.source} any more"])

    # Seeing the result ---------------------------------------------------------------------------------------

    async def _see_result(self, command: DeviceCommand) -> None:
        """Look at the device until it shows something, or until it is no use any more."""
        states = (CommandState.SENT, CommandState.UNKNOWN)
        offer = command.offer
        until = time.monotonic() + offer.settle_s + offer.look_for_s
        pause_s = _FIRST_PAUSE_S
        await asyncio.sleep(offer.settle_s)
        while True:
            try:
                observed = await self._observe(command, until - time.monotonic())
            except (TransientError, ConfigError) as error:
                over = time.monotonic() + pause_s >= until
                detail = f"the result could not be seen: {error}"
                before = states if over else (CommandState.SENT,)
                await self._move(command, before, CommandState.UNKNOWN, detail=detail, over=over)
                if over:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            await self._conclude(command, observed)
            return

    async def _observe(self, command: DeviceCommand, timeout_s: float) -> Observed:
        offer = command.offer
        if not offer.by_reading:
            return await self._commander(command).observe(offer)
        point = await asyncio.to_thread(self._index, [point_id(offer.asset, offer.confirm)])
        settle_us = round(offer.settle_s / self._clock.real_seconds(1.0) * 1e6)
        value, at_us = await self._watch.after(
            int(point[0]), (command.sent_at or command.requested_at) + settle_us, timeout_s
        )
        return Observed(value, at_us)

    async def _conclude(self, command: DeviceCommand, observed: Observed) -> None:
        states = (CommandState.SENT, CommandState.UNKNOWN)
        offer = command.offer
        after, detail = CommandState.CONFIRMED, ""
        if not offer.met_by(observed.value):
            after = CommandState.MISMATCH
            detail = f"{offer.confirm} is {observed.value:g} and should be {offer.expect:g}"
        await self._move(
            command, states, after, detail=detail,
            read_frames=observed.frames, read_value=observed.value, read_at=observed.at_us,
        )  # fmt: skip
        log.info("command %d to %s: %s", command.id, offer.asset, after)
        if observed.batch is not None:
            await self._put(Delivery(offer.source, observed.batch))

    # Writing down ---------------------------------------------------------------------------------------------

    async def _move(
        self, command: DeviceCommand, before: Sequence[CommandState], after: CommandState, **changes: Any
    ) -> DeviceCommand | None:
        """Record a step; waits as long as the state database is away."""

        def write() -> DeviceCommand | None:
            with self._state.write() as connection:
                return command_rows.move(connection, command.id, before, after, self._clock.now_us(), **changes)

        return await self._recorded(write)

    async def _recorded(self, work: Callable[[], Result]) -> Result:
        while True:
            try:
                result = await asyncio.to_thread(work)
            except TransientError as error:
                if not self._held_up:
                    log.warning("commands are held up: %s", error)
                self._held_up = True
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            self._held_up = False
            return result
