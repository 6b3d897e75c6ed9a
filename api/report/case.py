"""What a report is about: an analysed dataset, and sums over it that several sections share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from gateway.dataset import DatasetSettings
from gateway.model.finding import LIKELY, Finding, FindingStatus, LossRow
from gateway.model.loss_total import LossTotal, month_after, months, total
from gateway.model.network import Network

RECENT_DAYS = 14
"""newest gas days whose mean supply a size is compared with"""


@dataclass(frozen=True)
class Case:
    """An analysed dataset."""

    settings: DatasetSettings
    network: Network
    end: datetime
    """up to which readings were used"""
    episodes: Sequence[Finding]
    loss: Sequence[LossRow]
    """of each zone and gas day, by day"""

    @cached_property
    def days(self) -> list[date]:
        """Gas days with figures, oldest first."""
        return sorted({row.gas_day for row in self.loss})

    @cached_property
    def by_zone(self) -> Mapping[str, list[LossRow]]:
        """Loss rows of each zone, oldest first."""
        rows: dict[str, list[LossRow]] = defaultdict(list)
        for row in self.loss:
            rows[row.zone].append(row)
        return rows

    @cached_property
    def tree(self) -> list[tuple[str, int]]:
        """Zones with their depth, each below its parent; a zone whose parent is unknown stands at the top."""
        zones = self.network.zones
        tops = [zone.zone_id for zone in zones.values() if zone.parent_id not in zones]
        found: list[tuple[str, int]] = []
        stack = [(zone, 0) for zone in sorted(tops, reverse=True)]
        while stack:
            zone, depth = stack.pop()
            found.append((zone, depth))
            stack += [(child, depth + 1) for child in sorted(self.network.children(zone), reverse=True)]
        return found

    @cached_property
    def supplied(self) -> list[tuple[str, int]]:
        """The zones of `tree` that were balanced on any day, with their depth."""
        return [(zone, depth) for zone, depth in self.tree if any(row.supply_m3 for row in self.by_zone.get(zone, ()))]

    @cached_property
    def shown(self) -> list[tuple[str, int]]:
        """The zones of `tree` that have a supply meter, or one below them that has, with their depth."""
        supplied = {zone for zone, _ in self.supplied}
        return [(zone, depth) for zone, depth in self.tree if supplied & set(self.network.below(zone))]

    @cached_property
    def whole(self) -> Mapping[str, LossTotal]:
        """Balance of each zone over all days."""
        return {zone: total(self.by_zone.get(zone, ()), len(self.days)) for zone, _ in self.tree}

    def spans(self, size: int) -> list[tuple[date, int]]:
        """Return first day and number of gas days of each span of `size` months that the days touch."""
        counted = dict.fromkeys(months(self.loss, size), 0)
        for first in counted:
            counted[first] = sum(first <= day < month_after(first, size) for day in self.days)
        return list(counted.items())

    def of_span(self, zone: str, first: date, size: int, days: int) -> LossTotal:
        """Return the balance of a zone over one span."""
        after = month_after(first, size)
        return total([row for row in self.by_zone.get(zone, ()) if first <= row.gas_day < after], days)

    @cached_property
    def ranked(self) -> list[Finding]:
        """Episodes: those that are open first, then the most certain."""
        return sorted(
            self.episodes, key=lambda one: (one.status is not FindingStatus.OPEN, -one.score, one.kind, one.subject)
        )

    @cached_property
    def likely(self) -> list[Finding]:
        """The episodes of `ranked` that are worth a visit."""
        return [one for one in self.ranked if one.score >= LIKELY]

    def share(self, finding: Finding) -> float | None:
        """Return the size of a finding as a share of what its zone is supplied with now, None where unknown."""
        recent = [row.supply_m3 for row in self.by_zone.get(finding.zone, ())[-RECENT_DAYS:] if row.supply_m3]
        if finding.estimate_m3_per_day is None or not recent:
            return None
        return finding.estimate_m3_per_day / (sum(recent) / len(recent))

    def unknown(self) -> Iterator[tuple[str, str, int]]:
        """Yield zone, reason and number of gas days that cannot be assessed, the worst zone first."""
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for row in self.loss:
            if row.reason:
                counts[row.zone, _sort_of(row.reason)] += 1
        for (zone, reason), count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
            yield zone, reason, count


def _sort_of(reason: str) -> str:
    """Return a reason without its figure, so that days with the same one are counted together."""
    return " ".join("…" if word[:1].isdigit() else word for word in reason.split())
