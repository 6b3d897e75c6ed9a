"""False alarms: the desk's verdict on an occurrence, and how often each definition's alarms were false."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from alarms import kpi
from alarms.false_alarms import FalseAlarms, count_false, newest
from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services.acts import one_alarm
from api.services.alarm_report import LONGEST_DAYS
from gateway.errors import RefusedError
from gateway.model.network import Network
from gateway.store import user_rows, verdict_rows
from gateway.store.verdict_rows import Verdict

SHOWN_DAYS = 365
"""over which the page of the definitions counts"""


def judge(parts: Parts, user: User, verdict: Verdict, request_id: str) -> Verdict:
    """Keep what a person says about an occurrence; alarm, ticket and clocks stay as they are.

    Raises RefusedError 401, 403, 404 `unknown_alarm`, 409 `stale_occurrence` for one that never was,
    `request_id_used`, or 422 `reason_required`.
    """
    parts.auth.permit(user, Act.ALARM_ACKNOWLEDGE)
    if not verdict.reason.strip():
        raise RefusedError(422, "reason_required")
    known = one_alarm(parts, verdict.alarm_id).alarm.occurrence_no
    if not 1 <= verdict.occurrence_no <= known:
        raise RefusedError(409, "stale_occurrence", f"the current occurrence is {known}")
    with parts.state.write() as connection:
        kept = verdict_rows.add(connection, verdict, request_id)
        if kept is verdict:
            detail = {"occurrence_no": kept.occurrence_no, "false_alarm": kept.false_alarm, "reason": kept.reason}
            user_rows.add_audit(
                connection, parts.clock.now_us(), user.name, "alarm.judge", subject=kept.alarm_id, detail=detail
            )
    return kept


def false_alarms(parts: Parts, first: date, last: date, definition: str = "") -> tuple[FalseAlarms, ...]:
    """Return how often alarms, or those of one definition, raised on local days were false; both days included.

    Raises RefusedError 422 `bad_span`.
    """
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise RefusedError(422, "bad_span", f"1 to {LONGEST_DAYS} days, the first before the last")
    days = kpi.edges_of(first, last, parts.site.gas_day.timezone)
    with parts.state.read() as connection:
        raised = verdict_rows.raised_between(connection, days[0][1], days[-1][2], definition)
        said = [
            (one.at.timestamp(), (one.alarm_id, one.occurrence_no), one.false_alarm)
            for one in verdict_rows.since(connection, days[0][1])
        ]
    return count_false(raised, newest(said), lambda asset: _kind(asset, parts.network))


def of_definition(parts: Parts, definition: str) -> tuple[FalseAlarms, ...]:
    """Return how often alarms of a definition were false in the last `SHOWN_DAYS` days."""
    last = parts.clock.now().astimezone(ZoneInfo(parts.site.gas_day.timezone)).date()
    return false_alarms(parts, last - timedelta(days=SHOWN_DAYS - 1), last, definition)


def _kind(asset: str, network: Network) -> str:
    if asset in network.stations:
        return network.stations[asset].kind
    return "meter" if asset in network.meters else "zone" if asset in network.zones else ""
