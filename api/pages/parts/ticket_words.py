"""What tickets are about, in words: what alarms and findings ask for, and what customers order."""

from __future__ import annotations

from api.pages.parts import service_words, words
from api.text import Texts, mark

ORDERS = {
    "first_gas_on": mark("First gas-on"),
    "complaint": mark("Complaint"),
    "ordinary_problem": mark("Ordinary problem"),
    "special_need": mark("Special need"),
    "difficult_problem": mark("Difficult problem"),
    "unseal": mark("Unsealing"),
    "reconnect": mark("Re-connection"),
    "suspend": mark("Suspension of supply"),
    "indoor_removal": mark("Removal of indoor pipes"),
    "indoor_relocation": mark("Relocation of indoor pipes"),
    "indoor_line": mark("New indoor line"),
    "survey": mark("Survey on site"),
    "construction": mark("Construction works"),
    "application": mark("Application for gas"),
    "replace_card": mark("New card or certificate"),
    "transfer_account": mark("Transfer of an account"),
    "safety_inspection": mark("Safety inspection"),
}
TYPES = {
    **ORDERS,
    **words.FINDINGS,
    **service_words.SAID,
    "gas_concentration": mark("Gas concentration"),
    "home_gas": mark("Gas in a home"),
    "pressure": mark("Pressure"),
    "overpressure": mark("Over-pressure"),
    "underpressure": mark("Under-pressure"),
    "supply_loss": mark("Supply interruption"),
    "communication": mark("Communication"),
    "leak_survey": mark("Leak survey"),
    "long_unread_4": mark("Unread for more than 4 months"),
    "long_unread_6": mark("Unread for more than 6 months"),
    "long_unread_12": mark("Unread for more than 12 months"),
    "chatter": mark("Alarm that comes and goes"),
    "battery": mark("Battery is low"),
    "exchange": mark("Meter past its ten years"),
    "not_satisfied": mark("Customer was not satisfied"),
    "planned_interruption": mark("Planned interruption"),
}
SIZES = {
    "business": mark("business premises"),
    "under_200_homes": mark("under 200 homes"),
    "over_200_homes": mark("over 200 homes"),
    "under_1000_homes": mark("under 1,000 homes"),
    "over_1000_homes": mark("over 1,000 homes"),
    "large": mark("large"),
    "major": mark("major"),
}


def ticket_type(name: str, tr: Texts) -> str:
    """Name what a ticket is about."""
    return tr(TYPES[name]) if name in TYPES else name.replace("_", " ")


def order(kind: str, size: str, tr: Texts) -> str:
    """Name what a customer asks for, with the size of the job where promises differ by it."""
    name = ticket_type(kind, tr)
    return f"{name} · {tr(SIZES.get(size, size))}" if size else name
