"""Makes the families that monitoring reads from what role keep says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.services.pulse import Link

Rows = Iterable[tuple[Any, ...]]
OPENS_AFTER = 3
"""failures in a row after which a unit is only probed"""
_DELAYS = {
    "commit": "from arrival until the group was on disk",
    "ack": "from arrival until the group was acknowledged",
}
_SHOWN = {"p50": "p50", "p99": "p99", "max": "max"}


def gauge(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> GaugeMetricFamily:
    """Return a gauge; each row is its labels' values and its figure."""
    family = GaugeMetricFamily(f"gasgate_{name}", text, labels=labels)
    _fill(family, rows)
    return family


def counter(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> CounterMetricFamily:
    """Return a counter, which ends in _total; each row is its labels' values and its figure."""
    family = CounterMetricFamily(f"gasgate_{name}", text, labels=labels)
    _fill(family, rows)
    return family


def delays(figures: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield how long commits and acknowledgements take; none of the last minute is no figure, and not zero."""
    for name, what in _DELAYS.items():
        found = figures.get(name, {})
        rows = [(word, found[key]) for key, word in _SHOWN.items() if found.get(key) is not None]
        yield gauge(f"{name}_delay_seconds", f"Oldest reading of each group, {what}; last minute.", ("class",), rows)
        yield counter(f"{name}_groups", f"Groups of readings {what}.", (), [(found.get("count", 0),)])
        yield counter(f"{name}_delay_sum_seconds", f"Sum of the delays {what}.", (), [(found.get("total_s", 0),)])
    yield counter(
        "acks_failed", "Acknowledgements that did not reach the source.", (), [(figures.get("acks_failed", 0),)]
    )


def polling(figures: Mapping[str, Any], links: Iterable[Link]) -> Iterator[Metric]:
    """Yield what sources count of their own work: requests, failures, overruns, breakers."""
    sources: Mapping[str, Mapping[str, int]] = figures.get("sources", {})

    def of(name: str) -> list[tuple[Any, ...]]:
        return [(source, counts[name]) for source, counts in sources.items() if name in counts]

    failed = [(source, word, counts[word]) for source, counts in sources.items()
              for word in ("timeouts", "wrong_replies", "refused") if word in counts]  # fmt: skip
    yield counter("requests", "Questions to devices.", ("source",), of("requests"))
    yield counter(
        "request_failures", "Questions without a usable answer, by what was wrong.", ("source", "class"), failed
    )
    yield counter("request_timeouts", "Questions that nobody answered.", ("source",), of("timeouts"))
    yield counter("bisects", "Blocks halved in search of an illegal address.", ("source",), of("bisects"))
    yield counter("poll_overrun", "Due polls skipped because the link was busy.", ("source",), of("overruns"))
    text = "Messages published with QoS 0 although their topic allows no loss."
    yield counter("unsafe_messages", text, ("source",), of("unsafe"))
    open_ = dict.fromkeys(sources, 0)
    for link in links:
        if link.up is False and link.failures >= OPENS_AFTER:
            open_[link.source] = open_.get(link.source, 0) + 1
    yield gauge("breakers_open", "Units and brokers that are only probed.", ("source",), open_.items())


def waiting(figures: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield queue sizes, the age of what waits, and refusals by class."""
    queues = [_queue(name, size) for name, size in figures.get("queues", {}).items()]
    yield gauge("queue_size", "Deliveries, records or messages that wait.", ("source", "class"), queues)
    rows = [(figures["spool_age_s"],)] if "spool_age_s" in figures else []
    yield gauge("spool_age_seconds", "Age of the oldest record that is not in the store.", (), rows)
    yield counter(
        "readings_refused",
        "Readings refused for want of room, by class.",
        ("class",),
        figures.get("refused", {}).items(),
    )


def _queue(name: str, size: int) -> tuple[str, str, int]:
    kind, _, source = name.partition(" ")
    return (source, "inbound", size) if kind == "source" else ("", kind, size)


def _fill(family: GaugeMetricFamily | CounterMetricFamily, rows: Rows) -> None:
    for *values, amount in rows:
        family.add_metric([str(value) for value in values], amount)
