"""Suppression by design: which rules hide which alarms, from stored facts alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.model.alarm import Alarm, Definition
from gateway.model.interruption import Interruption
from gateway.model.network import Network

LEFT_BEHIND = timedelta(minutes=15)
"""a child still silent this long after its area is back gets its own entry"""
_HIGHER = {"OVERPRESS_HI": ("OVERPRESS_HIHI",), "UNDERPRESS_LO": ("UNDERPRESS_LOLO", "SUPPLY_LOSS")}


def wanted_rules(
    alarm_id: str,
    definition: Definition,
    alarms: Mapping[str, Alarm],
    network: Network,
    now: datetime,
    *,
    plans: Sequence[Interruption] = (),
) -> frozenset[str]:
    """Return the rules that hide an alarm now, given the facts of all alarms that are not normal and `plans`.

    `plans` are the interruptions that were recorded as closed.
    """
    asset = alarm_id.partition("@")[2]
    wanted = set()
    if "planned_interruption" in definition.rules and any(
        plan.hides_at(now) and covers(plan, asset, network) for plan in plans
    ):
        wanted.add("planned_interruption")
    if "higher_limit" in definition.rules and _higher_active(definition.id, asset, alarms):
        wanted.add("higher_limit")
    for rule, area in (("parent_silent", "AREA_COMM_LOSS"), ("area_supply", "AREA_SUPPLY_LOSS")):
        if rule in definition.rules and _area_active(area, asset, alarms, network, now):
            wanted.add(rule)
    return frozenset(wanted)


def area_of(assets: Iterable[str], network: Network, *, least: int, share: float) -> str | None:
    """Return the lowest zone with at least `least` of these stations, and at least that share of its own.

    None if there is no such zone. A station belongs to its zone and to all zones above it.
    """
    hit: dict[str, int] = {}
    every: dict[str, int] = {}
    chosen = set(assets)
    if len(chosen) < least:
        return None
    for station in network.stations.values():
        for zone in _above(station.zone_id, network):
            every[zone] = every.get(zone, 0) + 1
            hit[zone] = hit.get(zone, 0) + (station.station_id in chosen)
    fitting = [zone for zone, count in hit.items() if count >= least and count >= share * every[zone]]
    return max(fitting, key=lambda zone: (len(_above(zone, network)), zone), default=None)


def below(asset: str, zone: str, network: Network) -> bool:
    """Tell whether an asset lies in a zone or in one below it."""
    return zone in _above(network.zone_of(asset), network)


def covers(plan: Interruption, asset: str, network: Network) -> bool:
    """Tell whether an interruption lists an asset, its zone, or a zone above it."""
    return asset in plan.assets or any(below(asset, zone, network) for zone in plan.zones)


def _higher_active(definition_id: str, asset: str, alarms: Mapping[str, Alarm]) -> bool:
    found = [alarms.get(f"{higher}@{asset}") for higher in _HIGHER.get(definition_id, ())]
    return any(alarm is not None and alarm.cond and not alarm.hidden for alarm in found)


def _area_active(area: str, asset: str, alarms: Mapping[str, Alarm], network: Network, now: datetime) -> bool:
    for zone in _above(network.zone_of(asset), network):
        parent = alarms.get(f"{area}@{zone}")
        if parent is not None and (parent.cond or _still_waits(area, asset, parent, alarms, now)):
            return True
    return False


def _still_waits(area: str, asset: str, parent: Alarm, alarms: Mapping[str, Alarm], now: datetime) -> bool:
    """Tell whether a child that the area has hidden may still come back with it."""
    child = alarms.get(f"STATION_COMM_LOSS@{asset}")
    if area != "AREA_COMM_LOSS" or child is None or "parent_silent" not in child.sbd or not child.cond:
        return False
    return parent.cleared_at is not None and now - parent.cleared_at < LEFT_BEHIND


def _above(zone_id: str, network: Network) -> tuple[str, ...]:
    path: list[str] = []
    at = zone_id
    while at in network.zones and at not in path:
        path.append(at)
        at = network.zones[at].parent_id
    return tuple(path)
