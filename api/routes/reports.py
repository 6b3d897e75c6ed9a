"""The figures of a month: those of the sheet, and how many meters were read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.deps import PartsDep, Reader
from api.services.month import Span, month_figures, span_of, this_month
from api.services.reading_rates import Rate, reading_rates
from api.shapes import plain

router = APIRouter(tags=["reports"])
Month = Annotated[str | None, Query(max_length=7)]


@router.get("/month")
def month(_user: Reader, parts: PartsDep, month: Month = None) -> dict[str, Any]:
    """Return each figure of a month (else the one that goes on) with its goal and what it was the month before."""
    span = span_of(parts, month or this_month(parts))
    figures = [{**plain(one), "met": one.met} for one in month_figures(parts, span.month)]
    return {**_days(span), "figures": figures}


@router.get("/reading-rates")
def rates(_user: Reader, parts: PartsDep, month: Month = None) -> dict[str, Any]:
    """Return how many meters were read in a month, the whole city first; no lines where no gas day was audited."""
    span = span_of(parts, month or this_month(parts))
    found = reading_rates(parts, span.first, span.last_gas_day) if span.has_gas_days else None
    lines = [
        {"zone": line.zone, "name": line.name, "homes": _rate(line.homes), "others": _rate(line.others)}
        for line in found or ()
    ]
    return {**_days(span), "lines": lines}


def _days(span: Span) -> dict[str, Any]:
    return {"month": span.month, "first": plain(span.first), "last": plain(span.last_gas_day)}


def _rate(one: Rate) -> dict[str, Any]:
    shown: dict[str, Any] = plain(one)
    return {**shown, "share": one.share, "share_of_days": one.share_of_days}
