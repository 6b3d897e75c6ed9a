"""A small examined city as files, for tests of the scorer: two regulator zones, a building, ten meters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.scoring import rate_answer
from gateway.scoring.answer import Answer, findings_of
from gateway.scoring.truth import Truth, read_truth

START = datetime(2024, 2, 1, 22, tzinfo=UTC)
DAYS = 366
METERS = tuple(f"M-{number}" for number in range(10))
ZONES = ("R-1", "R-2")


def iso(days: float) -> str:
    """Return the moment so many days after the start."""
    return (START + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def zone_of(meter: str) -> str:
    return ZONES[int(meter[2:]) % 2]


def event(number: int, kind: str, onset: float, *, days: float | None = None, lag: float = 0.0, **other: Any) -> Any:
    """Return an event of the truth: on meter `number`, or in its zone."""
    meter = METERS[number]
    return {
        "id": f"{kind}-{number}-{onset}", "kind": kind, "type": "plain", "zone": zone_of(meter),
        "meter": None if kind == "leak" else meter, "onset": iso(onset), "effective": iso(onset + lag),
        "end": None if days is None else iso(onset + days), **other,
    }  # fmt: skip


def finding(kind: str, subject: str, day: float, score: float = 0.5, **other: Any) -> dict[str, Any]:
    key = "zone" if kind == "leak" else "meter"
    return {"kind": kind, "zone": None, "meter": None, "detected_at": iso(day), "score": score, key: subject, **other}


def write_city(folder: Path, events: Sequence[Any], *, days: int = DAYS, **other: Any) -> Path:
    folder.mkdir(exist_ok=True)
    zones = [("CITY", ""), ("D-1", "CITY"), ("R-1", "D-1"), ("R-2", "D-1"), ("B-1", "R-1")]
    (folder / "zones.csv").write_text("zone_id,parent_id\n" + "".join(f"{z},{p}\n" for z, p in zones))
    rows = [("V-1", "R-1", "supply"), ("V-2", "R-2", "supply")]
    rows += [(meter, "B-1" if meter == "M-0" else zone_of(meter), "customer") for meter in METERS]
    (folder / "meters.csv").write_text("meter_id,zone_id,role\n" + "".join(f"{m},{z},{r}\n" for m, z, r in rows))
    truth = {
        "dataset": "examined", "start": iso(0), "end": iso(days), "first_gas_day": "2024-02-02", "gas_days": days,
        "events": list(events), "confounders": [],
        "zones": {
            zone: {"kind": "regulator", "parent": "D-1", "clean": False, "prompt": zone == "R-1",
                   "mean_flow_m3_per_day": 100.0} for zone in ZONES
        },
        "loss": {zone: {"supply_m3": [100.0] * days, "loss_m3": [2.0] * days} for zone in ZONES},
    } | other  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


def truth_of(folder: Path, events: Sequence[Any], **other: Any) -> Truth:
    return read_truth(write_city(folder, events, **other))


def rated(truth: Truth, findings: Sequence[Any], loss: Sequence[Any] = ()) -> dict[str, Any]:
    return rate_answer(truth, Answer(findings_of(findings), loss))
