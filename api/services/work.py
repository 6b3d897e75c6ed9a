"""Work items: what needs work but no alarm, as daily lists; findings of the analysis stand among them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.model.finding import FindingStatus
from gateway.store import finding_rows, user_rows, work_rows
from gateway.store.work_rows import StoredItem

_LIVE = (FindingStatus.OPEN, FindingStatus.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Work:
    """One line of a work list."""

    id: str
    """`W-7` for a work item, `F-7` for a finding"""
    kind: str
    subject: str
    zone: str
    made_at: datetime
    open: bool
    detail: dict[str, Any]


def work_list(parts: Parts, day: date | None) -> list[Work]:
    """Return what was found on a local day, or all that is open; oldest first."""
    with parts.state.read() as connection:
        if day is None:
            items = work_rows.open_items(connection)
        else:
            zone = ZoneInfo(parts.site.gas_day.timezone)
            first = datetime.combine(day, time(), zone)
            items = work_rows.made_between(connection, first, datetime.combine(day + timedelta(days=1), time(), zone))
        found = finding_rows.list_findings(connection, limit=finding_rows.MAX_ROWS)
    lines = [_of_item(parts, stored) for stored in items]
    local = ZoneInfo(parts.site.gas_day.timezone)
    for stored in found:
        finding = stored.finding
        live = finding.status in _LIVE
        if live if day is None else finding.detected_at.astimezone(local).date() == day:
            detail = {"score": finding.score, "estimate_m3_per_day": finding.estimate_m3_per_day}
            subject = finding.meter or finding.zone
            lines.append(
                Work(f"F-{stored.finding_id}", finding.kind, subject, finding.zone, finding.detected_at, live, detail)
            )
    return sorted(lines, key=lambda line: (line.made_at, line.id))


def finish(parts: Parts, user: User, item_id: int, note: str) -> StoredItem:
    """Say that a work item is done. Raises RefusedError 403, 404 `unknown_item`, 409 `already_done`."""
    parts.auth.permit(user, Act.WORK_ITEM_DO)
    now = parts.clock.now()
    with parts.state.write() as connection:
        done = work_rows.done(connection, item_id, user.name, note, now)
        detail = {"kind": done.item.kind, "note": note}
        user_rows.add_audit(
            connection, parts.clock.now_us(), user.name, "work_item.done", subject=done.item.subject, detail=detail
        )
    return done


def as_csv(lines: list[Work]) -> str:
    """Return a work list as CSV."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("id", "kind", "subject", "zone", "made_at", "open"))
    for line in lines:
        made = line.made_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        table.writerow((line.id, line.kind, line.subject, line.zone, made, int(line.open)))
    return out.getvalue()


def _of_item(parts: Parts, stored: StoredItem) -> Work:
    item = stored.item
    asset = item.subject.rpartition("@")[2]
    zone = parts.network.zone_of(asset)
    return Work(
        f"W-{stored.id}", item.kind, item.subject, zone, item.made_at, stored.done_at is None, dict(item.detail)
    )
