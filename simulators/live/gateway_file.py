"""Write the gateway's configuration for a simulated city."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulators.live.devices import LinkPlan

_TOPIC = (
    'filter = "gas/+/{meter}/up"\nidentity = "$.id"\neach = "$.readings[*]"\n'
    'time = { path = "t", as = "epoch_ms" }\n'
    'values = { register_measured_m3 = { path = "v", scale = 0.001 }, valve = "k", flags = "f" }\n'
)


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """What the gateway must know; all else has its defaults. Ports are those of 127.0.0.1."""

    site_id: str
    site_name: str
    web: int
    keep: int
    broker: int
    desk: int
    links: tuple[LinkPlan, ...]
    note_file: str = ""
    influx_url: str = ""

    def text(self) -> str:
        """Return the file."""
        parts = [self._site(), self._modbus(), self._mqtt(), self._sink()]
        if self.influx_url:
            parts.append(
                f'[[output]]\nkind = "influx_v1"\nname = "influxdb"\nurl = "{self.influx_url}"\ndatabase = "gasgate"\n'
                "gap_days = 400  # the city's history is older than what a server usually misses\n"
            )
        return "\n".join(parts)

    def _site(self) -> str:
        note = f'note_file = "{self.note_file}"\n' if self.note_file else ""
        return (
            f'[site]\nid = "{self.site_id}"\nname = "{self.site_name}"\n'
            'timezone = "Asia/Shanghai"\ngas_day_start = "06:00"\n'
            "base_temperature_c = 20.0\nbase_pressure_kpa = 101.325\ncustomer_pressure_kpa = 103.4\n\n"
            '[clock]\nfile = "clock.json"\n\n[data]\nfolder = "data"\nstate_reserve_mib = 16\n\n'
            '[network]\nfolder = "network"\n\n'
            f'[keep]\nlisten = "127.0.0.1:{self.keep}"\n\n'
            f'[web]\nlisten = "127.0.0.1:{self.web}"\n{note}\n'
            "[analyse]\nsettle_minutes = 16\n"
        )

    def _modbus(self) -> str:
        lines = (line for link in self.links for line in _link(link))
        return '[[source]]\nkind = "modbus"\nname = "stations"\n\n' + "\n".join(lines)

    def _mqtt(self) -> str:
        return (
            f'[[source]]\nkind = "mqtt"\nname = "remote-meters"\nurl = "mqtt://127.0.0.1:{self.broker}"\n'
            f'version = "3.1.1"\nclient_id = "gasgate-{self.site_id}"\n\n[[source.topic]]\n{_TOPIC}'
        )

    def _sink(self) -> str:
        return (
            f'[[ticket_sink]]\nkind = "webhook"\nname = "desk"\nurl = "http://127.0.0.1:{self.desk}/tickets"\n'
            'secrets = [{ file = "secrets/desk.secret" }]\nclasses = ["EMERGENCY", "URGENT", "CHECK"]\n'
        )


def _link(link: LinkPlan) -> Iterator[str]:
    yield f'[[source.link]]\nname = "{link.name}"\nurl = "tcp://127.0.0.1:{link.port}"\ntimeout_s = 1.0\n'
    for unit in link.units:
        yield f'[[source.link.unit]]\nunit = {unit.unit}\nprofile = "{unit.profile}"'
        if unit.asset:
            yield f'asset = "{unit.asset}"\n'
        else:
            yield "members = [" + ", ".join(f'"{member}"' for member in unit.members) + "]\n"
