"""Build the city that a file describes, and refuse what this machine cannot serve."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError
from gateway.model.reading import to_us
from simulators.city import City, Plan
from simulators.customers import build_customers
from simulators.faults import Fault
from simulators.ground import Ground
from simulators.live.config import MOST_METERS, MOST_ZONES, LiveConfig
from simulators.live.devices import LARGEST_REGISTER_M3, LinkPlan, plan_links
from simulators.live.reports import reports_an_hour
from simulators.networks import NETWORKS, Wish

_MOST_MESSAGES_A_SECOND = 500.0
"""what one MQTT client in Python can be trusted to hand over beside all else"""
_MOST_TABLE_GIB = 2.0
_TABLES_A_METER_HOUR = 24
"""bytes that a city keeps of each meter and hour of its history"""
_FILES_A_PORT, _SPARE_FILES = 3, 64
_LAST_PORT = 65535
_YEARS = 6
"""registers begin with up to five years' gas, and the city is to live for another"""


@dataclass(frozen=True, slots=True, eq=False)
class BuiltCity:
    """A city that can be served."""

    config: LiveConfig
    plan: Plan
    links: tuple[LinkPlan, ...]
    faults: tuple[Fault, ...]
    """those that stand in the file"""

    @property
    def identity(self) -> str:
        """Tell this city from another one, for people and for comparing."""
        config, customers = self.config, self.plan.customers
        places = "\n".join(f"{meter.meter_id} {meter.zone_id}" for meter in customers.meters)
        digest = hashlib.sha256(places.encode()).hexdigest()[:8]
        return (
            f"seed {config.city.seed}, {config.network.kind}, {len(self.plan.ground.regulator_zones)} zones, "
            f"{len(customers)} meters ({digest}), customers {config.customers.mix}, "
            f"from {config.history_start.isoformat()}"
        )

    @property
    def last_port(self) -> int:
        """Last of the run of Modbus ports."""
        return self.links[-1].port

    def sizes(self) -> str:
        """Say in words how large it is."""
        plan = self.plan
        rate = messages_a_second(plan, self.config, self.config.city.speed)
        return (
            f"{len(plan.customers)} meters in {len(plan.ground.regulator_zones)} zones, "
            f"{len(plan.ground.stations)} stations and regulators, {len(self.links)} Modbus ports "
            f"{self.config.serve.modbus_port}-{self.last_port}, about {rate:.2g} MQTT messages a second"
        )


def build(path: Path, config: LiveConfig) -> BuiltCity:
    """Build the city of a configuration that stands in a file.

    Raises ConfigError if it cannot be built, its faults befall nobody, or it is too large to be served.
    """
    try:
        ground = _ground(path, config)
        start = config.history_start
        customers = build_customers(config.city.seed, ground, start.date(), config.customers.mix)
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    plan = Plan(config.city.seed, start, ground, customers)
    built = BuiltCity(config, plan, plan_links(plan, config.serve.modbus_port), tuple(f.fault() for f in config.fault))
    problems = [*_fault_problems(built), *_size_problems(built)]
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems])
    return built


def _ground(path: Path, config: LiveConfig) -> Ground:
    network = config.network
    if network.kind not in NETWORKS:
        raise ConfigError([f'{path}: network.kind: "{network.kind}" is unknown; allowed: {", ".join(NETWORKS)}'])
    wish = Wish(config.city.seed, network.zones, network.meters_per_zone, network.flats_share, network.folder)
    return NETWORKS[network.kind](wish)


def _fault_problems(built: BuiltCity) -> list[str]:
    city, problems = City(built.plan, built.faults), []
    for fault in built.faults:
        try:
            city.check(fault)
        except ValueError as error:
            problems.append(f"fault {error}")
    return problems


def messages_a_second(plan: Plan, config: LiveConfig, speed: float) -> float:
    """Return how many reports the remote meters send in a real second."""
    remote = len(plan.customers) - int(plan.customers.ic_card.sum())
    return remote * reports_an_hour(config.meters.habits) * speed / 3600.0


def fastest(built: BuiltCity) -> float:
    """Return the pace at which its remote meters send as much as can be handed over."""
    rate = messages_a_second(built.plan, built.config, 1.0)
    return _MOST_MESSAGES_A_SECOND / rate if rate else float("inf")


def _size_problems(built: BuiltCity) -> Sequence[str]:
    """Say what this machine cannot serve, and what would be possible."""
    config, plan = built.config, built.plan
    meters, zones, problems = len(plan.customers), len(plan.ground.regulator_zones), []
    if not meters:
        problems.append("the network has no customer meters; a city needs at least one")
    if meters > MOST_METERS or zones > MOST_ZONES:
        problems.append(
            f"{meters} meters in {zones} zones are more than a live city can have ({MOST_METERS} in {MOST_ZONES}); "
            "write a dataset instead (gasgate simulate dataset --help)"
        )
    if config.city.speed > fastest(built):
        rate = messages_a_second(plan, config, config.city.speed)
        problems.append(
            f"city.speed: {rate:.0f} MQTT messages a second are more than {_MOST_MESSAGES_A_SECOND:.0f}; "
            f"take a speed of at most {fastest(built):.0f}, or fewer meters"
        )
    gib = meters * config.city.history_days * 24 * _TABLES_A_METER_HOUR / 2**30
    if gib > _MOST_TABLE_GIB:
        days = int(config.city.history_days * _MOST_TABLE_GIB / gib)
        problems.append(f"city.history_days: its history would take {gib:.1f} GiB of memory; take at most {days} days")
    return [*problems, *_register_problems(plan), *_port_problems(built)]


def _register_problems(plan: Plan) -> list[str]:
    """Say which zones use so much that the registers of their correctors would not hold it."""
    years_m3 = plan.nominal_m3h * 24.0 * 365.0 * _YEARS
    return [
        f"{zone}: its corrector's register ends at {LARGEST_REGISTER_M3:.2g} m3, and the zone takes {flow:.0f} m3/h "
        "in winter; take more zones with fewer meters each"
        for zone, flow, m3 in zip(plan.ground.regulator_zones, plan.nominal_m3h, years_m3, strict=True)
        if m3 > LARGEST_REGISTER_M3
    ][:5]


def _port_problems(built: BuiltCity) -> list[str]:
    serve, ports = built.config.serve, len(built.links)
    problems = []
    if built.last_port > _LAST_PORT:
        problems.append(f"serve.modbus_port: {ports} ports do not fit; take at most {_LAST_PORT + 1 - ports}")
    for name, port in (("broker_port", serve.broker_port), ("control_port", serve.control_port)):
        if serve.modbus_port <= port <= built.last_port:
            problems.append(
                f"serve.{name}: {port} is one of the Modbus ports {serve.modbus_port} to {built.last_port}; move it"
            )
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ports * _FILES_A_PORT + _SPARE_FILES
    if allowed != resource.RLIM_INFINITY and wanted > allowed:
        problems.append(
            f"{ports} Modbus ports need about {wanted} open files, this shell allows {allowed}: ulimit -n {wanted}"
        )
    return problems


def start_us(config: LiveConfig) -> int:
    """Return the city's moment at its first start, us UTC."""
    return to_us(config.city.start)
