"""Command line of the simulators: `python -m simulators`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulators.dataset.command import dataset
from simulators.live.commands import EXIT_CODES, plain_errors
from simulators.live.commands import app as live_commands

app = typer.Typer(no_args_is_help=True, add_completion=False)

Folder = Annotated[Path, typer.Option(help="folder of the demo")]


@app.callback()
def simulators() -> None:
    """Serve a simulated city over real sockets, write one as a dataset, or run the demo ticket desk.

    To begin: gasgate simulate init training/
    """


@app.command(epilog=EXIT_CODES)
def prepare(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="the same seed gives the same city", min=0)] = 1,
    days: Annotated[int, typer.Option(help="days of history", min=8, max=400)] = 60,
) -> None:
    """Write network, history and secrets of a simulated city.

    Example: gasgate simulate prepare --folder .demo --seed 1
    """
    from gateway.runtime import child
    from simulators.prepare import prepare as write

    child.die_with_parent()
    write(folder, seed=seed, days=days)


@app.command(epilog=EXIT_CODES)
def demo_city(
    folder: Folder,
    broker_port: Annotated[int, typer.Option(help="port of the MQTT broker on 127.0.0.1", min=1, max=65535)],
    modbus_port: Annotated[int, typer.Option(help="first of a run of Modbus TCP ports, one a link", min=1, max=65000)],
    speed: Annotated[float, typer.Option(help="city seconds in a real second", min=0.1, max=3600)] = 30.0,
) -> None:
    """Serve the prepared city of the demo over Modbus TCP and MQTT until it is told to end.

    Example: gasgate simulate demo-city --folder .demo --broker-port 11883 --modbus-port 15020
    """
    from simulators.live.demo import serve

    with plain_errors():
        serve(folder, speed=speed, broker_port=broker_port, first_modbus_port=modbus_port)


@app.command(epilog=EXIT_CODES)
def desk(
    folder: Folder,
    port: Annotated[int, typer.Option(help="port of the desk on 127.0.0.1", min=1, max=65535)],
    events_url: Annotated[str, typer.Option(help="where gasgate takes status events")],
) -> None:
    """Run the demo ticket desk: it takes signed tickets and reports what a simulated crew does.

    Example: gasgate simulate desk --folder .demo --port 8090 --events-url http://127.0.0.1:8080/api/v1/ticket-events
    """
    from simulators.ticket_desk import serve

    with plain_errors():
        serve(folder, port=port, events_url=events_url)


app.command(epilog=EXIT_CODES)(dataset)
app.add_typer(live_commands)


if __name__ == "__main__":
    app()
