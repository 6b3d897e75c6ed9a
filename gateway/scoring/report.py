"""The figures of an examination as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Figures = dict[str, Any]
_KIND_COLUMNS = (
    ("true", "events", 0), ("found", "found", 0), ("recall", "recall", 2), ("24h", "recall_24h", 2),
    ("7d", "recall_7d", 2), ("30d", "recall_30d", 2), ("delay d", "delay_median_d", 1), ("p90", "delay_p90_d", 1),
    ("false", "false_alarms", 0), ("per year", "false_per_unit_year", 4), ("P@n", "precision_at_n", 2),
    ("P@50", "precision_at_50", 2), ("P@100", "precision_at_100", 2), ("AP", "average_precision", 2),
    ("@budget", "recall_at_budget", 2), ("Q", "quality", 1),
)  # fmt: skip
_LOSS_COLUMNS = (
    ("assessed", "assessed_share", 2), ("MAE", "mae_pct", 2), ("MAE(0)", "mae_of_always_zero_pct", 2),
    ("MAE>1%", "mae_when_above_1pct_pct", 2), ("median", "median_abs_error_pct", 2), ("bias", "bias_pct", 2),
    ("30 d", "mae_30d_pct", 2), ("<=2 sigma", "within_2_sigma", 2), ("sigma", "sigma_mean_pct", 2),
    ("CRPS", "crps_pct", 2), ("high<1%", "high_when_below_1pct", 2), ("high>5%", "high_when_above_5pct", 2),
)  # fmt: skip
_CAUSES = 6


def report(figures: Figures) -> str:
    """Return all that `score` found as lines of text."""
    return "\n".join(_lines(figures))


def _lines(figures: Figures) -> Iterator[str]:
    yield (
        f"{figures['dataset']}: {figures['zones']} zones with a supply meter, {figures['customer_meters']} customer "
        f"meters, {figures['years']:.2f} years; {figures['findings']} findings, {figures['invalid']} of them unreadable"
    )
    yield f"Q {figures['quality']:.1f} of 100"
    yield ""
    kinds = [(kind, row) for kind, row in figures["kinds"].items() if row["events"] or row["findings"]]
    yield from _table("kind", _KIND_COLUMNS, kinds)
    yield from _leaks(figures["leak_sizes"])
    inspection = figures["inspection"]
    yield ""
    yield (
        f"meters to inspect: {inspection['meters']}; right of the first 50 {_cell(inspection['precision_at_50'], 2)}, "
        f"of the first 100 {_cell(inspection['precision_at_100'], 2)}"
    )
    yield from _thefts(figures)
    for kind, row in kinds:
        if row["false_by_cause"]:
            first = list(row["false_by_cause"].items())[:_CAUSES]
            yield f"false {kind}: " + ", ".join(f"{cause} {count}" for cause, count in first)
    loss = [(kind, row) for kind, row in figures["loss"].items() if isinstance(row, dict) and row["assessed_share"]]
    if loss:
        yield ""
        yield from _table("loss rate, percentage points", _LOSS_COLUMNS, loss)


def _leaks(leaks: Figures) -> Iterator[str]:
    if not leaks["by_size"]:
        return
    times = ("1d", "7d", "30d", "60d")
    yield ""
    columns = (("leaks", "leaks", 0), *((name, name, 2) for name in times))
    yield from _table("leaks by size, share of zone flow", columns, list(leaks["by_size"].items()))
    smallest = leaks["smallest_reliable_pct"]
    yield "nine of ten found from a size of " + ", ".join(f"{_cell(smallest[t], 1)} % in {t}" for t in times)
    for aim in leaks["aims"]:
        every, prompt = aim["all"], aim["prompt"]
        yield (
            f"at least {aim['at_least_pct']:g} % and found within {aim['within_h']:g} h of that: {every['found']} of "
            f"{every['leaks']}, in prompt zones {prompt['found']} of {prompt['leaks']}"
        )


def _thefts(figures: Figures) -> Iterator[str]:
    rank = figures["theft_rank"]
    if not rank["by_type"]:
        return
    yield f"thief first in its zone {_cell(rank['hit_at_1'], 2)}, among the first three {_cell(rank['hit_at_3'], 2)}"
    found = figures["kinds"]["theft"]["recall_by_type"]
    rows = [(f"  {name}", {**row, **found[name]}) for name, row in rank["by_type"].items()]
    columns = (
        ("true", "events", 0), ("recall", "recall", 2), ("@budget", "at_budget", 2), ("first", "hit_at_1", 2),
        ("of 3", "hit_at_3", 2),
    )  # fmt: skip
    yield from _table("  theft by recipe", columns, rows)


def _table(title: str, columns: Sequence[tuple[str, str, int]], rows: Sequence[tuple[str, Figures]]) -> Iterator[str]:
    width = max([len(title), *(len(name) for name, _ in rows)])
    widths = [max(6, len(name) + 2) for name, _, _ in columns]
    yield title.ljust(width) + "".join(name.rjust(w) for (name, _, _), w in zip(columns, widths, strict=True))
    for name, row in rows:
        cells = [_cell(row.get(key), digits).rjust(w) for (_, key, digits), w in zip(columns, widths, strict=True)]
        yield name.ljust(width) + "".join(cells)


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
