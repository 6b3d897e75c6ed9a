"""The audit of the readings, batch by batch: what the rules say of every meter, and what each gas day comes to.

`Auditor` reads through a `Source`, judges with pure functions and writes only what is new: gas days as files, verdicts
and work items as rows. Its memory depends on the batch, not on the city. An estimate is for the bill and the auditor:
no detector reads these rows, so it cannot become a suspicion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import numpy as np

from alarms.audit_case import Common, gas_days, raw_registers
from alarms.audit_result import Audit, audit, detections, interval_columns, verdict_rows
from alarms.city_data import CityData
from alarms.findings import update
from alarms.work_items import abnormal
from gateway.meterdata.estimate import class_use
from gateway.meterdata.rules import RULES
from gateway.meterdata.series import Floats, Ints
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, from_us, to_us
from gateway.store import edit_rows, finding_rows, vee_rows
from gateway.store.edit_rows import Edit
from gateway.store.intervals import Adding, IntervalStore
from gateway.store.state import State

BATCH = 2000
"""meters that are judged at once"""
PEERS = 500
"""meters of a class that tell what the class uses, where a city has more than a batch"""
PART = 500
"""meters whose verdicts are written in one transaction: a writer must not make an alarm wait"""
KEPT = frozenset(code for code, rule in RULES.items() if rule.of_arrival)
WORK_ITEMS = ("register_reset", "clock", "visit")


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Some meters with what was read of them."""

    city: CityData
    batch: ReadingBatch
    names: Mapping[int, PointId]
    """the point of each index in `batch`, and of points of these meters that were never read"""


