"""The demo's story: what goes wrong in the simulated city, when, and what a viewer should look at."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from gateway.model.reading import from_us, to_us
from simulators.city import LIVE_START, Plan, story_meters
from simulators.faults import Fault, FaultKind

GAS_SITE = "REG-002"
SILENT_STATION = "S-02"
BYPASS_PASSES = 0.08
"""share of the gas that the bypassed meter still sees"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One thing to look at; `begin` and `end` are city moments."""

    chapter_id: str
    begin: datetime
    end: datetime | None
    title_en: str
    title_zh: str
    look_en: str
    look_zh: str

    def state(self, now: datetime) -> str:
        """Return coming, now or past."""
        if now < self.begin:
            return "coming"
        return "past" if self.end is not None and now >= self.end else "now"

    def to_json(self, now: datetime) -> dict[str, Any]:
        """Return the note for the page."""
        return {
            "at": self.begin.isoformat().replace("+00:00", "Z"),
            "id": self.chapter_id,
            "state": self.state(now),
            "title_en": f"Simulated: {self.title_en}",
            "title_zh": f"模拟：{self.title_zh}",
            "look_en": self.look_en,
            "look_zh": self.look_zh,
        }


def _after(minutes: float) -> datetime:
    """Return the moment some city minutes after the first live start (30 of them are a real minute at speed 30)."""
    return LIVE_START + timedelta(minutes=minutes)


GAS_AT = _after(12.5)
BROKER_AT, BROKER_AWAY_S = _after(22.5), 8.0
"""the broker is away for this many real seconds"""
SILENT_AT, SILENT_UNTIL = _after(35.0), _after(70.0)
BAD_INPUT_AT = _after(47.5)
DAY_CLOSES_AT = _after(60.0)


def past_faults(plan: Plan) -> tuple[Fault, ...]:
    """Return what began before the live start; a history too short for it begins with it."""
    business, home = story_meters(plan)
    return (
        _in_history(plan, "story-bypass", FaultKind.BYPASS, business, days=0, size=BYPASS_PASSES),
        _in_history(plan, "story-stopped", FaultKind.STOPPED, home, days=5, size=0.0),
    )


def _in_history(plan: Plan, fault_id: str, kind: FaultKind, meter: str, *, days: int, size: float) -> Fault:
    start = max(DAY_CLOSES_AT - timedelta(days=days + 1), plan.start)
    return Fault(fault_id, kind, meter, to_us(start), size=size)


def live_faults() -> tuple[Fault, ...]:
    """Return what happens by itself after the live start."""
    return (
        Fault("story-gas", FaultKind.GAS_CLOUD, GAS_SITE, to_us(GAS_AT), size=28.0, ramp_s=180.0),
        Fault("story-silent", FaultKind.SILENT, SILENT_STATION, to_us(SILENT_AT), to_us(SILENT_UNTIL)),
    )


def chapters(plan: Plan, faults: Sequence[Fault]) -> tuple[Chapter, ...]:
    """Return the story for the page; the gas chapter is over when its fault has been repaired."""
    repaired = next((fault.end_us for fault in faults if fault.fault_id == "story-gas"), None)
    times: dict[str, tuple[datetime, datetime | None]] = {
        "gas": (GAS_AT, None if repaired is None else from_us(repaired)),
        "broker": (BROKER_AT, BROKER_AT + timedelta(minutes=8)),
        "silent": (SILENT_AT, SILENT_UNTIL),
        "bad-input": (BAD_INPUT_AT, BAD_INPUT_AT + timedelta(minutes=10)),
        "loss": (DAY_CLOSES_AT, None),
        "non-moving": (LIVE_START, None),
    }
    business, home = story_meters(plan)
    names = {"gas": GAS_SITE, "station": SILENT_STATION, "business": business, "home": home}
    text = tomllib.loads(resources.files("simulators").joinpath("story.toml").read_text(encoding="utf-8"))
    return tuple(
        Chapter(chapter_id, *span, **{key: value.format(**names) for key, value in text[chapter_id].items()})
        for chapter_id, span in times.items()
    )
