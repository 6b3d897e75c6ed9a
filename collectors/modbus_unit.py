"""One device behind a Modbus link: what is due, how it is read, and which of its addresses do not exist."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collectors.decode import ClockDecoder, decode_identity, make_clock_decoder
from collectors.decode_block import BlockDecoder, make_block_decoder
from collectors.modbus_frames import WrongReplyError
from collectors.modbus_reply import BUSY_CODES, ILLEGAL_ADDRESS, RefusedByDeviceError, Reply, describe_code
from collectors.modbus_result import Result, Rows
from collectors.plan import LineCost, Request, hull
from collectors.unit_plan import UnitPlan
from gateway.errors import TransientError
from gateway.model.profile import ClockRegister, Identity, PointSpec, Profile, width
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, point_id, quality

MAX_EXTRA_REQUESTS = 16
"""Requests that one poll may add to find an illegal address."""
IDENTITY_LIFE_US = 3_600_000_000
_STRANGER_LIFE_US = 60_000_000
"""How soon to look again whether the wanted device is back."""
_MOST_BLOCKS = 256
_MOST_NAMED = 4
_BAD_NO_REPLY = quality(Severity.BAD, Reason.NO_REPLY)

Read = Callable[[Request], Awaitable[Reply]]
"""Ask one request. Raises RefusedByDeviceError, WrongReplyError or TransientError."""


@dataclass(slots=True)
class _Search:
    """A block that was cut in two because it holds an illegal address."""

    left: Request
    right: Request
    good: int = 0


@dataclass(slots=True)
class _Ask:
    request: Request
    search: _Search | None = None


@dataclass(slots=True)
class UnitState:
    """What a unit's polls leave for the next one."""

    ticks: list[int] = field(default_factory=list)
    """for each rate the number of the grid interval that was read last"""
    leftover: list[_Ask] = field(default_factory=list)
    """requests of a search that ran out of its extra requests"""
    identity_ok: bool = False
    identity_at: int | None = None
    refused: dict[int, int] = field(default_factory=dict)
    """row of a point that was last answered with an exception -> its code; illegal addresses are holes instead"""
    identity_session: int = 0
    """the connection over which it was checked"""


@dataclass(frozen=True, slots=True)
class _Block:
    """What a request brings."""

    rows: Rows
    decode: BlockDecoder
    clocks: tuple[tuple[NDArray[np.intp], slice, ClockDecoder], ...]
    """rows, and which registers of the reply show their source time"""


