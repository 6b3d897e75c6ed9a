"""What an operator or trainer may do to a live city: make faults and end them, change its pace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from gateway.errors import RefusedError
from gateway.model.reading import from_us, to_us
from gateway.settings import Settings
from simulators.faults import HOUR_US, KINDS, Fault, FaultKind, Subject
from simulators.faults.effects import Assets
from simulators.live.clock import FASTEST, SLOWEST
from simulators.live.config import FAULT_ID, MOST_FAULTS
from simulators.live.running import Live

LONGEST_FORWARD_D, LONGEST_AHEAD_D = 400, 3650
_LARGEST = 1e6
_log = logging.getLogger(__name__)


class Injection(Settings):
    """A fault that somebody wants."""

    kind: FaultKind
    """what kind; `GET /kinds` lists them"""
    asset: Annotated[str, Field(min_length=1, max_length=64)]
    """whom it befalls; `GET /assets` lists them"""
    size: Annotated[float | None, Field(ge=-_LARGEST, le=_LARGEST)] = None
    """how large; `GET /kinds` says in which unit, and which kinds need none"""
    start: AwareDatetime | None = None
    """the city's moment, not in its past; without it, now. Most kinds begin and end at whole hours: it is rounded up"""
    minutes: Annotated[float | None, Field(gt=0, le=1e7)] = None
    """how long it lasts in the city; without it, until it is cleared"""
    ramp_minutes: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """how long it grows to its size"""
    position: Annotated[float, Field(ge=0, le=1)] = 0.5
    """where a leak is: 0 at the regulator, 1 at the farthest node"""
    detail: Annotated[str, Field(max_length=40)] = ""
    """what the kind wants to know besides, for example which sensor"""
    id: Annotated[str | None, Field(pattern=FAULT_ID)] = None
    """name of your own; the same name with the same content again changes nothing"""


class Shown(Settings):
    """A fault as the API tells it."""

    id: str
    kind: FaultKind
    asset: str
    size: float
    start: datetime
    end: datetime | None
    ramp_minutes: float
    position: float
    detail: str
    state: str
    """coming, active or over"""


class KindShown(Settings):
    """A kind of fault as the API tells it."""

    kind: FaultKind
    subject: Subject
    """what its asset must be"""
    size: str
    """what its size means, with the unit; empty: it has none"""
    least: float
    most: float
    details: tuple[str, ...]
    """what `detail` may be; the first is meant by an empty one"""
    whole_hours: bool
    """it begins and ends at whole hours"""


OnAct = Callable[[str, Mapping[str, Any]], None]


def _log_act(act: str, what: Mapping[str, Any]) -> None:
    _log.info("%s: %s", act, what)


