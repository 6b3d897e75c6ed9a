"""Write the gateway's configuration for the demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simulators.files import replace_file
from simulators.live.devices import plan_links
from simulators.live.gateway_file import GatewayFile
from simulators.prepare import read_city


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
    file = GatewayFile(
        site_id="demo",
        site_name="示范市 Demo city",
        web=ports.web,
        keep=ports.keep,
        broker=ports.broker,
        desk=ports.desk,
        links=plan_links(read_city(folder).plan(), ports.modbus),
        note_file="story.json",
        influx_url=influx_url or "",
    )
    path = folder / "gasgate.toml"
    replace_file(path, "# Written by the demo; made anew at each start.\n" + file.text())
    return path
