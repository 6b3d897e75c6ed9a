"""HTML of the reading audit: questioned readings, what was decided, meters that wait for a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape

from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.services.format import UNKNOWN, clock_time, full_time, number, significant
from api.services.intervals import MeterDays, RawReading
from api.services.questioned import Case, Decision
from api.services.unread import Waiting
from api.text import Texts, mark

RULES = {
    "V01": mark("gap in the readings"),
    "V02": mark("several values of one moment"),
    "V03": mark("register rolled over"),
    "V04": mark("meter exchanged"),
    "V05": mark("register began anew"),
    "V06": mark("register runs backwards"),
    "V07": mark("faster than the meter can"),
    "V08": mark("one reading stands out"),
    "V09": mark("unusual use"),
    "V10": mark("no use while others use gas"),
    "V13": mark("use jumps by a factor"),
    "V14": mark("the device's clock is wrong"),
    "V15": mark("gas while closed"),
    "V16": mark("credit does not follow the register"),
    "V17": mark("corrector is off"),
    "V18": mark("estimated for long"),
}
UNREAD = {
    "over_12": mark("over 12 months"),
    "6_12": mark("6 to 12 months"),
    "4_6": mark("4 to 6 months"),
    "never": mark("never read"),
    "failing": mark("newest attempt failed"),
}
JUDGED = {
    "chosen": mark("chosen"),
    "not_chosen": mark("not chosen"),
    "clock_suspect": mark("clock suspect"),
    "before_installation": mark("before installation"),
    "late": mark("came late"),
}
_MOST_RAW = 48
_SHOWN_EVIDENCE = 8


def rule_name(code: str, tr: Texts) -> str:
    """Name a rule."""
    return tr(RULES[code]) if code in RULES else code


def rules(counts: Mapping[str, int], chosen: str, tr: Texts) -> str:
    """Return the choice of a rule with how many cases each has."""
    every = sum(counts.values())
    options = [("", f"{tr('All rules')} ({every})")]
    options += [(code, f"{code} {rule_name(code, tr)} ({count})") for code, count in counts.items()]
    return (
        f'<select class="gg-input" name="rule" aria-label="{escape(tr("Rule"))}">'
        + "".join(
            f'<option value="{code}"{" selected" if code == chosen else ""}>{escape(text)}</option>'
            for code, text in options
        )
        + "</select>"
    )


def cases(found: Sequence[Case], chosen: int, tr: Texts, timezone: str, now: datetime, *, more: bool) -> str:
    """Return the cases that wait for a decision."""
    if not found:
        return f'<div class="gg-empty">{empty(tr("No reading waits for a decision."))}</div>'
    lines = "".join(
        f'<tr data-case="{one.id}" data-pick tabindex="0" aria-selected="{_yes(one.id == chosen)}">'
        f"<td><b>{escape(one.meter)}</b><small>{escape(one.zone_name)}</small></td>"
        f"<td>{escape(one.rule)} {escape(rule_name(one.rule, tr))}</td>"
        f"<td>{clock_time(one.source_time, timezone, now)}</td></tr>"
        for one in found
    )
    head = (tr("Meter"), tr("Questioned by"), tr("Reading of"))
    older = (
        f'<p class="gg-way"><button type="button" class="gg-button" data-older>{escape(tr("Older ones"))}</button></p>'
    )
    return table(head, lines, classes="tight-rows gg-cases") + (older if more else "")


def decided(found: Sequence[Decision], tr: Texts, timezone: str, now: datetime) -> str:
    """Return what was decided, the newest first."""
    if not found:
        return f'<div class="gg-empty">{empty(tr("Nothing was decided yet."))}</div>'
    lines = "".join(
        f'<tr><td><a class="gg-link" href="/meters/{escape(one.meter)}">{escape(one.meter)}</a></td>'
        f"<td>{escape(one.rule)} {escape(rule_name(one.rule, tr))}</td>"
        f"<td>{escape(tr('reading accepted') if one.accepted else tr('rejected'))}</td>"
        f'<td class="wrap">{escape(one.reason)}<small>{escape(one.who)} · '
        f"{clock_time(one.at, timezone, now)}</small></td></tr>"
        for one in found
    )
    return table((tr("Meter"), tr("Questioned by"), tr("Decision"), tr("Reason")), lines, classes="tight-rows")


def unread(found: Waiting, chosen: str, tr: Texts, timezone: str) -> str:
    """Return the classes of meters long unread with their counts, and the meters of one."""
    classes = "".join(
        f'<button type="button" data-class="{key}" aria-pressed="{_yes(key == chosen)}">{escape(tr(name))} '
        f"<b>{found.counts.get(key, 0)}</b></button>"
        for key, name in UNREAD.items()
    )
    lines = "".join(
        f'<tr><td><a class="gg-link" href="/meters/{escape(one.meter)}">{escape(one.meter)}</a></td>'
        f'<td class="num">{UNKNOWN if one.days is None else number(one.days)}</td>'
        f"<td>{full_time(one.last_read, timezone)}</td><td>{escape(one.zone_name)}</td></tr>"
        for one in found.unread.get(chosen, ())
    )
    shown = (
        table((tr("Meter"), tr("Days unread"), tr("Last read"), tr("Zone")), lines, numbers=1)
        if lines
        else f'<div class="gg-empty">{empty(tr("No meter of this class."))}</div>'
    )
    when = escape(tr("found at {time}", time=full_time(found.at, timezone)))
    tools = f'<span class="gg-seg">{classes}</span><span class="gg-dim">{when}</span>'
    return f'<div class="gg-bar-tools">{tools}</div>{shown}'


def old(found: Waiting, tr: Texts) -> str:
    """Return homes' meters past their life, the oldest first."""
    if not found.old:
        return f'<div class="gg-empty">{empty(tr("No home has a meter older than ten years."))}</div>'
    lines = "".join(
        f'<tr><td><a class="gg-link" href="/meters/{escape(one.meter)}">{escape(one.meter)}</a></td>'
        f'<td class="num">{number(one.years, 1)}</td><td>{one.installed_on}</td><td>{escape(one.zone_name)}</td></tr>'
        for one in found.old
    )
    text = escape(tr("{count} meters in homes are older than ten years.", count=number(found.old_count)))
    years = f"{tr('Age')} ({tr('years')})"
    return f'<p class="gg-padded gg-dim">{text}</p>' + table(
        (tr("Meter"), years, tr("Installed"), tr("Zone")), lines, 1
    )


