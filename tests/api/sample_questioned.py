"""Verdicts of the reading audit on some meters of the sample city."""

from __future__ import annotations

from datetime import date, timedelta

from api.deps import Parts
from gateway.model.reading import point_id, to_us
from gateway.store import vee_rows
from gateway.store.vee_rows import VerdictRow

SPIKE, UNUSUAL, LONG = "M-000003", "M-000005", "M-000017"


def add(parts: Parts, last: date) -> None:
    """Add a spike of this morning, a day of unusual use, and a meter that is estimated for long."""
    now = to_us(parts.clock.now())
    begins = to_us(parts.site.gas_day.begins(last))
    hour = 3_600_000_000
    early = to_us(parts.site.gas_day.begins(last - timedelta(days=20)))
    told = (
        (SPIKE, "V08", "joined", begins + 5 * hour, begins + 5 * hour, {"step_m3": 812.4, "usual_m3": 0.4}),
        (UNUSUAL, "V09", "uncertain", begins, begins + 24 * hour, {"use_m3": 9.6, "own_m3": 1.1, "class_m3": 1.3}),
        (LONG, "V18", "visit", early, begins, {"days": 20.0}),
        (UNUSUAL, "V11", "evidence", begins, begins, {"copies": 3.0}),
    )
    rows = [
        VerdictRow(
            meter, point_id(meter, parts.network.meters[meter].register), since, rule, 1, result, since, until,
            evidence, now,
        )
        for meter, rule, result, since, until, evidence in told
    ]  # fmt: skip
    with parts.state.write() as connection:
        vee_rows.save_verdicts(connection, [row.meter for row in rows], rows, early, now)
