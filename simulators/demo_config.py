"""Write the gateway's configuration for the simulated city."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simulators.files import replace_file
from simulators.live.devices import LinkPlan, plan_links
from simulators.prepare import read_city

_TOPIC = (
    'filter = "gas/+/{meter}/up"\nidentity = "$.id"\neach = "$.readings[*]"\n'
    'time = { path = "t", as = "epoch_ms" }\n'
    'values = { register_measured_m3 = { path = "v", scale = 0.001 }, valve = "k", flags = "f" }\n'
)


@dataclass(frozen=True, slots=True)
class DemoPorts:
    """Where everything of the demo listens on 127.0.0.1; `modbus` is the first of a run of ports."""

    web: int
    keep: int
    broker: int
    desk: int
    modbus: int


def write_config(folder: Path, ports: DemoPorts, influx_url: str | None = None) -> Path:
    """Write `gasgate.toml` into a prepared folder and return its path.

    Raises ConfigError if `prepare` has not been run there.
    """
    links = plan_links(read_city(folder).plan(), ports.modbus)
    parts = [
        "# Written by the demo; made anew at each start.\n" + _site(ports),
        _modbus(links),
        _mqtt(ports),
        _sink(ports),
    ]
    if influx_url:
        parts.append(f'[[output]]\nkind = "influx_v1"\nname = "influxdb"\nurl = "{influx_url}"\ndatabase = "gasgate"\n')
    path = folder / "gasgate.toml"
    replace_file(path, "\n".join(parts))
    return path


def _site(ports: DemoPorts) -> str:
    return (
        '[site]\nid = "demo"\nname = "示范市 Demo city"\ntimezone = "Asia/Shanghai"\ngas_day_start = "06:00"\n'
        "base_temperature_c = 20.0\nbase_pressure_kpa = 101.325\ncustomer_pressure_kpa = 103.4\n\n"
        '[clock]\nfile = "clock.json"\n\n[data]\nfolder = "data"\nstate_reserve_mib = 16\n\n'
        '[network]\nfolder = "network"\n\n'
        f'[keep]\nlisten = "127.0.0.1:{ports.keep}"\n\n'
        f'[web]\nlisten = "127.0.0.1:{ports.web}"\nnote_file = "story.json"\n\n'
        "[analyse]\nsettle_minutes = 16\n"
    )


def _modbus(links: tuple[LinkPlan, ...]) -> str:
    return '[[source]]\nkind = "modbus"\nname = "stations"\n\n' + "\n".join(
        line for link in links for line in _link(link)
    )


def _link(link: LinkPlan) -> Iterator[str]:
    yield f'[[source.link]]\nname = "{link.name}"\nurl = "tcp://127.0.0.1:{link.port}"\ntimeout_s = 1.0\n'
    for unit in link.units:
        yield f'[[source.link.unit]]\nunit = {unit.unit}\nprofile = "{unit.profile}"'
        if unit.asset:
            yield f'asset = "{unit.asset}"\n'
        else:
            yield "members = [" + ", ".join(f'"{member}"' for member in unit.members) + "]\n"


def _mqtt(ports: DemoPorts) -> str:
    return (
        f'[[source]]\nkind = "mqtt"\nname = "remote-meters"\nurl = "mqtt://127.0.0.1:{ports.broker}"\n'
        f'version = "3.1.1"\nclient_id = "gasgate-demo"\n\n[[source.topic]]\n{_TOPIC}'
    )


def _sink(ports: DemoPorts) -> str:
    return (
        f'[[ticket_sink]]\nkind = "webhook"\nname = "desk"\nurl = "http://127.0.0.1:{ports.desk}/tickets"\n'
        'secrets = [{ file = "secrets/desk.secret" }]\nclasses = ["EMERGENCY", "URGENT", "CHECK"]\n'
    )
