"""Customers' data: addresses and account numbers, for those only whose role has the right to them."""

from __future__ import annotations

from dataclasses import replace

from api.auth import User
from api.roles import Act
from gateway.model.network import Meter

HIDDEN = "•••"
"""what stands in the place of a text that is there and may not be seen"""


def may_see(user: User) -> bool:
    """Return True if somebody may see who customers are and where they live, and search by it."""
    return user.may(Act.CUSTOMER_READ)


def text_for(user: User, text: str) -> str:
    """Return a customer's data as somebody may see it; what is not known stays empty."""
    return text if not text or may_see(user) else HIDDEN


def meter_for(user: User, meter: Meter) -> Meter:
    """Return a meter as somebody may see it."""
    if may_see(user):
        return meter
    return replace(meter, account_no=text_for(user, meter.account_no), address=text_for(user, meter.address))
