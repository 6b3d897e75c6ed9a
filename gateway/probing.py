"""`gasgate probe`: one real read of one device, source, output or ticket sink, and how it is shown to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alarms import TICKET_SINKS
from collectors.cjt188_config import Cjt188Config
from collectors.modbus_config import ModbusConfig
from collectors.mqtt_config import MqttConfig
from collectors.probe import MeterProbe, ModbusProbe, MqttProbe, ProbedRequest, probe_cjt188, probe_modbus, probe_mqtt
from gateway.config import Config
from gateway.errors import ConfigError, PermanentError, RefusedError, TransientError
from gateway.model.quantity import UNITS
from gateway.model.reading import Reading, split_point
from gateway.roles.common import TOKEN_FILE, remote_store, site_clock, site_network
from gateway.store.outputs import OUTPUTS
from gateway.store.registry import MemoryRegistry

PAYLOAD_SHOWN = 400


@dataclass(frozen=True, slots=True)
class OutputProbe:
    """What an output answered to one test line, or a ticketing system to a look-up of nothing."""

    name: str
    answer: str


Probed = ModbusProbe | MeterProbe | MqttProbe | OutputProbe


async def probe_any(config: Config, name: str, seconds: float) -> Probed:
    """Read the device with this asset or `source/link/unit`, listen to this source, or try this output or sink, once.

    Raises ConfigError if there is nothing of that name, GatewayError if it does not answer at all.
    """
    network = site_network(config)
    for source, link, unit, names in _units(config):
        if name in names:
            found = await _through_gateway(config, names[0])
            return found or await probe_modbus(source, link, unit, site_clock(config))
    for meters, key, names in _meters(config):
        if name in names:
            return await probe_cjt188(meters, network, key, site_clock(config))
    for source in config.source:
        if isinstance(source, MqttConfig) and source.name == name:
            return await probe_mqtt(source, network, seconds, site_clock(config))
    for output in config.output:
        if output.name == name:
            writer = OUTPUTS[output.kind](output, MemoryRegistry().names, network)
            try:
                return OutputProbe(name, await writer.probe())
            finally:
                await writer.close()
    for receiver in config.ticket_sink:
        if receiver.name == name:
            sink = TICKET_SINKS[receiver.kind](receiver, site_clock(config))
            try:
                return OutputProbe(name, await sink.probe())
            finally:
                await sink.close()
    raise ConfigError([f"nothing is called {name}; there are: {', '.join(_names(config))}"])


async def _through_gateway(config: Config, key: str) -> ModbusProbe | None:
    """Let the running gateway read a unit, which may take one connection only; None if none runs or has that unit."""
    if not (config.data.folder / TOKEN_FILE).is_file():
        return None
    store = remote_store(config)
    try:
        return msgspec.msgpack.decode(await store.probe(key), type=ModbusProbe)
    except (TransientError, PermanentError, RefusedError):
        return None
    finally:
        await store.close()


def _units(config: Config) -> Iterator[tuple[ModbusConfig, str, int, tuple[str, ...]]]:
    for source in config.source:
        if isinstance(source, ModbusConfig):
            for link in source.links:
                for unit in link.units:
                    key = f"{source.name}/{link.name}/{unit.unit}"
                    yield source, link.name, unit.unit, (key, *filter(None, (unit.asset, *unit.members)))


def _meters(config: Config) -> Iterator[tuple[Cjt188Config, str, tuple[str, str]]]:
    for source in config.source:
        if isinstance(source, Cjt188Config):
            for bus in source.buses:
                for one in bus.meters:
                    key = f"{source.name}/{bus.name}/{one.address}"
                    yield source, key, (key, one.meter)


def _names(config: Config) -> list[str]:
    units = [names[1] if len(names) == 2 else names[0] for *_, names in _units(config)]
    units += [names[1] for *_, names in _meters(config)]
    sources = [source.name for source in config.source if isinstance(source, MqttConfig)]
    receivers = (*config.output, *config.ticket_sink)
    return [*units, *sources, *(receiver.name for receiver in receivers)]


def went_well(probed: Probed) -> bool:
    """Tell whether anything answered."""
    return not (isinstance(probed, ModbusProbe | MeterProbe) and probed.error)


def render(probed: Probed) -> RenderableType:
    """Return what was found as text for a terminal."""
    match probed:
        case ModbusProbe():
            return Group(*_modbus(probed))
        case MeterProbe():
            return Group(*_meter(probed))
        case MqttProbe():
            return Group(*_mqtt(probed))
        case OutputProbe():
            return Text(f"{probed.name}: {probed.answer}")


def _modbus(probed: ModbusProbe) -> Iterator[RenderableType]:
    way = ", through the running gateway" if probed.through_gateway else ""
    yield Text(f"{probed.key}: {len(probed.requests)} requests{way}", style="bold")
    plan = Table("request", "registers", "ms", "raw words", box=None, pad_edge=False)
    for one in probed.requests:
        plan.add_row(one.request.table.value, _span(one), f"{one.seconds * 1000:.1f}", _cells(one))
    yield plan
    if probed.error:
        yield Text(f"the unit could not be read: {probed.error}", style="bold red")
    yield _readings(probed.readings)


def _meter(probed: MeterProbe) -> Iterator[RenderableType]:
    yield Text(f"{probed.key}: {probed.seconds * 1000:.1f} ms", style="bold")
    if probed.error:
        yield Text(f"the meter could not be read: {probed.error}", style="bold red")
    if probed.frame:
        yield Text(probed.frame.hex(" ").upper())
    yield _readings(probed.readings)


def _span(one: ProbedRequest) -> str:
    return f"{one.request.start}-{one.request.start + one.request.count - 1}"


def _cells(one: ProbedRequest) -> Text:
    if one.error:
        return Text(one.error, style="red")
    return Text(" ".join(f"{cell:04X}" for cell in one.cells))


def _mqtt(probed: MqttProbe) -> Iterator[RenderableType]:
    yield Text(f"{len(probed.messages)} messages in {probed.seconds:.1f} s", style="bold")
    for message in probed.messages:
        yield Text(message.topic, style="bold")
        payload = message.payload[:PAYLOAD_SHOWN].decode("utf-8", "backslashreplace")
        yield Text(payload + (" ..." if len(message.payload) > PAYLOAD_SHOWN else ""), style="dim")
        if message.reason:
            yield Text(f"would be a dead letter: {message.reason}", style="red")
        if message.readings or not message.reason:
            yield _readings(message.readings)


def _readings(readings: Sequence[Reading]) -> Table:
    table = Table("point", "value", "unit", "quality", "source time (UTC)", box=None, pad_edge=False)
    for reading in readings:
        _, quantity = split_point(reading.point)
        mark = reading.severity.name.lower()
        table.add_row(
            reading.point,
            f"{reading.value:g}",
            UNITS[quantity],
            mark if not reading.reason else f"{mark}: {reading.reason.name.lower()}",
            reading.source_time.isoformat(timespec="milliseconds"),
        )
    return table
