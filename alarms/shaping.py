"""What follows from what happened: design rules before and after each event, and measures against chatter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alarms.acts import GATEWAY, Edge
from alarms.alarm_events import AlarmEvent, Chatters, ConditionRises, RuleOff, RuleOn, Shelve
from alarms.chatter import Chatter, Measure, shelf_end
from alarms.machine import step
from alarms.suppress import causes_of, wanted_rules
from gateway.model.alarm import Alarm, Definition
from gateway.model.interruption import Interruption
from gateway.model.network import Network


@dataclass(frozen=True, slots=True)
class Shaped:
    """Events with all that goes with them, in order, and which alarms' rules have to be looked at afterwards."""

    ready: list[Edge]
    looks: list[Edge]
    """changes of rules that are found anew when it is their turn"""
    causes: frozenset[object]


class Shaping:
    """Rules and chatter of one pipeline. Nothing it is told twice counts twice, so a failed commit may be repeated."""

    def __init__(self, definition_of: Callable[[str], Definition], network: Network, chatter: Chatter) -> None:
        self._definition_of, self._network = definition_of, network
        self.chatter = chatter
        self.plans: Sequence[Interruption] = ()
        """interruptions that may hide alarms"""
        self.closed: Mapping[str, datetime] = {}
        """when valves were last closed by a command"""
        self._causes: frozenset[object] | None = None
        """what the rules rested on when all alarms were held against them last"""

    def follow(self, edges: Sequence[Edge], facts: dict[str, Alarm], now: datetime) -> Shaped:
        """Return the events in this order with the rules that have to change before and after each.

        `facts` of the alarms that are not normal are changed as the events will change them.
        """
        ready: list[Edge] = []

        def take(edge: Edge) -> None:
            ready.append(edge)
            definition = self._definition_of(edge.alarm_id)
            asset = edge.alarm_id.partition("@")[2]
            before = facts.get(edge.alarm_id) or Alarm(definition.id, asset, definition.priority)
            facts[edge.alarm_id], _ = step(before, edge.event, definition, now)

        def look(alarm_id: str) -> None:
            for change in self._rule_changes(alarm_id, facts, now):
                take(change)

        for edge in edges:
            if not isinstance(edge.event, ConditionRises):
                if not _is_rule(edge.event):
                    take(edge)
                look(edge.alarm_id)
                continue
            look(edge.alarm_id)
            known = facts.get(edge.alarm_id)
            take(edge)
            if known is None or not known.cond:
                for measure in self._against_chatter(facts[edge.alarm_id], now):
                    take(measure)
        causes = causes_of(facts, self.plans, now, closed=self.closed)
        looks = [] if causes == self._causes else self._looks(facts, now)
        return Shaped(ready, looks, causes)

    def settle(self, shaped: Shaped) -> None:
        """Note that what was found is committed, and the looks are queued."""
        self._causes = shaped.causes

    def _looks(self, facts: Mapping[str, Alarm], now: datetime) -> list[Edge]:
        return [change for alarm_id in facts for change in self._rule_changes(alarm_id, facts, now)]

    def _against_chatter(self, alarm: Alarm, now: datetime) -> list[Edge]:
        definition = self._definition_of(alarm.alarm_id)
        end = shelf_end(alarm, definition, now)
        match self.chatter.rise(alarm.alarm_id, alarm.source_at or now, shelvable=end is not None):
            case Measure.SHELVE if end is not None:
                return [Edge(alarm.alarm_id, Shelve(end, "comes and goes", GATEWAY, auto=True))]
            case Measure.REPAIR:
                return [Edge(alarm.alarm_id, Chatters(repair=True))]
            case Measure.MARK:
                return [Edge(alarm.alarm_id, Chatters())]
            case _:
                return []

    def _rule_changes(self, alarm_id: str, facts: Mapping[str, Alarm], now: datetime) -> list[Edge]:
        definition = self._definition_of(alarm_id)
        if not definition.rules:
            return []
        known = facts.get(alarm_id)
        present = frozenset() if known is None else known.sbd
        wanted = wanted_rules(alarm_id, definition, facts, self._network, now, plans=self.plans, closed=self.closed)
        changes = [Edge(alarm_id, RuleOn(rule)) for rule in sorted(wanted - present)]
        return changes + [Edge(alarm_id, RuleOff(rule)) for rule in sorted(present - wanted)]


def _is_rule(event: AlarmEvent) -> bool:
    return isinstance(event, RuleOn | RuleOff)
