"""Gas days of some of the sample city's meters, as the audit leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from gateway.model.gasday import GasDay
from gateway.model.reading import to_us
from gateway.store.interval_rows import IntervalColumns, day_number
from gateway.store.intervals import IntervalStore


def add_days(folder: Path, gas_day: GasDay, meters: Sequence[str], days: Sequence[date], status: str) -> None:
    """Add one row for each meter and day; a measured one rests on readings at the day's ends, another on none near."""
    store = IntervalStore(folder)
    try:
        with store.adding() as adding:
            for day in days:
                adding.add(_columns(gas_day, meters, day, status))
    finally:
        store.close()


def fill(folder: Path, gas_day: GasDay, meters: Sequence[str], last: date) -> None:
    """Add ten gas days up to the last one: most meters read daily, every eleventh never, every seventh estimated."""
    days = [last - timedelta(days=back) for back in range(10)]
    known = [name for n, name in enumerate(meters) if n % 11]
    silent = {name for n, name in enumerate(known) if n % 7 == 0}
    add_days(folder, gas_day, sorted(set(known) - silent), days, "measured")
    add_days(folder, gas_day, sorted(silent), days, "estimated")


def _columns(gas_day: GasDay, meters: Sequence[str], day: date, status: str) -> IntervalColumns:
    count, begins, ends = len(meters), to_us(gas_day.begins(day)), to_us(gas_day.ends(day))
    measured = status == "measured"
    far = to_us(gas_day.begins(day - timedelta(days=200)))
    numbers: dict[str, Any] = {
        "gas_day": day_number(day),
        "begins": begins,
        "ends": ends,
        "units": 450,
        "decimals": 3,
        "left_at": begins + 60_000_000 if measured else far,
        "right_at": ends - 60_000_000 if measured else -1,
        "step_units": 450,
        "computed_at": ends,
    }
    texts = {
        "status": status,
        "method": "register" if measured else "class_profile",
        "rules": "",
        "who": "",
        "note": "",
    }
    columns: dict[str, Any] = {name: np.full(count, value, dtype=np.int64) for name, value in numbers.items()}
    columns |= {name: np.full(count, value, dtype=object) for name, value in texts.items()}
    return IntervalColumns(meter=np.array(meters, dtype=object), **columns)
