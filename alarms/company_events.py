"""What the company knows it did to its meters, as the passes take it. Each entry counts from its own moment on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from alarms.analysis.city import AccountChange
from alarms.city_data import Exchange
from alarms.findings import CauseOf
from gateway.dataset import MeterEvent
from gateway.model.finding import EndCause, Finding
from gateway.model.reading import to_us


def exchanges_of(events: Iterable[MeterEvent]) -> tuple[Exchange, ...]:
    """Return the recorded exchanges of meters."""
    return tuple(
        Exchange(event.meter_id, to_us(event.at), event.old_register_m3, event.new_register_m3)
        for event in events
        if event.event == "exchange"
    )


def accounts_of(events: Iterable[MeterEvent]) -> dict[str, tuple[AccountChange, ...]]:
    """Return openings and closings of accounts by meter, oldest first."""
    changes: dict[str, tuple[AccountChange, ...]] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.event in {"account_opened", "account_closed"}:
            change = AccountChange(to_us(event.at), event.event == "account_opened")
            changes[event.meter_id] = (*changes.get(event.meter_id, ()), change)
    return changes


def cause_in(exchanges: Iterable[Exchange], accounts: Mapping[str, tuple[AccountChange, ...]]) -> CauseOf:
    """Return what says whether an exchange, an opening or a closing since its onset explains that a finding is over."""
    exchanged: dict[str, list[int]] = {}
    for exchange in exchanges:
        exchanged.setdefault(exchange.meter_id, []).append(exchange.at_us)

    def cause_of(finding: Finding, now: datetime) -> EndCause | None:
        first, last = to_us(finding.onset), to_us(now)
        if finding.meter is None:
            return None
        if any(first <= at <= last for at in exchanged.get(finding.meter, ())):
            return EndCause.EXCHANGED
        if any(first <= change.at_us <= last for change in accounts.get(finding.meter, ())):
            return EndCause.EVENT
        return None

    return cause_of
