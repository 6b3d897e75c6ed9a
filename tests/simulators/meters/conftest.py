"""A small city's customers, which the tests of one run share."""

from __future__ import annotations

from datetime import date

import pytest

from simulators.customers import Customers, build_customers
from simulators.networks.streets import build_ground


@pytest.fixture(scope="session")
def townspeople() -> Customers:
    return build_customers(5, build_ground(5, (60, 60, 40)), date(2025, 1, 1))
