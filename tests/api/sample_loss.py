"""The sample city's loss of two months, and what is suspected."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.model.reading import to_us
from gateway.store import tables
from gateway.store.state import State

LAST_DAY = date(2026, 1, 14)
COMPUTED = datetime(2026, 1, 14, 22, 40, tzinfo=UTC)


def add_loss(state: State) -> None:
    dice = random.Random(3)
    rows = []
    for back in range(60):
        day = LAST_DAY - timedelta(days=back)
        total = [0.0, 0.0]
        for n, zone in enumerate(("R-001", "R-002", "R-003")):
            supply = 900 + 120 * n + dice.gauss(0, 25) + 200 * math.cos(back / 30)
            rate = dice.gauss(0.011, 0.004) + (0.066 if zone == "R-003" and back < 3 else 0.0)
            unknown = zone == "R-002" and back == 8
            total[0] += supply
            total[1] += supply * rate
            rows.append(_loss_row(zone, day, None if unknown else supply, rate, 0.0055))
        rows.append(_loss_row("CITY", day, total[0], total[1] / total[0], 0.003))
        rows.append(_loss_row("D-2", day, rows[-2]["supply_m3"], rows[-2]["loss_rate"], 0.0055))
    with state.write() as connection:
        connection.execute(tables.loss.insert(), rows)


def _loss_row(zone: str, day: date, supply: float | None, rate: float, sigma: float) -> dict[str, Any]:
    known = supply is not None
    verdict = "not_assessable" if not known else "high" if rate > 0.04 else "normal"
    return {
        "zone": zone,
        "gas_day": day.isoformat(),
        "revision": 1,
        "supply_m3": supply,
        "metered_m3": supply * (1 - rate) if supply else None,
        "linepack_m3": 0.0 if known else None,
        "loss_m3": supply * rate if supply else None,
        "loss_rate": rate if known else None,
        "sigma": sigma if known else None,
        "coverage": 0.99 if known else 0.4,
        "verdict": verdict,
        "reason": "" if known else "supply meter was not read",
        "computed_at": to_us(COMPUTED),
        "steady_sigma": 0.6 * sigma if known else None,
        "between_m3": supply * 0.004 if supply and zone == "CITY" else None,
        "between_sigma_m3": supply * 0.002 if supply and zone == "CITY" else None,
        "terms": _terms(supply, rate) if supply else None,
    }


def _terms(supply: float, rate: float) -> dict[str, tuple[float, float]]:
    unread = 0.003 * supply
    return {
        "meter_gain": (0.0, 0.003 * supply),
        "temperature": (0.012 * supply, 0.002 * supply),
        "skew": (0.0, 0.003 * supply),
        "unread": (unread, 0.5 * unread),
        "rest": (rate * supply, 0.005 * supply),
    }


def add_findings(state: State, now: datetime) -> None:
    days = [(LAST_DAY - timedelta(days=20 - n)).isoformat() for n in range(21)]
    expected = [62 + 5 * math.sin(n / 2) for n in range(21)]
    meter = [value * (0.08 if n > 17 else 1.0) for n, value in enumerate(expected)]
    deficit = [a - b for a, b in zip(expected, meter, strict=True)]
    theft = {
        "days": days,
        "meter_m3": meter,
        "expected_m3": expected,
        "zone_loss_m3": [11 + d for d in deficit],
        "deficit_m3": deficit,
        "alternatives": {"theft": 0.96, "stuck": 0.02, "leak": 0.015, "vacant": 0.005},
    }
    still = {
        "days": days,
        "meter_m3": [8.0 if n < 15 else 0.0 for n in range(21)],
        "expected_m3": [8.2] * 21,
        "zone_loss_m3": [9.0 if n < 15 else 16.5 for n in range(21)],
        "deficit_m3": [0.0 if n < 15 else 8.2 for n in range(21)],
        "alternatives": {"non_moving": 0.91, "vacant": 0.09},
    }
    leak = {
        "days": days,
        "zone_loss_m3": [9.0 if n < 19 else 15.4 for n in range(21)],
        "deficit_m3": [0.0 if n < 19 else 6.0 for n in range(21)],
        "alternatives": {"leak": 0.41, "nothing": 0.35, "a meter": 0.24},
        "location": [
            {"pipe_id": "P-1170-1400", "probability": 0.46},
            {"pipe_id": "P-1170-1290", "probability": 0.22},
            {"pipe_id": "P-1500-1180", "probability": 0.09},
        ],
    }
    rows = [
        ("theft", "R-003", "M-000241", 0.96, 57.3, theft, 3),
        ("non_moving", "R-001", "M-000017", 0.91, 8.2, still, 6),
        ("leak", "R-002", None, 0.41, 6.0, leak, 1),
    ]
    with state.write() as connection:
        for kind, zone, name, score, size, evidence, ago in rows:
            connection.execute(
                tables.finding.insert().values(
                    kind=kind,
                    zone=zone,
                    meter=name,
                    subject=name or zone,
                    episode_no=1,
                    status="open",
                    detected_at=to_us(now) - 600_000_000,
                    updated_at=to_us(now),
                    onset=to_us(now - timedelta(days=ago)),
                    score=score,
                    estimate_m3_per_day=size,
                    evidence=evidence,
                )
            )
