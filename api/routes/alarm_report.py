"""The report on the alarm system itself, and the lists that are read at a hand-over."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import PlainTextResponse

from alarms.kpi import Report, targets
from api.auth import User
from api.deps import Parts, PartsDep, Reader, Require
from api.roles import Act
from api.services import alarm_month, work
from api.services.alarm_report import reports
from api.services.handover import flood_json, handover
from api.services.verdicts import false_alarms
from api.shapes import Body, Text, alarm_json, plain, removal_json
from gateway.errors import RefusedError
from gateway.store import alarm_rows

router = APIRouter(tags=["alarms"])
DAYS = 30
MOST_LISTED = 500
FIRST_YEAR, LAST_YEAR = 1990, 2190
Day = Annotated[date | None, Query()]


class DoneBody(Body):
    """What was done."""

    note: Text = ""


@router.get("/alarm-report")
def report(_user: Reader, parts: PartsDep, first: Day = None, last: Day = None) -> dict[str, Any]:
    """Return the report on the alarm system per position, over the last 30 local days or those asked for."""
    begin, end = _span(parts, first, last)
    found = reports(parts, begin, end)
    false = [{**plain(one), "share": one.share} for one in false_alarms(parts, begin, end)]
    positions = {name: _json(own) for name, own in found.items()}
    answered = {name: plain(asdict(one)) for name, one in alarm_month.answers(parts, begin, end).items()}
    return {
        "first": plain(begin),
        "last": plain(end),
        "positions": positions,
        "answers": answered,
        "false_alarms": false,
    }


@router.get("/alarm-month")
def month(_user: Reader, parts: PartsDep, first: Day = None, last: Day = None) -> dict[str, Any]:
    """Return what is to be looked at each month: points without data, alarms that were hidden, false alarms."""
    begin, end = _span(parts, first, last)
    gas_day = parts.site.gas_day.of(parts.clock.now()) - timedelta(days=1)
    found = alarm_month.month_lists(parts, begin, end, min(end, gas_day))
    return {"first": plain(begin), "last": plain(end), **plain(asdict(found))}


@router.get("/alarm-report.csv", response_class=PlainTextResponse)
def report_csv(_user: Reader, parts: PartsDep, first: Day = None, last: Day = None) -> PlainTextResponse:
    """Return the days of the report as CSV."""
    begin, end = _span(parts, first, last)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("position", "day", "announced", "buckets", "busy_buckets", "most_in_bucket", "stale"))
    for name, own in reports(parts, begin, end).items():
        for day in own.days:
            counts = (day.announced, day.buckets, day.busy_buckets, day.most_in_bucket, day.stale)
            table.writerow((name, day.day.isoformat(), *counts))
    return PlainTextResponse(out.getvalue(), media_type="text/csv")


@router.get("/alarm-lists")
def lists(_user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return what is read at every hand-over: hidden and old alarms, those that come and go, the flood."""
    found = handover(parts)
    listed = {
        name: [alarm_json(view) for view in getattr(found, name)[:MOST_LISTED]]
        for name in ("stale", "shelved", "suppressed", "out_of_service")
    }
    return {
        **listed,
        "suppressed_count": len(found.suppressed),
        "at": plain(found.at),
        "flood": plain(flood_json(found.flood)),
        "floods": [plain(flood_json(one)) for one in found.floods],
        "approve_again": list(found.approve_again),
        "review": list(found.review),
        "too_many_shelved": found.too_many_shelved,
        "chattering": found.chattering,
        "removals": [removal_json(one) for one in found.removals],
    }


@router.get("/alarm-journal/check")
def check(_user: Annotated[User, Depends(Require(Act.AUDIT_READ))], parts: PartsDep) -> dict[str, Any]:
    """Prove the journal's chain: whether every line is as it was written, and the first that is not."""
    with parts.state.read() as connection:
        wrong = alarm_rows.verify_journal(connection)
        return {"lines": alarm_rows.last_journal_seq(connection), "whole": wrong is None, "first_wrong": wrong}


@router.get("/work-items")
def work_items(_user: Reader, parts: PartsDep, day: Day = None) -> dict[str, Any]:
    """Return the work that was found on a local day; without one, all that is open."""
    _sane(day)
    return {"work": plain([asdict(line) for line in work.work_list(parts, day)])}


@router.get("/work-items.csv", response_class=PlainTextResponse)
def work_items_csv(_user: Reader, parts: PartsDep, day: Day = None) -> PlainTextResponse:
    """Return the same as CSV."""
    _sane(day)
    return PlainTextResponse(work.as_csv(work.work_list(parts, day)), media_type="text/csv")


@router.post("/work-items/{item_id}/done")
def finish(
    item_id: Annotated[int, Path(ge=1, le=2**53)],
    body: DoneBody,
    user: Annotated[User, Depends(Require(Act.WORK_ITEM_DO))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Say that a work item is done."""
    shown: dict[str, Any] = plain(work.finish(parts, user, item_id, body.note))
    return shown


@router.post("/work-items/{item_id}/release", status_code=201)
def release(
    item_id: Annotated[int, Path(ge=1, le=2**53)],
    user: Annotated[User, Depends(Require(Act.FINDING_RELEASE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Let somebody do it: the work becomes a CHECK ticket, or joins the open one of its meter."""
    done = parts.checks.release_item(item_id, user.name, wall_s=time.time())
    return {"ticket_no": done.ticket_no, "joined": bool(done.joined)}


def _span(parts: Parts, first: date | None, last: date | None) -> tuple[date, date]:
    _sane(first, last)
    end = parts.clock.now().astimezone(ZoneInfo(parts.site.gas_day.timezone)).date() if last is None else last
    return end - timedelta(days=DAYS - 1) if first is None else first, end


def _sane(*days: date | None) -> None:
    if any(day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR for day in days):
        raise RefusedError(422, "bad_time", f"years {FIRST_YEAR} to {LAST_YEAR}")


def _json(own: Report) -> dict[str, Any]:
    judged = [{**plain(one), "verdict": one.verdict} for one in targets(own)]
    return {**plain(own), "targets": judged}
