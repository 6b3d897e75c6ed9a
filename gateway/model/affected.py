"""Who hangs on a part of the network: customers below each zone, and those of them that depend on supply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SENSITIVE = ("public", "heating", "industrial")
"""classes of customers that depend on supply: schools and hospitals, boiler houses, processes; the first first"""


@dataclass(frozen=True, slots=True)
class Affected:
    """Customers' meters behind an asset."""

    customers: int = 0
    sensitive: int = 0
    """those of them that depend on supply"""

    def __add__(self, other: Affected) -> Affected:
        """Return both together."""
        return Affected(self.customers + other.customers, self.sensitive + other.sensitive)


def add_up(own: Iterable[tuple[str, str, int]], parents: Mapping[str, str]) -> dict[str, Affected]:
    """Return the customers of each zone with all zones below it.

    `own` holds (zone, class of customers, how many meters stand in this zone itself), `parents` the zone above each.
    """
    found: dict[str, Affected] = {}
    for zone, customer_class, count in own:
        here = Affected(count, count if customer_class in SENSITIVE else 0)
        at, climbed = zone, set[str]()
        while at in parents and at not in climbed:
            climbed.add(at)
            found[at] = found.get(at, Affected()) + here
            at = parents[at]
    return found
