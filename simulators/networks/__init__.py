"""Sources of a city's ground plan, by name."""

from __future__ import annotations

from collections.abc import Callable

from simulators.ground import Ground
from simulators.networks.streets import build_ground

NETWORKS: dict[str, Callable[..., Ground]] = {"streets": build_ground}