class Source(Protocol):
    """Where the audit gets readings from."""

    @property
    def network(self) -> Network:
        """All meters."""
        ...

    @property
    def gas_day(self) -> GasDay:
        """The site's gas day."""
        ...

    def load(self, meters: Sequence[str], since_us: int, until_us: int) -> Loaded:
        """Return these meters with their readings between two device times. Raises TransientError."""
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows an audit added."""

    intervals: int = 0
    verdicts: int = 0
    work_items: int = 0

    def __add__(self, other: Summary) -> Summary:
        """Add up."""
        return Summary(
            self.intervals + other.intervals, self.verdicts + other.verdicts, self.work_items + other.work_items
        )


class Auditor:
    """Audits a site. One at a time; not safe for threads."""

    def __init__(self, state: State, store: IntervalStore, *, days: int = 35, batch: int = BATCH) -> None:
        """Remember where to write; `days` are audited again each time."""
        self._state, self._store, self._days, self._batch = state, store, days, batch
        self._decided = (-1, -1)
        self._noticed: tuple[int, int] | None = None
        """the newest decisions when somebody looked for them last"""

    def decided_anew(self) -> bool:
        """Tell whether somebody chose a value or set a gas day since the last look or audit. Raises TransientError."""
        with self._state.read() as connection:
            newest = edit_rows.newest_ids(connection)
        known, self._noticed = self._noticed, newest
        return known is not None and newest > known

    def run(self, source: Source, until_us: int) -> Summary:
        """Audit the gas days that have ended by a moment, and write what is new; the same again adds nothing.

        Raises TransientError if something cannot be read or written. Then no interval was added, verdicts may have
        been; the next audit goes on from there.
        """
        self.move_old()
        with self._state.read() as connection:
            decided = edit_rows.newest_ids(connection)
            choices, edits = edit_rows.choices(connection), edit_rows.edits(connection)
        self._noticed = decided
        chosen = {key: choice.value for key, choice in choices.items() if choice.value is not None}
        total = Summary()
        with self._store.adding() as adding:
            for result in self._results(source, until_us, chosen, edits):
                total += self._record(result, adding, source)
            self._set_older(adding, edits, source.gas_day.of(from_us(until_us)), until_us)
        today = source.gas_day.of(from_us(until_us))
        self._store.tidy(today - timedelta(days=self._days + 3))
        self._store.count_months(lambda month: to_us(source.gas_day.begins(month)), today)
        self._decided = decided
        return total

    def move_old(self) -> None:
        """Move the intervals that the first release kept in the state database to files, day by day."""
        while True:
            with self._state.read() as connection:
                day = vee_rows.first_old_day(connection)
                rows = [] if day is None else vee_rows.old_intervals(connection, day)
            if day is None:
                return
            with self._store.adding() as adding:
                adding.keep(rows)
            with self._state.write() as connection:
                vee_rows.forget_old_intervals(connection, day)

    def _results(
        self,
        source: Source,
        until_us: int,
        chosen: Mapping[tuple[str, int], float],
        edits: Mapping[tuple[str, str], Edit],
    ) -> Iterator[Audit]:
        days, bounds = gas_days(source.gas_day, until_us, self._days)
        meters = sorted(source.network.meters)
        common: Common | None = None
        for at in range(0, len(meters), self._batch):
            names = meters[at : at + self._batch]
            loaded = source.load(names, int(bounds[0]) - 5 * 86_400_000_000, until_us)
            if common is None:
                common = self._common(source, loaded, meters, (days, bounds), until_us)
                if common is None:
                    return
            yield audit(
                loaded.city,
                loaded.batch,
                loaded.names,
                common,
                until_us,
                before=self._store.estimates(names, days[0], days[-1]),
                chosen=chosen,
                edits=edits,
            )

    def _common(
        self, source: Source, first: Loaded, meters: Sequence[str], span: tuple[tuple[date, ...], Ints], until_us: int
    ) -> Common | None:
        """Return what all batches share, from the first batch if there is but one, else from a sample; None = nothing.

        The sample is spread evenly over the city's file, so that it does not depend on who was read.
        """
        days, bounds = span
        classes = {name: meter.customer_class for name, meter in source.network.meters.items()}
        groups = {name: number for number, name in enumerate(sorted(set(classes.values())))}
        common = Common(days, bounds, days[-self._days], groups, use=None)
        if len(meters) <= self._batch:
            return _since(common, raw_begin(first, until_us), source.gas_day)
        uses: list[Floats] = []
        group: list[int] = []
        begin: int | None = None
        sample = [name for number in groups for name in _spread([m for m in meters if classes[m] == number])]
        for at in range(0, len(sample), self._batch):
            names = sorted(sample[at : at + self._batch])
            loaded = source.load(names, int(bounds[0]) - 5 * 86_400_000_000, until_us)
            mine = raw_begin(loaded, until_us)
            begin = mine if begin is None else begin if mine is None else min(begin, mine)
            result = audit(loaded.city, loaded.batch, loaded.names, common, until_us)
            uses.append(result.case.use)
            group += [groups[classes[name]] for name in result.meters]
        air_c = first.city.model.air_c(days)
        use = class_use(np.concatenate(uses, axis=1), np.array(group, dtype=np.int64), len(groups), air_c)
        return _since(Common(days, bounds, common.first, groups, use), begin, source.gas_day)

    def _record(self, result: Audit, adding: Adding, source: Source) -> Summary:
        added = adding.add(interval_columns(result))
        days = np.flatnonzero(result.written.any(axis=1))
        if len(days) == 0:
            return Summary(added)
        since_us = int(result.common.bounds[days[0]])
        by_meter: dict[str, list[vee_rows.VerdictRow]] = {}
        for row in verdict_rows(result, since_us):
            by_meter.setdefault(row.meter, []).append(row)
        verdicts = 0
        for at in range(0, len(result.meters), PART):
            meters = result.meters[at : at + PART]
            rows = [row for meter in meters for row in by_meter.get(meter, [])]
            with self._state.write() as connection:
                verdicts += vee_rows.save_verdicts(
                    connection, meters, rows, since_us, result.until_us, kept=KEPT
                )  # fmt: skip
        return Summary(added, verdicts, self._raise(result, source))

    def _raise(self, result: Audit, source: Source) -> int:
        found = detections(result)
        now = from_us(result.until_us)
        with self._state.write() as connection:
            known = finding_rows.findings_about(connection, WORK_ITEMS, result.meters)
            changes = update(
                [stored.finding for stored in known],
                found,
                now,
                source.network.zone_of,
                seen_at={(one.finding.kind, one.finding.subject): from_us(one.updated_us) for one in known},
            )
            finding_rows.touch(connection, abnormal(found), result.until_us)
            raised = finding_rows.apply_changes(
                connection, result.until_us, raised=changes.raised, updated=changes.updated, ended=changes.ended
            )
        return len(raised)

    def _set_older(self, adding: Adding, edits: Mapping[tuple[str, str], Edit], today: date, until_us: int) -> None:
        """Write what was set by hand of days that are no longer audited."""
        oldest = (today - timedelta(days=self._days)).isoformat()
        for (meter, day), edit in edits.items():
            if day < oldest and edit.id > self._decided[1]:
                when = date.fromisoformat(day)
                adding.set_by_hand(meter, when, edit.units, who=edit.who, note=edit.reason, now_us=until_us)


def raw_begin(loaded: Loaded, until_us: int) -> int | None:
    """Return the device time of the first reading of a register, None without any."""
    raw = raw_registers(loaded.batch, loaded.names, loaded.city.model.network, until_us)
    return int(raw.time.min()) if len(raw.time) else None


def _since(common: Common, begin_us: int | None, gas_day: GasDay) -> Common | None:
    """Return what is known of the days since the first reading; None without one."""
    if begin_us is None:
        return None
    begins = gas_day.of(from_us(begin_us))
    inside = begins > common.days[0]
    first = max(common.first, begins)
    return Common(common.days, common.bounds, first, common.groups, common.use, begins if inside else None)


def _spread(names: Sequence[str]) -> Sequence[str]:
    return names[:: max(1, -(-len(names) // PEERS))]
