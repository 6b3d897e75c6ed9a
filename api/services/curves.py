"""The curves that a finding's evidence holds, ready to draw: on a page or on paper. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.text import Texts, mark

Values = Sequence[float | None]
DAILY, HOURLY, VOLUME = mark("m³/day"), mark("m³/h"), "m³"
CURVES = (
    ("days", DAILY, (("meter_m3", mark("Meter"), "one"), ("expected_m3", mark("Expected"), "two"))),
    (
        "days",
        DAILY,
        (("zone_loss_m3", mark("Loss of the zone"), "one"), ("deficit_m3", mark("Explained by this finding"), "warn")),
    ),
    ("hours", HOURLY, (("zone_loss_m3h", mark("Loss of the zone"), "one"), ("usual_m3h", mark("Usual"), "two"))),
    ("read_at", VOLUME, (("disagreement_m3", mark("Register against credit"), "one"),)),
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


def curves_of(facts: Mapping[str, Any], onset_day: str, tr: Texts) -> list[Curve]:
    """Return what can be drawn of a finding's evidence; what is no curve of full length is left out."""
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
            places = [str(one) for one in at]
            drawn.append(Curve(places, lines, tr(unit), _mark(places, facts, axis, onset_day)))
    return drawn


def _mark(places: Sequence[str], facts: Mapping[str, Any], axis: str, onset_day: str) -> str:
    """Return where on an axis the onset stands, empty where it does not."""
    if axis == "days":
        return onset_day if onset_day in places else ""
    first = str(facts.get("first_hour", onset_day))
    return next((place for place in places if place >= first), "") if first >= places[0] else ""