def head(case: Case, tr: Texts, timezone: str) -> str:
    """Return what is questioned, and the figures that the rule judged by."""
    figures = "".join(
        f"<div><small>{escape(_figure_name(name))}</small>{significant(value)}</div>"
        for name, value in list(case.evidence.items())[:_SHOWN_EVIDENCE]
    )
    span = full_time(case.since, timezone)
    if case.until > case.since:
        span += f" – {full_time(case.until, timezone)}"
    return (
        f'<div class="gg-ticket-title"><span class="gg-class">{escape(case.rule)}</span>'
        f"<h1>{escape(rule_name(case.rule, tr))}</h1>"
        f'<a class="gg-link" href="/meters/{escape(case.meter)}">{escape(case.meter)} →</a></div>'
        f'<div class="gg-facts few"><div><small>{escape(tr("Reading of"))}</small>'
        f"{full_time(case.source_time, timezone)}</div>"
        f"<div><small>{escape(tr('About'))}</small>{span}</div>{figures}</div>"
    )


def raw(found: MeterDays, case: Case, tr: Texts, timezone: str) -> str:
    """Return the raw readings around the case, the questioned moment marked; nothing of them is ever changed."""
    near = sorted(found.raw, key=lambda one: abs((one.source_time - case.source_time).total_seconds()))[:_MOST_RAW]
    rows = "".join(_raw(one, case, tr, timezone) for one in sorted(near, key=lambda one: one.source_time))
    if not rows:
        return f'<div class="gg-empty">{empty(tr("No raw reading is near."))}</div>'
    head = (tr("Device time"), f"{tr('Register')} (m³)", tr("Quality"))
    return table(head, rows, numbers=1, classes="gg-raw")


def _raw(one: RawReading, case: Case, tr: Texts, timezone: str) -> str:
    marked = "marked" if one.source_time == case.source_time else ""
    came = escape(tr("came at {time}", time=full_time(one.received_time, timezone)))
    quality = tr(_SEVERITIES.get(one.severity, one.severity))
    judged = f" · {tr(JUDGED[one.judged])}" if one.judged in JUDGED else ""
    return (
        f'<tr class="{marked}" title="{came}"><td>{full_time(one.source_time, timezone)}</td>'
        f'<td class="num">{number(one.value_m3, 3)}</td><td>{escape(quality + judged)}</td></tr>'
    )


def form(case: Case, found: MeterDays | None, tr: Texts, key: str) -> str:
    """Return the form of a decision; the volume offered is the day's present one."""
    volume, values = "", ""
    if found is not None:
        day = next((one for one in found.days if one.gas_day == case.gas_day.isoformat()), None)
        volume = "" if day is None or day.volume_m3 is None else f"{day.volume_m3:g}"
        if case.rule == "V02":
            known = sorted({one.value_m3 for one in found.raw if one.source_time == case.source_time and one.value_m3})
            options = "".join(f'<option value="{value!r}">{number(value, 3)} m³</option>' for value in known)
            label = escape(tr("Value that counts"))
            values = f'<label>{label}<select class="gg-input" name="value">{options}</select></label>'
    latest = case.gas_day.isoformat()
    return (
        f'<form class="gg-call gg-decide" data-key="{escape(key)}">'
        f'<label class="wide">{escape(tr("Reason"))}<input class="gg-input" name="reason" required minlength="3" '
        f'maxlength="500" autocomplete="off"></label>{values}'
        f'<label>{escape(tr("Gas day"))}<input class="gg-input" type="date" name="day" value="{latest}"></label>'
        f'<label>{escape(tr("Volume if rejected"))} (m³)<input class="gg-input" type="number" step="any" min="0" '
        f'name="volume" value="{volume}"></label><div class="gg-actions">'
        f'<button class="gg-button primary" type="submit" name="do" value="accept">{escape(tr("Accept"))}</button>'
        f'<button class="gg-button" type="submit" name="do" value="reject">{escape(tr("Reject"))}</button></div></form>'
    )


def _figure_name(name: str) -> str:
    """Return a figure's name with its unit; the rules name them in English."""
    stem, _, unit = name.rpartition("_")
    units = {"m3": "m³", "m3h": "m³/h", "s": "s", "days": "d"}
    return f"{stem.replace('_', ' ')} ({units[unit]})" if stem and unit in units else name.replace("_", " ")


def day_of(text: str) -> date | None:
    """Return the day of a form, None for none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


_SEVERITIES = {"good": mark("good"), "uncertain": mark("uncertain"), "bad": mark("bad")}


def _yes(value: bool) -> str:
    return "true" if value else "false"
