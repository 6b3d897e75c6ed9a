"""The curves that a finding's evidence holds, ready to draw: on a page or on paper. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.text import Texts, mark

Values = Sequence[float | None]
DAILY, HOURLY, VOLUME = mark("m³/day"), "m³/h", "m³"
READ = "read_at"
"""axis of moments at which a register was read"""
CURVES = (
    ("days", DAILY, (("meter_m3", mark("Meter"), "one"), ("expected_m3", mark("Expected"), "two"))),
    (
        "days",
        DAILY,
        (
            ("zone_loss_m3", mark("Loss of the zone"), "one"),
            ("above_loss_m3", mark("Loss of the zone above"), "two"),
            ("deficit_m3", mark("Explained by this finding"), "warn"),
        ),
    ),
    ("hours", HOURLY, (("zone_loss_m3h", mark("Loss of the zone"), "one"), ("usual_m3h", mark("Usual"), "two"))),
    (READ, VOLUME, (("register_m3", mark("Register"), "one"),)),
    (READ, VOLUME, (("disagreement_m3", mark("Register against credit"), "one"),)),
)
"""key of the axis, unit, and the lines: key, name and style"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `style` is one, two or warn: the main one, what it is compared with, what stands out."""

    name: str
    values: Values
    style: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over one axis of days or moments, in one unit; `mark` is the place of the onset on it, or empty."""

    at: Sequence[str]
    lines: Sequence[Line]
    unit: str
    mark: str
    level: bool = False
    """whether only what changes matters, as of a register, and not how far it is from 0"""


def curves_of(facts: Mapping[str, Any], onset_day: str, tr: Texts, timezone: str) -> list[Curve]:
    """Return what can be drawn of a finding's evidence; what is no curve of full length is left out.

    Moments are shown in the site's time zone.
    """
    drawn: list[Curve] = []
    for axis, unit, wanted in CURVES:
        at = facts.get(axis)
        if not isinstance(at, list) or not at:
            continue
        lines = [
            Line(tr(name), values, style)
            for key, name, style in wanted
            if isinstance(values := facts.get(key), list) and len(values) == len(at)
        ]
        if lines:
            places = [str(one) if axis == "days" else _local(str(one), timezone) for one in at]
            begun = _local(str(facts["begun"]), timezone) if axis == "hours" and "begun" in facts else onset_day
            drawn.append(Curve(places, lines, tr(unit), _mark(places, begun), level=axis == READ))
    return drawn


def _mark(places: Sequence[str], begun: str) -> str:
    """Return the first place of an axis that is not before the onset, empty where the onset lies outside."""
    if not begun or begun < places[0]:
        return ""
    return next((place for place in places if place >= begun), "")


def _local(moment: str, timezone: str) -> str:
    """Return a moment in ISO 8601 as local date and time, to the minute; what is none stays as it is."""
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}" if at.tzinfo is not None else moment
