"""Customers of the simulated city: who they are, and what gas they use in any hour."""

from simulators.customers.accounts import AccountEvent, account_events, is_open
from simulators.customers.conditions import BASE_K, BASE_KPA, CUSTOMER_KPA
from simulators.customers.kinds import Kind, mix_names
from simulators.customers.people import Customers, indices_of
from simulators.customers.settle import DEFAULT_MIX, Season, build_customers
from simulators.customers.use import daily_use, hourly_use

HEATED, COOKING, COMMERCIAL, UNUSED = Kind.HEATED, Kind.COOKING, Kind.COMMERCIAL, Kind.UNUSED

__all__ = [
    "BASE_K",
    "BASE_KPA",
    "COMMERCIAL",
    "COOKING",
    "CUSTOMER_KPA",
    "DEFAULT_MIX",
    "HEATED",
    "UNUSED",
    "AccountEvent",
    "Customers",
    "Kind",
    "Season",
    "account_events",
    "build_customers",
    "daily_use",
    "hourly_use",
    "indices_of",
    "is_open",
    "mix_names",
]
