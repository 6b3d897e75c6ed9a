"""Gathers from the groups what the truth and `events.csv` need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np

from simulators import weather
from simulators.city import Plan
from simulators.customers import account_events
from simulators.customers.calendar import into_heating_season, since_festival
from simulators.dataset.groups import GroupResult
from simulators.dataset.ledger import DAY_H
from simulators.dataset.network_files import iso
from simulators.dataset.truth import Balance, Facts, Span
from simulators.faults import Fault

_FEAST_D = 16
"""days around the first of the spring festival on which the city lives otherwise"""
_SEASON_D = 7
"""days around the begin and the end of the heating"""
_AFTERMATH_H = 24

Row = tuple[str, str, str, Any, Any]
"""of `events.csv`"""


@dataclass(slots=True, eq=False)
class Record:
    """What happened, as far as it is known."""

    plan: Plan
    facts: Facts
    known: list[tuple[int, Row]] = field(default_factory=list)
    """what the company knows it did, with its hour"""

    @classmethod
    def of(
        cls,
        plan: Plan,
        days: int,
        faults: Sequence[Fault],
        *,
        metered: Sequence[int],
        prompt: Sequence[str],
        name: str,
    ) -> Self:
        """Begin with the city itself. `metered` are positions among the supply meters of zones and then parents."""
        zones = (*plan.ground.regulator_zones, *plan.parents)
        facts = Facts(
            name=name,
            start=plan.start,
            days=days,
            zones=plan.ground.zones,
            metered=frozenset(zones[at] for at in metered),
            prompt=frozenset(prompt),
            zone_of={
                **{station.station_id: station.zone_id for station in plan.ground.stations},
                **{meter.meter_id: meter.zone_id for meter in plan.customers.meters},
                **dict(zip(plan.supply_meters, zones, strict=True)),
            },
            faults=faults,
        )
        record = cls(plan, facts)
        record._know_calendar()
        record._know_accounts()
        return record

    def add(self, result: GroupResult) -> None:
        """Take what is known of a group."""
        ground = self.plan.ground
        at, first = result.first_zone - ground.first_zone, result.first_meter - ground.first_place
        zones = ground.regulator_zones[at : at + result.supply_m3.shape[1]]
        for column, zone in enumerate(zones):
            if zone in self.facts.metered:
                self.facts.balances[zone] = Balance(result.sums.supply_m3[:, column], result.sums.loss_m3[:, column])
        self.facts.effects.update(result.sums.effects)
        meters = self.plan.customers.meters[first : first + result.meters]

        def span(cause: str, column: int, first_hour: int, end_hour: int) -> Span:
            return Span(cause, meters[column].zone_id, meters[column].meter_id, first_hour, end_hour)

        spans = self.facts.spans
        spans += [span("vacancy", idle.column, idle.first_hour, idle.end_hour) for idle in result.sums.idle]
        spans += [span("rollover", column, hour, hour + _AFTERMATH_H) for column, hour in result.rolled]
        whole = (self.facts.start_hour, self.facts.end_hour)
        spans += [span(cause, column, *whole) for cause, column in result.odd]
        for done in result.done:
            spans.append(span("exchange", done.column, done.hour, done.hour + _AFTERMATH_H))
            if done.recorded:
                known = (done.old_end_m3, done.new_start_m3)
                self._know(done.hour, meters[done.column].meter_id, "exchange", known)
        for trouble in result.troubles:
            cause = trouble.cause.removesuffix("_lost")
            entry = span(cause, trouble.column, trouble.first_hour, trouble.end_hour)
            (self.facts.deaths if trouble.cause == "battery" else spans).append(entry)

    def add_levels(self, balances: Iterable[tuple[str, Balance]]) -> None:
        """Take what is known of the levels above."""
        self.facts.balances.update(balances)

    def event_rows(self) -> Iterator[Row]:
        """Yield the rows of `events.csv`."""
        return (row for _, row in sorted(self.known, key=lambda known: (known[0], known[1][0], known[1][2])))

    def _know(self, hour: int, meter_id: str, event: str, registers: tuple[Any, Any] = ("", "")) -> None:
        at = iso(datetime.fromtimestamp(hour * 3600, UTC))
        self.known.append((hour, (meter_id, at, event, *registers)))

    def _know_accounts(self) -> None:
        plan = self.plan
        for change in account_events(plan.seed, plan.customers, plan.start_hour, self.facts.days * DAY_H):
            meter = plan.customers.meters[change.column]
            self._know(change.hour, meter.meter_id, change.event)
            entry = Span(change.event, meter.zone_id, meter.meter_id, change.hour, change.hour + 7 * _AFTERMATH_H)
            self.facts.spans.append(entry)

    def _know_calendar(self) -> None:
        """Note what concerns the whole city: the festival, begin and end of the heating, the season's temperature."""
        first = (self.facts.start_hour + weather.UTC_OFFSET_H) // DAY_H
        days = first + np.arange(self.facts.days + 1, dtype=np.int64)
        feast = since_festival(days)
        begun, left = into_heating_season(days)
        self._note_days("festival", days, (feast >= -_FEAST_D // 2) & (feast < _FEAST_D))
        self._note_days("heating_start", days, np.abs(begun) <= _SEASON_D)
        self._note_days("heating_end", days, np.abs(left) <= _SEASON_D)

    def _note_days(self, cause: str, days: Any, chosen: Any) -> None:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            hour = int(days[begin]) * DAY_H - weather.UTC_OFFSET_H
            top = [zone.zone_id for zone in self.plan.ground.zones if not zone.parent_id]
            for zone in top:
                self.facts.spans.append(Span(cause, zone, None, hour, hour + (end - begin) * DAY_H))
