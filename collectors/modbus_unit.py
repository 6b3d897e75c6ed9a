"""One device behind a Modbus link: what is due, how it is read, and which of its addresses do not exist."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from collectors.decode import bad, decode_identity
from collectors.decode_block import BlockDecoder, cells_of, make_block_decoder
from collectors.modbus_frames import WrongReplyError
from collectors.plan import Limits, Request, hull, plan
from gateway.errors import TransientError
from gateway.model.profile import PointSpec, Profile, RegisterTable, Span, width
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, point_id, quality

MAX_EXTRA_REQUESTS = 16
"""Requests that one poll may add to find an illegal address."""
HOLE_LIFE_US = 86_400_000_000
IDENTITY_LIFE_US = 3_600_000_000
ILLEGAL_ADDRESS = 2
_MOST_BLOCKS = 256
BUSY_CODES = (5, 6)
_BAD_NO_REPLY = quality(Severity.BAD, Reason.NO_REPLY)

Read = Callable[[Request], Awaitable["Reply"]]
"""Ask one request. Raises RefusedByDeviceError, WrongReplyError or TransientError."""


@dataclass(slots=True)
class Reply:
    """What a device answered to a request, and when that arrived."""

    request: Request
    data: bytes
    """registers with the high byte first, or bits with the lowest first"""
    arrived_us: int

    @property
    def cells(self) -> tuple[int, ...]:
        """Registers or bits."""
        return cells_of(self.request.table, self.request.count, self.data)


class RefusedByDeviceError(Exception):
    """The device answered with a Modbus exception; `code` is its code."""

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(f"exception code {code}")
        self.code = code


@dataclass(slots=True)
class _Result:
    """Rows of one poll, filled as replies come."""

    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    time: NDArray[np.int64]
    filled: NDArray[np.bool_]
    answered: bool = False

    @staticmethod
    def of(count: int) -> _Result:
        return _Result(
            np.full(count, np.nan), np.zeros(count, np.uint8), np.zeros(count, np.int64), np.zeros(count, np.bool_)
        )

    def put(self, row: int, value: float, mark: int, time_us: int) -> None:
        self.value[row], self.quality[row], self.time[row], self.filled[row] = value, mark, time_us, True

    def put_all(
        self, rows: NDArray[np.intp] | slice, values: NDArray[np.float64], marks: NDArray[np.uint8], time_us: int
    ) -> None:
        self.value[rows], self.quality[rows], self.time[rows], self.filled[rows] = values, marks, time_us, True

    def put_bad(self, rows: Sequence[int], reason: Reason, time_us: int) -> None:
        for row in rows:
            self.put(row, *bad(reason), time_us)


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

    ticks: dict[float, int] = field(default_factory=dict)
    """period in seconds -> number of the grid interval that was read last"""
    holes: dict[int, int] = field(default_factory=dict)
    """row of a point that the device does not have -> us UTC when that was found"""
    gaps: dict[Span, int] = field(default_factory=dict)
    """addresses between points that cannot be read through -> us UTC when that was found"""
    leftover: list[_Ask] = field(default_factory=list)
    """requests of a search that ran out of its extra requests"""
    plans: dict[tuple[int, ...], tuple[Request, ...]] = field(default_factory=dict)
    identity_ok: bool = False
    identity_at: int | None = None


class Unit:
    """One device with its points; polls of one unit never overlap."""

    def __init__(self, profile: Profile, asset: str, members: Sequence[str], identity: str = "") -> None:
        """Lay out the points: those of the device, then those of each member; an empty member is an unused slot."""
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
        self._blocks: dict[Request, tuple[NDArray[np.intp] | slice, BlockDecoder]] = {}
        self._rates = sorted({spec.every_s for spec in self.specs})
        self._all_rows = tuple(range(len(self.specs)))
        self.period_s = _common_period_s(self._rates)
        plan(self.specs, self._limits(()))

    def silent(self, now_us: int) -> ReadingBatch:
        """Return one BAD `no_reply` row for each point."""
        count = len(self.points)
        return ReadingBatch.build(
            self.indices, np.full(count, now_us), now_us, np.full(count, np.nan), np.full(count, _BAD_NO_REPLY)
        )

    def due(self, now_us: int, phase_s: float) -> tuple[int, ...]:
        """Return the rows whose grid interval has not been read yet."""
        due = [rate for rate in self._rates if self._tick(rate, now_us, phase_s) is not None]
        if len(due) == len(self._rates):
            return self._all_rows
        return tuple(row for row, spec in enumerate(self.specs) if spec.every_s in due)

    def _tick(self, every_s: float, now_us: int, phase_s: float) -> int | None:
        tick = int((now_us - round(phase_s * 1e6)) // round(every_s * 1e6))
        return None if self.state.ticks.get(every_s) == tick else tick

    async def poll(self, read: Read, now_us: int, phase_s: float) -> ReadingBatch:
        """Read what is due. Raises TransientError if the unit answered nothing; what was due stays due then."""
        rows = self.due(now_us, phase_s)
        result = _Result.of(len(self.specs))
        if rows:
            self._forget_old_holes(now_us)
            if await self._is_itself(read, now_us):
                await self._ask_all(read, rows, result, now_us)
            else:
                result.put_bad(rows, Reason.IDENTITY, now_us)
        for every_s in self._rates:
            tick = self._tick(every_s, now_us, phase_s)
            if tick is not None:
                self.state.ticks[every_s] = tick
        batch = ReadingBatch(self.indices, result.time, result.time, result.value, result.quality)
        return batch if result.filled.all() else batch.take(result.filled)

    async def _is_itself(self, read: Read, now_us: int) -> bool:
        identity, state = self.profile.identity, self.state
        if not self.wanted_identity or identity is None:
            return True
        if state.identity_at is None or not 0 <= now_us - state.identity_at < IDENTITY_LIFE_US:
            request = Request(identity.table, identity.address, width(identity.type), ())
            try:
                found = decode_identity(identity, (await read(request)).cells)
            except (RefusedByDeviceError, WrongReplyError):
                found = ""
            state.identity_ok, state.identity_at = found == self.wanted_identity, now_us
        return state.identity_ok

    async def _ask_all(self, read: Read, rows: tuple[int, ...], result: _Result, now_us: int) -> None:
        state = self.state
        wanted = rows
        if state.holes or state.leftover:
            result.put_bad([row for row in rows if row in state.holes], Reason.ILLEGAL_ADDRESS, now_us)
            searched = {row for ask in state.leftover for row in ask.request.rows}
            wanted = tuple(row for row in rows if row not in state.holes and row not in searched)
        asks = deque([*state.leftover, *(_Ask(request) for request in self._plan(wanted))])
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

    async def _ask(self, read: Read, ask: _Ask, result: _Result, now_us: int) -> list[_Ask]:
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
            return []
        result.answered = True
        rows, decode = self._block(request)
        result.put_all(rows, *decode(reply.data), reply.arrived_us)
        self._note_gap(ask.search, now_us)
        return []

    def _block(self, request: Request) -> tuple[NDArray[np.intp] | slice, BlockDecoder]:
        """Return the rows that a request answers, and how its reply is decoded."""
        block = self._blocks.get(request)
        if block is None:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            rows = request.rows
            in_a_row = rows == tuple(range(rows[0], rows[0] + len(rows)))
            where = slice(rows[0], rows[-1] + 1) if in_a_row else np.array(rows, np.intp)
            block = where, make_block_decoder([self.specs[row] for row in rows], request.start, request.count)
            self._blocks[request] = block
        return block

    def _halve(self, request: Request, result: _Result, now_us: int) -> list[_Ask]:
        rows = sorted(request.rows, key=lambda row: (self.specs[row].address, self.specs[row].end))
        if len(rows) == 1:
            self.state.holes[rows[0]] = now_us
            self.state.plans.clear()
            result.put_bad(rows, Reason.ILLEGAL_ADDRESS, now_us)
            return []
        middle = len(rows) // 2
        search = _Search(hull(self.specs, rows[:middle]), hull(self.specs, rows[middle:]))
        return [_Ask(search.left, search), _Ask(search.right, search)]

    def _note_gap(self, search: _Search | None, now_us: int) -> None:
        """Both halves of a refused block can be read: what lies between them cannot."""
        if search is None:
            return
        search.good += 1
        if search.good == 2:
            between = range(search.left.start + search.left.count, search.right.start)
            for span in self._unneeded(search.left.table, between):
                self.state.gaps[span] = now_us
                self.state.plans.clear()

    def _unneeded(self, table: RegisterTable, addresses: range) -> list[Span]:
        """Return those of the addresses on which no point stands that the device may have."""
        needed = {
            address
            for row, spec in enumerate(self.specs)
            if spec.table is table and row not in self.state.holes
            for address in range(max(spec.address, addresses.start), min(spec.end, addresses.stop))
        }
        return [Span(table, address, address) for address in addresses if address not in needed]

    def _forget_old_holes(self, now_us: int) -> None:
        """Let each hole be tried again once a day: the device may have been repaired or given a new program."""
        state = self.state
        before = len(state.holes) + len(state.gaps)
        if not before:
            return
        state.holes = {row: at for row, at in state.holes.items() if 0 <= now_us - at < HOLE_LIFE_US}
        state.gaps = {span: at for span, at in state.gaps.items() if 0 <= now_us - at < HOLE_LIFE_US}
        if len(state.holes) + len(state.gaps) != before:
            state.plans.clear()

    def _plan(self, rows: tuple[int, ...]) -> tuple[Request, ...]:
        if rows not in self.state.plans:
            self.state.plans[rows] = self.plan_rows(rows)
        return self.state.plans[rows]

    def plan_rows(self, rows: Sequence[int]) -> tuple[Request, ...]:
        """Return the requests for these rows, around all holes that are known."""
        holes = [self.specs[row] for row in self.state.holes]
        gaps = (
            *self.state.gaps,
            *(span for hole in holes for span in self._unneeded(hole.table, range(hole.address, hole.end))),
        )
        torn = {hole.together for hole in holes} | self._torn_by(gaps)
        chosen = [self.specs[row] for row in rows]
        specs = [replace(spec, together="") if spec.together in torn else spec for spec in chosen]
        return tuple(
            replace(request, rows=tuple(rows[row] for row in request.rows))
            for request in plan(specs, self._limits(gaps))
        )

    def _torn_by(self, gaps: Sequence[Span]) -> set[str]:
        """Return the `together` sets that cannot be read at once, because an unreadable gap lies inside them."""
        sets: dict[tuple[str, str], list[PointSpec]] = {}
        for spec in self.specs:
            sets.setdefault((spec.together, spec.table.value), []).append(spec)
        return {
            name
            for (name, _), specs in sets.items()
            if any(
                span.touches(specs[0].table, min(one.address for one in specs), max(one.end for one in specs))
                for span in gaps
            )
        }

    def _limits(self, gaps: Sequence[Span]) -> Limits:
        profile = self.profile
        return Limits(profile.max_registers, profile.max_bits, profile.max_gap, (*profile.never_read, *gaps))


def _common_period_s(periods: Sequence[float]) -> float:
    """Return the longest period on whose grid all periods lie, in whole milliseconds."""
    return float(np.gcd.reduce([max(1, round(period * 1000)) for period in periods])) / 1000
