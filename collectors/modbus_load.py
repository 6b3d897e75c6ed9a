"""How much of its time a Modbus link needs for its polls. Pure, but for the profiles' files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from collectors.modbus_config import LinkConfig, ModbusConfig, SerialConfig
from collectors.modbus_frames import FRAMINGS, Question
from collectors.modbus_unit import Unit
from collectors.plan import LineCost, Request
from gateway.model.profile import RegisterTable

WARN_ABOVE = 0.7
ANSWER_S = 0.02
"""What a device is taken to need before it answers; only `probe` can tell what it really needs."""
_GAP_CHARACTERS = 7
"""Silence around question and reply."""
_MOST_TICKS = 4096
_READ_REGISTERS = RegisterTable.HOLDING.read_function


def line_cost(config: LinkConfig) -> LineCost | None:
    """Return what reading costs where the link is a serial line, else None: there requests cost more than bytes."""
    if config.address.way != "serial":
        return None
    return _line_cost(config, config.serial)


def _line_cost(config: LinkConfig, serial: SerialConfig) -> LineCost:
    framing = FRAMINGS[config.address.framing]()
    one, two = (framing.size(Question.read(1, _READ_REGISTERS, 0, count)) for count in (1, 2))
    register_s = (two - one) * serial.character_s
    request_s = (2 * one - two + _GAP_CHARACTERS) * serial.character_s + ANSWER_S
    return LineCost(round(request_s * 1e6), round(register_s * 1e6), math.ceil(register_s / 16 * 1e6))


def loads(config: LinkConfig, units: Sequence[Unit]) -> list[float]:
    """Return for each connection of a link which part of its time its units' polls take; 1 is all of it."""
    count = min(config.connections, len(units))
    shares = {unit: _share(config, unit) for unit in set(units)}
    return [sum(shares[unit] for unit in units[place::count]) for place in range(count)]


def load_warnings(config: ModbusConfig, links: Sequence[tuple[LinkConfig, Sequence[Unit]]]) -> Iterator[str]:
    """Yield what to say about links that have little time left for devices that answer slowly or not at all."""
    for link, units in links:
        worst = max(loads(link, units))
        if worst > WARN_ABOVE:
            yield (
                f"source {config.name}, link {link.name}: its polls take about {worst:.0%} of its time (more than "
                f"{WARN_ABOVE:.0%}): poll less often, raise max_gap or max_registers in the profiles, or use more links"
            )


def _share(config: LinkConfig, unit: Unit) -> float:
    return sum(
        how_often * sum(_seconds(config, unit, request) for request in requests) for how_often, requests in _polls(unit)
    )


def _polls(unit: Unit) -> Iterator[tuple[float, Sequence[Request]]]:
    """Yield how often a second which requests are asked; points that are due together share requests."""
    rates_ms = sorted({round(spec.every_s * 1000) for spec in unit.specs})
    step_ms, cycle_ms = math.gcd(*rates_ms), math.lcm(*rates_ms)
    if cycle_ms // step_ms > _MOST_TICKS:
        # rates that hardly ever meet
        for rate_ms in rates_ms:
            yield 1000 / rate_ms, unit.plan.plan_rows(_rows(unit, (rate_ms,)))
        return
    ticks: dict[tuple[int, ...], int] = {}
    for now_ms in range(0, cycle_ms, step_ms):
        due = tuple(rate_ms for rate_ms in rates_ms if now_ms % rate_ms == 0)
        if due:
            ticks[due] = ticks.get(due, 0) + 1
    for due, count in ticks.items():
        yield count * 1000 / cycle_ms, unit.plan.plan_rows(_rows(unit, due))


def _rows(unit: Unit, rates_ms: Sequence[int]) -> list[int]:
    return [row for row, spec in enumerate(unit.specs) if round(spec.every_s * 1000) in rates_ms]


def _seconds(config: LinkConfig, unit: Unit, request: Request) -> float:
    rest_s = max(config.pause_s, unit.profile.pause_ms / 1000)
    if config.address.framing == "tcp":
        return ANSWER_S + rest_s
    # behind a converter is a line whose speed only the converter knows: 9600 baud is the most common
    line = _line_cost(config, config.serial)
    one_us = line.bit_us if request.table.of_bits else line.register_us
    return (line.request_us + one_us * request.count) / 1e6 + rest_s
