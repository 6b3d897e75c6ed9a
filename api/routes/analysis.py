"""Loss, findings, zones and readings."""

from __future__ import annotations

import asyncio
import gzip
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, Field

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services import findings as service
from api.services.city import CityFile
from api.services.loss import Period, known_days, loss_months, loss_tree, loss_trend, span, zone_total
from api.services.precision import precision
from api.services.series import MOST_POINTS, MOST_WIDTH, several
from api.services.series import history as history_of
from api.shapes import InspectionBody, finding_json, loss_json, plain
from gateway.errors import RefusedError
from gateway.model.finding import FindingKind, FindingStatus

router = APIRouter(tags=["analysis"])
PointName = Annotated[str, Field(min_length=3, max_length=160)]
_ALL = [status.value for status in FindingStatus]


@router.get("/loss")
def loss(_user: Reader, parts: PartsDep, day: date | None = None, period: Period = Period.DAY) -> dict[str, Any]:
    """Return the balance of every zone over the period that a gas day lies in; without `day`, of the newest."""
    known = known_days(parts)
    last = day or (known[1] if known else None)
    if last is None:
        return {"first": None, "last": None, "zones": []}
    _sane(last)
    first, last = span(period, last)
    lines = loss_tree(parts, first, last)
    return {"first": plain(first), "last": plain(last), "zones": [loss_json(line) for line in lines]}


@router.get("/zones/{zone}/loss")
def zone_loss(
    zone: str, _user: Reader, parts: PartsDep, last: date, days: Annotated[int, Query(ge=1, le=400)] = 62
) -> list[dict[str, Any]]:
    """Return the course of one zone's loss over gas days."""
    if zone not in parts.network.zones:
        raise RefusedError(404, "unknown_zone")
    _sane(last)
    return [plain(line) for line in loss_trend(parts, zone, last, days)]


@router.get("/zones/{zone}/loss-terms")
def zone_loss_terms(
    zone: str, _user: Reader, parts: PartsDep, day: date, period: Period = Period.DAY
) -> dict[str, Any]:
    """Return by which terms supply exceeds registers in one zone, over the period that a gas day lies in."""
    if zone not in parts.network.zones:
        raise RefusedError(404, "unknown_zone")
    _sane(day)
    first, last = span(period, day)
    whole = zone_total(parts, zone, first, last)
    return {"first": plain(first), "last": plain(last), **plain(whole)}


@router.get("/zones/{zone}/loss-months")
def zone_loss_months(
    zone: str, _user: Reader, parts: PartsDep, last: date, months: Annotated[int, Query(ge=1, le=120)] = 13
) -> list[dict[str, Any]]:
    """Return the course of one zone's loss over calendar months."""
    if zone not in parts.network.zones:
        raise RefusedError(404, "unknown_zone")
    _sane(last)
    return [plain(line) for line in loss_months(parts, zone, last, months)]


@router.get("/zones")
def zones(_user: Reader, parts: PartsDep) -> list[dict[str, Any]]:
    """Return the nodes of the balance tree."""
    return [plain(zone) for zone in parts.network.zones.values()]


@router.get("/map")
def network_map(_user: Reader, request: Request) -> Response:
    """Return pipes, stations and meters in local metres, packed; 304 to whoever has it already."""
    city: CityFile = request.app.state.city
    body, tag = city.get()
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(
            gzip.decompress(body), media_type="application/json", headers={**headers, "vary": "accept-encoding"}
        )
    packed = {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(body, media_type="application/json", headers={**headers, **packed})


@router.get("/findings")
def findings(  # noqa: PLR0917 - one parameter of the query each
    _user: Reader,
    parts: PartsDep,
    status: Annotated[list[FindingStatus] | None, Query(max_length=5)] = None,
    kind: FindingKind | None = None,
    zone: Annotated[str | None, Query(max_length=120)] = None,
    subject: Annotated[str | None, Query(max_length=120)] = None,
    least: Annotated[float, Query(ge=0, le=1)] = 0.0,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> list[dict[str, Any]]:
    """Return suspected cases with their evidence, the most certain first; of a zone with all zones below it."""
    wanted = [entry.value for entry in status] if status else _ALL
    zones = None if zone is None else list(parts.network.below(zone))
    found = service.list_findings(parts, wanted, limit, zones=zones, kind=kind, subject=subject, least=least)
    return [finding_json(view) for view in found]


@router.get("/findings/precision")
def findings_precision(_user: Reader, parts: PartsDep) -> list[dict[str, Any]]:
    """Return how often each kind of suspicion was right, as far as people went to look."""
    return [plain(one) for one in precision(parts)]


@router.get("/findings/{finding_id}")
def finding(finding_id: Annotated[int, Path(ge=1, le=2**53)], _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return one suspected case with its evidence and all visits that it led to."""
    view = service.one_finding(parts, finding_id)
    return {**finding_json(view), "visits": plain(service.visits(parts, finding_id))}


@router.post("/findings/{finding_id}/inspection")
def inspection(
    finding_id: Annotated[int, Path(ge=1, le=2**53)],
    body: InspectionBody,
    user: Annotated[User, Depends(Require(Act.FINDING_INSPECT))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Record what an inspection found: confirmed, meter_fault, honest, not_reachable or repaired."""
    view = service.inspect(
        parts,
        user,
        finding_id,
        body.result,
        found_kind=body.found_kind or "",
        found_m3_per_day=body.found_m3_per_day,
        note=body.note,
    )
    return finding_json(view)


@router.get("/points/{asset}/{quantity}/history")
async def history(  # noqa: PLR0917 - one parameter of the query each
    asset: str,
    quantity: str,
    _user: Reader,
    parts: PartsDep,
    start: AwareDatetime,
    end: AwareDatetime | None = None,
    most: Annotated[int, Query(ge=4, le=20_000)] = 2000,
) -> dict[str, Any]:
    """Return readings with start <= source time < end, thinned to about `most` without losing peaks."""
    _sane(start)
    until = end or start + timedelta(days=1)
    _sane(until)
    return plain(await history_of(parts, f"{asset}/{quantity}", start, until, most))  # type: ignore[no-any-return]


@router.get("/series")
async def drawn_series(  # noqa: PLR0917 - one parameter of the query each
    _user: Reader,
    parts: PartsDep,
    point: Annotated[list[PointName], Query(min_length=1, max_length=MOST_POINTS)],
    start: Annotated[AwareDatetime, Query(alias="from")],
    end: Annotated[AwareDatetime, Query(alias="to")],
    width: Annotated[int, Query(ge=10, le=MOST_WIDTH)] = 1000,
    use: bool = False,
) -> Response:
    """Return what a chart of `width` pixels shows of some points, peaks and gaps included.

    Readings with from <= source time < to. `use` gives what registers counted in each hour.
    """
    _sane(start)
    _sane(end)
    found = await several(parts, point, start, end, width, use=use)
    zone = parts.site.gas_day.timezone
    body = {"from": start, "to": end, "timezone": zone, "series": found}
    return Response(await asyncio.to_thread(msgspec.json.encode, body), media_type="application/json")


def _sane(moment: date | datetime) -> None:
    if not 1990 <= moment.year <= 2190:
        raise RefusedError(422, "bad_time", "years 1990 to 2190")
