"""Suppression by design: which rules hide which alarms, from stored facts alone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from gateway.model.alarm import Alarm, Definition
from gateway.model.interruption import Interruption
from gateway.model.network import Network

LEFT_BEHIND = timedelta(minutes=15)
"""a child still silent this long after its area is back gets its own entry"""
FOLLOWS_WITHIN = timedelta(minutes=5)
"""a valve that closes so soon after its command closed by it; one that closes later closed by itself"""
LONGEST_HIDDEN = {
    "higher_limit": timedelta(hours=24),
    "parent_silent": timedelta(hours=24),
    "area_supply": timedelta(hours=24),
    "planned_interruption": timedelta(days=3),
    "delivery_down": timedelta(hours=1),
    "commanded": timedelta(hours=24),
}
"""for how long each rule may hide a condition; an interruption ends its own hiding 24 h after it began"""
CLOCKS_DIFFER = timedelta(seconds=5)
_HIGHER = {"OVERPRESS_HI": ("OVERPRESS_HIHI",), "UNDERPRESS_LO": ("UNDERPRESS_LOLO", "SUPPLY_LOSS")}
_COVERING = frozenset(name for names in _HIGHER.values() for name in names)
_AREAS = ("AREA_COMM_LOSS", "AREA_SUPPLY_LOSS")
_DOWN = "DELIVERY_DOWN@gasgate"


def wanted_rules(
    alarm_id: str,
    definition: Definition,
    alarms: Mapping[str, Alarm],
    network: Network,
    now: datetime,
    *,
    plans: Sequence[Interruption] = (),
    closed: Mapping[str, datetime] = MappingProxyType({}),
) -> frozenset[str]:
    """Return the rules that hide an alarm now, given the facts of all alarms that are not normal and `plans`.

    `plans` are the interruptions that were recorded as closed, `closed` when valves were last closed by a command.
    """
    asset = alarm_id.partition("@")[2]
    wanted = set()
    if "planned_interruption" in definition.rules and any(
        plan.hides_at(now) and covers(plan, asset, network) for plan in plans
    ):
        wanted.add("planned_interruption")
    if "commanded" in definition.rules and asset in closed:
        known = alarms.get(alarm_id)
        since = now if known is None or not known.cond or known.condition_at is None else known.condition_at
        if closed[asset] - CLOCKS_DIFFER <= since <= closed[asset] + FOLLOWS_WITHIN:
            wanted.add("commanded")
    if "higher_limit" in definition.rules and _higher_active(definition.id, asset, alarms):
        wanted.add("higher_limit")
    for rule, area in zip(("parent_silent", "area_supply"), _AREAS, strict=True):
        if rule in definition.rules and _area_active(area, asset, alarms, network, now):
            wanted.add(rule)
    down = alarms.get(_DOWN)
    if "delivery_down" in definition.rules and down is not None and down.cond and not down.hidden:
        wanted.add("delivery_down")
    known = alarms.get(alarm_id)
    return frozenset(rule for rule in wanted if known is None or not _too_long(known, rule, now))


def _too_long(alarm: Alarm, rule: str, now: datetime) -> bool:
    """Tell whether a condition has lasted for longer than a rule may hide it; then it speaks."""
    return alarm.cond and alarm.condition_at is not None and now - alarm.condition_at >= LONGEST_HIDDEN[rule]


def area_of(assets: Iterable[str], network: Network, *, least: int, share: float, many: int) -> str | None:
    """Return the zone that explains best why these stations fell together, None if there is none.

    A zone qualifies with at least `least` of them and that share of its own stations, or with `many` of them: so many
    are no coincidence. The lowest such zone is taken; it moves up as long as the zone above qualifies and has more of
    them. A station belongs to its zone and to all zones above it.
    """
    hit: dict[str, int] = {}
    chosen = set(assets)
    if len(chosen) < least:
        return None
    for asset in chosen:
        for zone in _above(network.zone_of(asset), network):
            hit[zone] = hit.get(zone, 0) + 1
    every = _stations_below(network)
    fitting = {
        zone: count
        for zone, count in hit.items()
        if count >= many or (count >= least and count >= share * every.get(zone, 0))
    }
    found = max(fitting, key=lambda zone: (len(_above(zone, network)), fitting[zone], zone), default=None)
    while found is not None:
        parent = network.zones[found].parent_id
        if fitting.get(parent, 0) <= fitting[found]:
            break
        found = parent
    return found


def _stations_below(network: Network) -> dict[str, int]:
    every: dict[str, int] = {}
    for zone_id, count in Counter(station.zone_id for station in network.stations.values()).items():
        for zone in _above(zone_id, network):
            every[zone] = every.get(zone, 0) + count
    return every


def below(asset: str, zone: str, network: Network) -> bool:
    """Tell whether an asset lies in a zone or in one below it."""
    return zone in _above(network.zone_of(asset), network)


def causes_of(
    alarms: Mapping[str, Alarm],
    plans: Sequence[Interruption],
    now: datetime,
    *,
    closed: Mapping[str, datetime] = MappingProxyType({}),
) -> frozenset[object]:
    """Return everything that rules rest on, so that they need be looked at anew only when it differs."""
    found: set[object] = {(plan.id, plan.hides_at(now)) for plan in plans} | set(closed.items())
    spoken, oldest = 0, now - min(LONGEST_HIDDEN.values())
    for alarm_id, alarm in alarms.items():
        if alarm.sbd and alarm.condition_at is not None and alarm.condition_at <= oldest:
            spoken += sum(_too_long(alarm, rule, now) for rule in alarm.sbd)
        if alarm.definition in _AREAS:
            waits = alarm.cleared_at is not None and now - alarm.cleared_at < LEFT_BEHIND
            found.add((alarm_id, alarm.cond, waits))
        elif alarm.definition in _COVERING or alarm_id == _DOWN:
            found.add((alarm_id, alarm.cond, alarm.hidden))
    found.add(("hidden for too long", spoken))
    return frozenset(found)


def covers(plan: Interruption, asset: str, network: Network) -> bool:
    """Tell whether an interruption lists an asset, its zone, a zone above it, or all regulators of one of these."""
    above = _above(network.zone_of(asset), network)
    if asset in plan.assets or any(zone in above for zone in plan.zones):
        return True
    regulators = (network.stations[one] for one in plan.assets if one in network.stations)
    near = any(one.kind == "regulator" and one.zone_id in above for one in regulators)
    return near and not unfed_zones(network, plan.assets).isdisjoint(above)


def unfed_zones(network: Network, assets: Iterable[str]) -> set[str]:
    """Return the zones all of whose regulators are among these assets."""
    stations = network.stations
    stopped = {name for name in assets if name in stations and stations[name].kind == "regulator"}
    others = (one for name, one in stations.items() if one.kind == "regulator" and name not in stopped)
    return {stations[name].zone_id for name in stopped} - {one.zone_id for one in others} if stopped else set()


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
