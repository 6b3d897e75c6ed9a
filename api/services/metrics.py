"""What monitoring sees. Labels are source, class and reason only: their values stay few, a meter is never one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api.deps import Parts
from api.services.live import Board
from api.services.metric_families import Rows, counter, delays, gauge, polling, waiting
from api.services.pulse import Pulse, links, role_health
from gateway.model.alarm import Priority
from gateway.store import alarm_rows, view_rows

RESULTS = ("stored", "duplicate", "refused", "dead_lettered")
_UNKNOWN, _DOWN, _UP = "unknown", "down", "up"
_MOST_REASONS = 200_000
"""texts, not classes of them: more than there are dead letters"""


class Figures(Collector):
    """Reads everything at the moment of the scrape. Raises TransientError if the state database is away.

    What role keep says is left out while it does not answer: a missing figure is not zero.
    """

    def __init__(self, parts: Parts, board: Board, pulse: Pulse) -> None:
        """Remember where to look."""
        self._parts, self._board, self._pulse = parts, board, pulse

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield from self._state()
        yield from self._roles()
        yield gauge("page_listeners", "Pages and programs that watch.", (), [(self._board.listeners,)])
        store = self._pulse.store
        yield gauge("store_up", "1 if the store service answers.", (), [(int(store is not None),)])
        if store is not None:
            yield from _readings(store)
            yield from _streams(store)
            figures, found = store.get("figures", {}), links(store)
            yield from delays(figures)
            yield from polling(figures, found)
            yield from waiting(figures)
            counted = Counter({(link.source, state): 0 for link in found for state in (_UNKNOWN, _DOWN, _UP)})
            counted.update((link.source, _state_of(link.up)) for link in found)
            rows = [(*key, count) for key, count in sorted(counted.items())]
            yield gauge("links", "Links to devices and brokers by state.", ("source", "class"), rows)

    def _state(self) -> Iterator[Metric]:
        with self._parts.state.read() as connection:
            alarms = view_rows.alarm_counts(connection)
            unacknowledged = alarm_rows.count_unacknowledged(connection)
            outbox = view_rows.outbox_counts(connection)
            findings = view_rows.open_findings(connection)
            dead = view_rows.dead_letter_reasons(connection, _MOST_REASONS)
        active = Counter({f"P{priority}": 0 for priority in Priority})
        for _state, priority, count in alarms:
            active[f"P{priority}"] += count
        yield gauge("alarms", "Alarms that are not normal, by priority.", ("class",), active.items())
        rows: Rows = [(f"P{priority}", count) for priority, count in unacknowledged.items()]
        yield gauge(
            "alarms_unacknowledged", "Visible alarms that nobody has acknowledged, by priority.", ("class",), rows
        )
        yield gauge("outbox", "Commands to ticketing systems, by state.", ("class",), outbox.items())
        yield gauge("findings", "Findings that are not closed, by kind.", ("class",), findings.items())
        yield gauge("clocks_suspect", "Devices whose clock is suspect.", (), [(findings.get("clock", 0),)])
        letters = Counter[tuple[str, str]]()
        for source, reason, count, _newest in dead:
            letters[source, reason_class(reason)] += count
        rows = [(*key, count) for key, count in letters.items()]
        yield gauge("dead_letters", "Dead letters that are kept.", ("source", "reason"), rows)

    def _roles(self) -> Iterator[Metric]:
        roles = role_health(self._parts)
        yield gauge("role_up", "1 if a role is well.", ("source",), [(role.role, int(role.ok)) for role in roles])
        revisions = [(one.role, one.detail["revision"]) for one in roles if one.ok and one.detail.get("revision")]
        yield gauge("configuration_revision", "Configuration that a role runs.", ("source",), revisions)
        lost = [(one.detail["lost"],) for one in roles if one.role == "alarm" and "lost" in one.detail]
        text = "Records gone before they were judged, since role alarm started."
        yield counter("judging_lost_records", text, (), lost)
        store = self._pulse.store
        judged = next((role.detail.get("seq") for role in roles if role.role == "alarm"), None)
        if store is not None and isinstance(judged, int):
            lag = max(0, _spool(store, "last_seq") - judged)
            yield gauge("judging_lag_records", "Records kept but not yet judged for alarms.", (), [(lag,)])


def reason_class(reason: str) -> str:
    """Return the fixed words at the beginning of a reason, without the names and figures that follow."""
    found = re.match(r"[A-Za-z]+(?![\w-])(?: [A-Za-z]+(?![\w-])){0,5}", reason)
    return "other" if found is None else found.group().replace(" ", "_").lower()[:60]


def _readings(store: Mapping[str, Any]) -> Iterator[Metric]:
    accounts = sorted(store.get("accounting", {}).items())
    results = [(source, name, account.get(name, 0)) for source, account in accounts for name in RESULTS]
    yield counter("readings", "What became of readings since role keep started.", ("source", "class"), results)
    in_flight = [(source, account.get("in_flight", 0)) for source, account in accounts]
    yield gauge("readings_in_flight", "Readings received but not yet settled.", ("source",), in_flight)
    yield gauge("loader_lag_records", "Records in the spool but not in the store.", (), [(store.get("loader_lag", 0),)])
    yield gauge("spool_bytes", "Bytes in the spool.", (), [(_spool(store, "bytes"),)])


def _streams(store: Mapping[str, Any]) -> Iterator[Metric]:
    outputs = store.get("outputs", [])
    up = [(one["name"], int(bool(one.get("connected")))) for one in outputs]
    yield gauge("stream_up", "1 if an output took the last batch.", ("source",), up)
    lags = [(one["name"], one.get("lag", 0)) for one in outputs]
    yield gauge("stream_lag_records", "Records in the store that an output has not taken.", ("source",), lags)
    lines = [(one["name"], name, one.get(name, 0)) for one in outputs for name in ("written", "rejected")]
    text = "Readings sent to an output since role keep started."
    yield counter("stream_readings", text, ("source", "class"), lines)
    late = [(one["name"], one["late_s"]) for one in outputs if "late_s" in one]
    yield gauge("stream_lag_seconds", "Seconds that the newest readings wait for an output.", ("source",), late)
    for key, words in (("waiting", "wait in gaps for an output"), ("dropped", "were too many for an output")):
        rows = [(one["name"], *pair) for one in outputs for pair in zip("ABCD", one.get(key, ()), strict=False)]
        yield gauge(f"stream_{key}", f"Readings that {words}, by class.", ("source", "class"), rows)


def _state_of(up: bool | None) -> str:
    return _UNKNOWN if up is None else _UP if up else _DOWN


def _spool(store: Mapping[str, Any], name: str) -> int:
    return int(store.get("spool", {}).get(name, 0))