class Orders:
    """Acts upon one live city. Not thread-safe: one act after the other, each complete before the next."""

    def __init__(self, live: Live, *, fastest: float = FASTEST, on_act: OnAct = _log_act) -> None:
        """Act on a city; `fastest` is the pace that its messages allow, `on_act` is told what was done."""
        self._live = live
        self._fastest = fastest
        self._on_act = on_act

    def kinds(self) -> list[KindShown]:
        """Return all kinds of faults."""
        return [
            KindShown(
                kind=name,
                subject=kind.subject,
                size=kind.size,
                least=kind.least,
                most=min(kind.most, _LARGEST),
                details=kind.details,
                whole_hours=_by_the_hour(name),
            )
            for name, kind in KINDS.items()
        ]

    def assets(self, kind: FaultKind) -> Iterator[str]:
        """Return the assets that a kind of fault can befall."""
        for names in _assets_of(KINDS[kind].subject, self._live.plan.assets):
            yield from sorted(names)

    def faults(self) -> list[Shown]:
        """Return all faults, those that are over last."""
        now_us = self._live.clock.now_us()
        shown = [_shown(fault, now_us) for fault in self._live.city.faults]
        return sorted(shown, key=lambda one: (("active", "coming", "over").index(one.state), one.start, one.id))

    def inject(self, wanted: Injection) -> tuple[Shown, bool]:
        """Add a fault; return it and whether it is new. Raises RefusedError."""
        live, now_us = self._live, self._live.clock.now_us()
        known = {fault.fault_id: fault for fault in live.city.faults}
        if wanted.id in known:
            if not _same(known[wanted.id], wanted):
                raise RefusedError(409, "id_taken", f"there is another fault with the id {wanted.id}; give a new one")
            return _shown(known[wanted.id], now_us), False
        if len(known) >= MOST_FAULTS:
            text = f"the city has had {MOST_FAULTS} faults, and keeps them for its registers; begin a new one"
            raise RefusedError(409, "too_many", text)
        fault = self._fault(wanted, wanted.id or _free_id(known), now_us)
        live.take_faults(now_us, injected=(*live.saved.injected, fault.to_json()))
        shown = _shown(fault, now_us)
        self._on_act("inject", shown.model_dump(mode="json"))
        return shown, True

    def _fault(self, wanted: Injection, fault_id: str, now_us: int) -> Fault:
        kind = KINDS[wanted.kind]
        if kind.size and wanted.size is None:
            raise RefusedError(422, "no_size", f"size is missing; for {wanted.kind} it is {kind.size}")
        start_us = now_us if wanted.start is None else to_us(wanted.start)
        if start_us < now_us:
            text = f"the city is at {_iso(now_us)} already, and its registers have no other past; start later"
            raise RefusedError(422, "in_the_past", text)
        if start_us > now_us + LONGEST_AHEAD_D * 24 * HOUR_US:
            latest = from_us(now_us) + timedelta(days=LONGEST_AHEAD_D)
            raise RefusedError(422, "too_late", f"start: take a moment before {latest.isoformat()}")
        end_us = None if wanted.minutes is None else start_us + round(wanted.minutes * 60e6)
        if _by_the_hour(wanted.kind):
            start_us, end_us = _hour_after(start_us), None if end_us is None else _hour_after(end_us)
        if end_us is not None and end_us <= start_us:
            end_us = start_us + HOUR_US
        try:
            fault = Fault(
                fault_id, wanted.kind, wanted.asset, start_us, end_us, wanted.size or 0.0,
                wanted.ramp_minutes * 60.0, wanted.position, wanted.detail,
            )  # fmt: skip
            self._live.city.check(fault)
        except ValueError as error:
            raise RefusedError(422, "impossible", str(error)) from error
        return fault

    def clear(self, fault_id: str) -> Shown:
        """End a fault now, or at the next whole hour; one that is over stays so. Raises RefusedError."""
        now_us = self._live.clock.now_us()
        fault = next((one for one in self._live.city.faults if one.fault_id == fault_id), None)
        if fault is None:
            raise RefusedError(404, "no_fault", f"the city has no fault {fault_id}")
        end_us = max(fault.start_us, _hour_after(now_us) if fault.of_volume else now_us)
        if fault.end_us is None or fault.end_us > end_us:
            self._live.take_faults(now_us, ended={**self._live.saved.ended, fault_id: end_us})
            fault = fault.ended(end_us)
            self._on_act("clear", {"id": fault_id, "end": _iso(end_us)})
        return _shown(fault, now_us)

    async def run_at(self, speed: float) -> None:
        """Change the city's pace; 0 lets it stand. Raises RefusedError."""
        if speed != 0.0:
            self._check_speed(speed)
        await self._live.clock.run_at(speed)
        self._live.save(self._live.clock.now_us(), speed=speed or self._live.saved.speed)
        self._on_act("speed", {"speed": speed})

    async def forward(self, until: datetime, speed: float) -> None:
        """Let the city hurry to a later moment. Raises RefusedError."""
        self._check_speed(speed)
        now_us, until_us = self._live.clock.now_us(), to_us(until)
        if not now_us < until_us <= now_us + LONGEST_FORWARD_D * 24 * HOUR_US:
            latest = from_us(now_us) + timedelta(days=LONGEST_FORWARD_D)
            raise RefusedError(422, "not_later", f"take a moment after {_iso(now_us)} and before {latest.isoformat()}")
        if speed <= self._live.clock.speed:
            text = f"the city runs at {self._live.clock.speed:g} already; take a higher speed"
            raise RefusedError(422, "not_faster", text)
        await self._live.clock.forward(until_us, speed)
        self._on_act("forward", {"until": until.isoformat(), "speed": speed})

    def _check_speed(self, speed: float) -> None:
        if not SLOWEST <= speed <= self._fastest:
            text = f"speed {speed:g} is not in {SLOWEST:g} to {self._fastest:.4g} (0 lets the city stand)"
            raise RefusedError(422, "bad_speed", text)


def _assets_of(subject: Subject, assets: Assets) -> tuple[Collection[str], ...]:
    return {
        Subject.METER: (assets.meters,),
        Subject.ZONE: (assets.zones, assets.parents),
        Subject.STATION: (assets.stations,),
        Subject.REGULATOR: (assets.regulators,),
        Subject.SUPPLY_METER: (assets.supplies,),
        Subject.ZONE_OR_METER: (assets.zones, assets.meters),
        Subject.VALVE: (assets.regulators, assets.meters),
    }[subject]


def _by_the_hour(kind: FaultKind) -> bool:
    return Fault("", kind, "", 0).of_volume


def _hour_after(at_us: int) -> int:
    return -(-at_us // HOUR_US) * HOUR_US


def _free_id(known: Mapping[str, Fault]) -> str:
    return next(name for name in (f"f-{number:04d}" for number in range(1, len(known) + 2)) if name not in known)


def _same(fault: Fault, wanted: Injection) -> bool:
    """Say whether a fault is what is wanted again; when it began is not compared if that was "now"."""
    begun = wanted.start is None or fault.start_us in (to_us(wanted.start), _hour_after(to_us(wanted.start)))
    return begun and (fault.kind, fault.asset, fault.size, fault.ramp_s, fault.position, fault.detail) == (
        wanted.kind, wanted.asset, wanted.size or 0.0, wanted.ramp_minutes * 60.0, wanted.position, wanted.detail,
    )  # fmt: skip


def _shown(fault: Fault, now_us: int) -> Shown:
    over = fault.end_us is not None and fault.end_us <= max(now_us, fault.start_us)
    return Shown(
        id=fault.fault_id,
        kind=fault.kind,
        asset=fault.asset,
        size=fault.size,
        start=from_us(fault.start_us),
        end=None if fault.end_us is None else from_us(fault.end_us),
        ramp_minutes=fault.ramp_s / 60.0,
        position=fault.position,
        detail=fault.detail,
        state="over" if over else "active" if fault.start_us <= now_us else "coming",
    )


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat(timespec="seconds").replace("+00:00", "Z")