class Unit:
    """One device with its points; polls of one unit never overlap."""

    def __init__(
        self, profile: Profile, asset: str, members: Sequence[str], identity: str = "", line: LineCost | None = None
    ) -> None:
        """Lay out the points: those of the device, then those of each member; an empty member is an unused slot.

        `line` is what reading costs on a serial line. Raises ValueError for points that no request can read.
        """
        self.profile = profile
        self.wanted_identity = identity
        points = [(asset, spec) for spec in profile.points]
        for slot, member in enumerate(members):
            if member:
                points += [(member, spec) for spec in profile.member_points(slot)]
        self.specs: tuple[PointSpec, ...] = tuple(spec for _, spec in points)
        self.points: tuple[PointId, ...] = tuple(point_id(owner, spec.quantity) for owner, spec in points)
        self.indices: NDArray[np.uint32] = np.zeros(len(points), np.uint32)
        self.state = UnitState()
        self.bisects = 0
        """blocks that were halved because of an illegal address"""
        self._blocks: dict[Request, _Block] = {}
        self._rates = sorted({spec.every_s for spec in self.specs})
        self._periods_us = [round(every_s * 1e6) for every_s in self._rates]
        self._all_rows = tuple(range(len(self.specs)))
        self._due_rows: dict[tuple[bool, ...], tuple[int, ...]] = {}
        self.period_s = _common_period_s(self._rates)
        self.plan = UnitPlan(profile, self.specs, line)

    def silent(self, now_us: int) -> ReadingBatch:
        """Return one BAD `no_reply` row for each point."""
        count = len(self.points)
        return ReadingBatch.build(
            self.indices, np.full(count, now_us), now_us, np.full(count, np.nan), np.full(count, _BAD_NO_REPLY)
        )

    def _due(self, ticks: Sequence[int]) -> tuple[int, ...]:
        """Return the rows whose grid interval has not been read yet."""
        before = self.state.ticks
        if not before:
            return self._all_rows
        due = tuple(map(operator.ne, ticks, before))
        rows = self._due_rows.get(due)
        if rows is None:
            rates = {every_s for every_s, is_due in zip(self._rates, due, strict=True) if is_due}
            rows = tuple(row for row, spec in enumerate(self.specs) if spec.every_s in rates)
            self._due_rows[due] = rows
        return rows

    async def poll(self, read: Read, now_us: int, phase_s: float) -> ReadingBatch:
        """Read what is due. Raises TransientError if the unit answered nothing; what was due stays due then."""
        since_us = now_us - round(phase_s * 1e6)
        ticks = [since_us // period_us for period_us in self._periods_us]
        rows = self._due(ticks)
        result = Result(len(self.specs))
        if rows:
            self.plan.forget_old(now_us)
            if await self._is_itself(read, now_us):
                await self._ask_all(read, rows, result, now_us)
                if not await self._was_itself(read, result, now_us):
                    result.put_bad(rows, Reason.IDENTITY, now_us)
            else:
                result.put_bad(rows, Reason.IDENTITY, now_us)
        self.state.ticks = ticks
        return result.batch(self.indices)

    async def _is_itself(self, read: Read, now_us: int) -> bool:
        """Say whether the device is the wanted one, by what it showed lately."""
        state = self.state
        if not self.wanted_identity or self.profile.identity is None:
            return True
        life_us = IDENTITY_LIFE_US if state.identity_ok else _STRANGER_LIFE_US
        if state.identity_at is None or not 0 <= now_us - state.identity_at < life_us:
            await self._identify(read, self.profile.identity, now_us)
        return state.identity_ok

    async def _was_itself(self, read: Read, result: Result, now_us: int) -> bool:
        """Say whether values came from the wanted device: after a new connection it may be another one."""
        identity, state = self.profile.identity, self.state
        if not self.wanted_identity or identity is None or result.sessions <= {state.identity_session}:
            return True
        before = state.identity_session
        await self._identify(read, identity, now_us)
        return state.identity_ok and result.sessions <= {before, state.identity_session}

    async def _identify(self, read: Read, identity: Identity, now_us: int) -> None:
        state = self.state
        state.identity_ok, state.identity_at = False, now_us
        try:
            reply = await read(Request(identity.table, identity.address, width(identity.type), ()))
        except RefusedByDeviceError:
            return
        except WrongReplyError:
            state.identity_at = None
            return
        except TransientError:
            state.identity_at = None
            raise
        state.identity_ok = decode_identity(identity, reply.cells) == self.wanted_identity
        state.identity_session = reply.session

    async def _ask_all(self, read: Read, rows: tuple[int, ...], result: Result, now_us: int) -> None:
        state = self.state
        wanted = rows
        holes = self.plan.holes
        if holes or state.leftover:
            result.put_bad([row for row in rows if row in holes], Reason.ILLEGAL_ADDRESS, now_us)
            searched = {row for ask in state.leftover for row in ask.request.rows}
            wanted = tuple(row for row in rows if row not in holes and row not in searched)
        asks = deque([*state.leftover, *(_Ask(request) for request in self.plan.requests(wanted))])
        state.leftover = []
        extra = MAX_EXTRA_REQUESTS
        while asks:
            ask = asks.popleft()
            try:
                parts = await self._ask(read, ask, result, now_us)
            except TransientError:
                if not result.answered:
                    raise
                unread = [row for left in (ask, *asks) for row in left.request.rows]
                result.put_bad(unread, Reason.NO_REPLY, now_us)
                return
            if len(parts) > extra:
                state.leftover += parts
            else:
                extra -= len(parts)
                asks.extendleft(reversed(parts))

    async def _ask(self, read: Read, ask: _Ask, result: Result, now_us: int) -> list[_Ask]:
        """Put what one request brings into the result; return the two halves of a block with an illegal address."""
        request = ask.request
        try:
            reply = await read(request)
        except WrongReplyError:
            result.put_bad(request.rows, Reason.WRONG_REPLY, now_us)
            return []
        except RefusedByDeviceError as error:
            result.answered = True
            if error.code == ILLEGAL_ADDRESS:
                return self._halve(request, result, now_us)
            reason = Reason.DEVICE_BUSY if error.code in BUSY_CODES else Reason.DEVICE_FAULT
            result.put_bad(request.rows, reason, now_us)
            self.state.refused.update(dict.fromkeys(request.rows, error.code))
            return []
        result.answered = True
        self._note_answer(request)
        result.sessions.add(reply.session)
        block = self._block(request)
        values, marks = block.decode(reply.data)
        result.put_all(block.rows, values, marks, reply.arrived_us)
        if block.clocks:
            cells = reply.cells
            for rows, place, decode_clock in block.clocks:
                result.put_clock(rows, decode_clock(cells[place]))
        if ask.search is not None:
            self._note_gap(ask.search, now_us)
        return []

    def _note_answer(self, request: Request) -> None:
        if self.state.refused:
            for row in request.rows:
                self.state.refused.pop(row, None)

    @property
    def complaint(self) -> str:
        """Which points cannot be read although the device answers, and the exception code of each; empty if none."""
        if not self.state.refused and not self.plan.holes:
            return ""
        by_code: dict[int, list[PointId]] = {}
        for row, code in (*self.state.refused.items(), *((row, ILLEGAL_ADDRESS) for row in self.plan.holes)):
            by_code.setdefault(code, []).append(self.points[row])
        return "; ".join(f"{describe_code(code)}: {_some(points)}" for code, points in sorted(by_code.items()))

    def _block(self, request: Request) -> _Block:
        """Return the rows that a request answers, and how its reply is decoded."""
        block = self._blocks.get(request)
        if block is None:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            rows = request.rows
            in_a_row = rows == tuple(range(rows[0], rows[0] + len(rows)))
            where = slice(rows[0], rows[-1] + 1) if in_a_row else np.array(rows, np.intp)
            decode = make_block_decoder([self.specs[row] for row in rows], request.start, request.count)
            block = self._blocks[request] = _Block(where, decode, self._clocks(request))
        return block

    def _clocks(self, request: Request) -> tuple[tuple[NDArray[np.intp], slice, ClockDecoder], ...]:
        by_clock: dict[ClockRegister, list[int]] = {}
        for row in request.rows:
            clock = self.specs[row].clock
            if clock is not None:
                by_clock.setdefault(clock, []).append(row)
        return tuple(
            (
                np.array(rows, np.intp),
                slice(clock.address - request.start, clock.end - request.start),
                make_clock_decoder(clock),
            )
            for clock, rows in by_clock.items()
        )

    def _halve(self, request: Request, result: Result, now_us: int) -> list[_Ask]:
        rows = sorted(request.rows, key=lambda row: (self.specs[row].first, self.specs[row].past))
        if len(rows) == 1:
            self.plan.note_hole(rows[0], now_us)
            result.put_bad(rows, Reason.ILLEGAL_ADDRESS, now_us)
            return []
        self.bisects += 1
        middle = len(rows) // 2
        search = _Search(hull(self.specs, rows[:middle]), hull(self.specs, rows[middle:]))
        return [_Ask(search.left, search), _Ask(search.right, search)]

    def _note_gap(self, search: _Search, now_us: int) -> None:
        """Both halves of a refused block can be read: what lies between them cannot."""
        search.good += 1
        if search.good == 2:
            between = range(search.left.start + search.left.count, search.right.start)
            self.plan.note_gap(search.left.table, between, now_us)


def _some(points: Sequence[PointId]) -> str:
    """Return points in few words; in order, so that the same ones give the same words."""
    shown, more = sorted(points)[:_MOST_NAMED], len(points) - _MOST_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _common_period_s(periods: Sequence[float]) -> float:
    """Return the longest period on whose grid all periods lie, in whole milliseconds."""
    return float(np.gcd.reduce([max(1, round(period * 1000)) for period in periods])) / 1000
