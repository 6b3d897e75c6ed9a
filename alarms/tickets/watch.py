"""Which alarms about the delivery of tickets hold now, from rows alone: the worker may be dead, this still tells."""

from __future__ import annotations

from collections.abc import Collection

from alarms.tickets.lanes import LANES
from gateway.model.ticket import DifferenceKind, TicketClass
from gateway.store import delivery_rows, endpoint_rows, outbox_rows
from gateway.store.state import Transaction

DOWN = "DELIVERY_DOWN@gasgate"
DOWN_FROM = 5
"""so many unconfirmed emergencies are one trouble of their receiver, and one alarm"""
DOWN_UNTIL = 2
"""it is over when fewer are left"""
ABOUT = (
    "TICKET_UNCONFIRMED", "TICKET_DELAYED", "TICKET_DEAD", "TICKET_MISSING", "KEY_COLLISION",
    "ENDPOINT_OFF", "DELIVERY_DOWN",
)  # fmt: skip
"""definitions of the alarms that are told of here; an alarm's asset is the number of a ticket or the name of a sink"""


def delivery_alarms(connection: Transaction, wall_now_s: float) -> set[str]:
    """Return the ids of the alarms that hold. What a person handled by telephone is not told again."""
    found: set[str] = set()
    soonest_s = min(lane.told_after_s for lane in LANES.values())
    for number, ticket_class, made_s in outbox_rows.unconfirmed_since(connection, wall_before_s=wall_now_s - soonest_s):
        if wall_now_s - made_s >= LANES[ticket_class].told_after_s:
            name = "TICKET_UNCONFIRMED" if ticket_class is TicketClass.EMERGENCY else "TICKET_DELAYED"
            found.add(f"{name}@{number}")
    # all that was given up: what is left out would look as if it were well
    for row in outbox_rows.dead_to_tell(connection):
        grave = row.command.ticket_class is TicketClass.EMERGENCY and row.command.command == "open"
        found.discard(f"TICKET_DELAYED@{row.command.ticket_no}")
        found.add(f"{'TICKET_UNCONFIRMED' if grave else 'TICKET_DEAD'}@{row.command.ticket_no}")
    missing = delivery_rows.tickets_with(connection, DifferenceKind.MISSING_THERE, TicketClass.EMERGENCY)
    found.update(f"TICKET_MISSING@{number}" for number in missing)
    collided = delivery_rows.tickets_with(connection, DifferenceKind.COLLISION)
    found.update(f"KEY_COLLISION@{number}" for number in collided)
    return found | {f"ENDPOINT_OFF@{sink}" for sink in endpoint_rows.switched_off(connection)}


def many_unconfirmed(undelivered: Collection[str], *, before: bool) -> bool:
    """Tell whether so many emergencies are unconfirmed that they are one trouble; `before` says that they were."""
    count = sum(alarm_id.startswith("TICKET_UNCONFIRMED@") for alarm_id in undelivered)
    return count >= (DOWN_UNTIL if before else DOWN_FROM)
