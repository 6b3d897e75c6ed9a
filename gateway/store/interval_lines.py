"""Final gas days as InfluxDB line protocol: one line per meter and gas day, at the day's beginning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.model.network import Network
from gateway.store.interval_rows import IntervalRow
from gateway.store.line_names import line_text, prefix


def interval_lines(rows: Sequence[IntervalRow], measurement: str, network: Network) -> Iterator[tuple[int, str]]:
    """Yield (place of the row, line); a meter with a name that cannot be written has none.

    A later revision has the same series and time and takes the place of the earlier one. Its volume stays behind if
    the new revision knows none, so `status` says whether the volume counts.
    """
    for place, row in enumerate(rows):
        head = prefix(measurement, {"asset": row.meter, "zone": network.zone_of(row.meter)})
        if head:
            volume = "" if row.units is None else f"volume_m3={row.units / 10**row.decimals!r},"
            words = f"status={line_text(row.status)},method={line_text(row.method)},revision={row.revision}i"
            yield place, f"{head} {volume}{words} {row.begins}"
