"""Meters: found, shown, and what the reading audit keeps of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.routes.commands import command_json
from api.services import decisions, meter, meters
from api.services.intervals import meter_days
from api.shapes import ChoiceBody, EditBody, alarm_json, finding_json, plain
from gateway.errors import RefusedError

router = APIRouter(tags=["meters"])
Word = Annotated[str, Query(max_length=120)]


@router.get("/meters")
def found(  # noqa: PLR0917 - one parameter of the query each
    user: Reader,
    parts: PartsDep,
    text: Annotated[str, Query(max_length=meters.LONGEST_TEXT)] = "",
    zone: Word = "",
    kind: Word = "",
    role: Word = "",
    customer_class: Word = "",
    account: Word = "",
    after: Annotated[int, Query(ge=-1, le=2**31)] = -1,
    limit: Annotated[int, Query(ge=1, le=meters.LARGEST_PAGE)] = 50,
) -> dict[str, Any]:
    """Return meters of which id, account or address hold a text, in the order of the company's file.

    Without the right `customer.read` account and address are hidden, and only ids are searched.
    """
    wanted = meters.Wanted(text, zone, kind, role, customer_class, account)
    page = meters.find_meters(parts, user, wanted, after=after, limit=limit)
    return {"meters": [plain(one) for one in page.meters], "after": page.after}


@router.get("/meters/{meter_id}")
async def one(meter_id: Annotated[str, Path(max_length=120)], user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return one meter with its newest readings, signs, purchases, events, commands and findings."""
    view = await meter.one_meter(parts, user, meter_id)
    purchases, events = await meter.happened(parts, meter_id)
    return {
        **plain(view.meter),
        "path": [zone for zone, _ in view.path],
        "newest": {name: plain(one) for name, one in view.newest.items()},
        "flags": list(view.flags),
        "clock_offset_s": None if view.clock_offset is None else view.clock_offset.total_seconds(),
        "last_heard": plain(view.last_heard),
        "links": plain(view.links),
        "links_known": view.links_known,
        "purchases": plain(purchases),
        "events": plain(events),
        "commands": [command_json(one) for one in view.commands],
        "alarms": [alarm_json(one) for one in view.alarms],
        "findings": [finding_json(one) for one in view.findings],
    }


@router.get("/meters/{meter}/intervals")
async def intervals(
    meter: Annotated[str, Path(max_length=120)],
    _user: Annotated[User, Depends(Require(Act.READING_AUDIT))],
    parts: PartsDep,
    first: date,
    last: date,
) -> dict[str, Any]:
    """Return raw readings, verdicts, and the gas days `first` to `last` with estimates and reasons."""
    _sane(first, last)
    return plain(await meter_days(parts, meter, first, last))  # type: ignore[no-any-return]


@router.post("/meters/{meter}/choice")
async def choice(
    meter: Annotated[str, Path(max_length=120)],
    body: ChoiceBody,
    user: Annotated[User, Depends(Require(Act.READING_DECIDE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Let one of several values of a device time count, or none again."""
    _sane(body.source_time)
    decided = await decisions.choose(parts, user, meter, body.source_time, body.value_m3, reason=body.reason)
    return plain(decided)  # type: ignore[no-any-return]


@router.post("/meters/{meter}/intervals/{gas_day}")
async def set_day(
    meter: Annotated[str, Path(max_length=120)],
    gas_day: date,
    body: EditBody,
    user: Annotated[User, Depends(Require(Act.READING_DECIDE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Set a gas day by hand, or let it be again what its readings tell."""
    _sane(gas_day)
    return plain(await decisions.set_day(parts, user, meter, gas_day, body.volume_m3, reason=body.reason))  # type: ignore[no-any-return]


def _sane(*moments: date) -> None:
    if not all(1990 <= moment.year <= 2190 for moment in moments):
        raise RefusedError(422, "bad_time", "years 1990 to 2190")
