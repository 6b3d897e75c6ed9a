"""HTML of a meter's gas days: what it counted, how that is known, and which rules spoke."""

from __future__ import annotations

from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from api.pages.parts.export_html import export
from api.pages.parts.meters_html import said
from api.services.format import UNKNOWN, number
from api.services.intervals import Day, MeterDays
from api.text import Texts, mark
from gateway.meterdata.rules import RULES

STATUSES = {"measured": mark("measured"), "estimated": mark("estimated"), "missing": mark("missing")}
METHODS = {
    "register": mark("read at both ends"),
    "interpolation": mark("straight line across a short run without readings"),
    "like_days": mark("as meters of its class used gas on these days"),
    "flat_share": mark("the register's step shared evenly"),
    "class_profile": mark("a usual day of the meter or of its class"),
    "none": mark("nothing is known"),
    "manual": mark("set by hand"),
}


def days(found: MeterDays, tr: Texts, timezone: str, decimals: int) -> str:
    """Return the table of gas days, the latest first, with the verdicts on them."""
    if not found.days:
        return said(tr("No gas day has been audited yet."))
    head = (
        f'<th>{escape(tr("Gas day"))}</th><th class="num">{escape(tr("Volume"))} <small>m³</small></th>'
        f"<th>{escape(tr('Known by'))}</th><th>{escape(tr('Questioned by'))}</th>"
        f'<th class="num">{escape(tr("Revision"))}</th>'
    )
    rows = "".join(_row(day, found, tr, timezone, decimals) for day in reversed(found.days))
    taken = export(tr, "meter-days", meter=found.meter)
    return (
        f'<table class="gg-table tight gg-days"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f'<div class="gg-foot">{taken}</div>'
    )


def _row(day: Day, found: MeterDays, tr: Texts, timezone: str, decimals: int) -> str:
    estimated = day.status != "measured"
    method = tr(METHODS.get(day.method, day.method))
    by = f" · {day.who}: {day.note}" if day.who else ""
    codes = sorted({*day.rules, *_fired(day, found)})
    rules = ", ".join(f"{code} {RULES[code].name}" if code in RULES else code for code in codes)
    return (
        f"<tr><td>{day.gas_day}</td>"
        f'<td class="num{" gg-estimate" if estimated else ""}">{number(day.volume_m3, decimals)}</td>'
        f'<td class="dim" title="{escape(method + by)}">{escape(tr(STATUSES.get(day.status, day.status)))} · '
        f"{escape(method + by)}</td>"
        f'<td class="dim" title="{escape(rules)}">{escape(", ".join(codes)) or UNKNOWN}</td>'
        f'<td class="num dim" title="{_local(day.computed_at, timezone)}">{day.revision}</td></tr>'
    )


def _fired(day: Day, found: MeterDays) -> set[str]:
    """Return the rules whose newest verdict holds and touches a day."""
    newest = {(one.rule, one.source_time): one for one in found.verdicts}
    return {one.rule for one in newest.values() if one.holds and one.since < day.ends and one.until >= day.begins}


def _local(moment: datetime, timezone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"
