"""Stations and regulators with what they measure now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from api.deps import PartsDep, Reader
from api.services import network
from api.shapes import plain

router = APIRouter(tags=["network"])


@router.get("/sites")
async def sites(  # noqa: PLR0917 - one parameter of the query each
    _user: Reader,
    parts: PartsDep,
    text: Annotated[str, Query(max_length=network.LONGEST_TEXT)] = "",
    zone: Annotated[str, Query(max_length=120)] = "",
    kind: Literal["", "station", "regulator"] = "",
    after: Annotated[int, Query(ge=-1, le=2**31)] = -1,
    limit: Annotated[int, Query(ge=1, le=network.LARGEST_PAGE)] = 50,
) -> dict[str, Any]:
    """Return stations and regulators with their newest values, limits, ages and qualities."""
    found = await network.sites(parts, text=text, zone=zone, kind=kind, after=after, limit=limit)
    return {"sites": [site_json(site) for site in found.sites], "after": found.after}


def site_json(site: network.Site) -> dict[str, Any]:
    """Return a site as the API shows it."""
    return {
        **plain(site.station),
        "zone_name": site.zone_name,
        "values": [{**plain(value), "outside": value.outside or None} for value in site.values],
    }
