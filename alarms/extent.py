"""How much hangs on a ticket: whose gas it is about, and how large the job is by the company's rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from gateway.model.network import MeterRole, Network
from gateway.model.ticket import Ticket, TicketClass
from gateway.settings import Settings

Size = Literal["large", "major"]
RANKS: tuple[str, ...] = ("", "large", "major")
"""sizes of a fault, the ordinary one first; what holds for a large one holds for a major one, too"""


class SizeRule(Settings):
    """One row that makes a fault large or major. All that it names must fit; the gravest row that fits counts."""

    size: Size
    ticket_class: TicketClass
    types: tuple[str, ...] = ()
    """types of tickets; empty = every type"""
    asset_kind: Literal["", "station", "regulator", "meter", "zone"] = ""
    """kind of the asset; empty = every kind"""
    customers: int = Field(default=0, ge=0)
    """customers behind the asset at the least"""
    sensitive: int = Field(default=0, ge=0)
    """customers behind the asset that depend on supply, at the least"""


@dataclass(frozen=True, slots=True)
class Extent:
    """What the network says about a ticket's asset."""

    size: str
    customer: str
    customers: int
    sensitive: int

    def on(self, ticket: Ticket) -> Ticket:
        """Return the ticket with this extent."""
        return replace(
            ticket, size=self.size, customer=self.customer, customers=self.customers, sensitive=self.sensitive
        )


def extent_of(
    asset: str, ticket_class: TicketClass, ticket_type: str, network: Network, rules: Iterable[SizeRule]
) -> Extent:
    """Return the extent of a ticket of this class and type about an asset."""
    affected = network.affected(asset)
    meter = network.meters.get(asset)
    customer = meter.customer_class if meter is not None and meter.role is MeterRole.CUSTOMER else ""
    kind = _kind(asset, network)
    fits = [
        rule.size
        for rule in rules
        if rule.ticket_class is ticket_class
        and (not rule.types or ticket_type in rule.types)
        and rule.asset_kind in ("", kind)
        and affected.customers >= rule.customers
        and affected.sensitive >= rule.sensitive
    ]
    return Extent(max(fits, key=RANKS.index, default=""), customer, affected.customers, affected.sensitive)


def larger(ticket: Ticket, joined: Extent) -> Ticket:
    """Return the ticket as large as what joined it, in all that is larger; never smaller."""
    return replace(
        ticket,
        size=max(ticket.size, joined.size, key=rank),
        customers=max(ticket.customers or 0, joined.customers),
        sensitive=max(ticket.sensitive or 0, joined.sensitive),
    )


def rank(size: str) -> int:
    """Return how grave a size is; sizes that are no fault's rank as ordinary."""
    return RANKS.index(size) if size in RANKS else 0


def covers(wanted: str, size: str) -> bool:
    """Tell whether a row of promises for one size counts for a ticket of another: the larger keeps what binds it."""
    return not wanted or wanted == size or (wanted in RANKS and 0 < rank(wanted) <= rank(size))


def ambiguous(rules: Sequence[SizeRule]) -> list[SizeRule]:
    """Return the rows that fit every ticket of their class: they would make each one large."""
    return [one for one in rules if not (one.types or one.asset_kind or one.customers or one.sensitive)]


def _kind(asset: str, network: Network) -> str:
    if asset in network.stations:
        return network.stations[asset].kind
    return "meter" if asset in network.meters else "zone" if asset in network.zones else ""
