"""Command line of the live city: `gasgate simulate init | live | inject | clear | ...`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.errors import ConfigError, GatewayError

app = typer.Typer(add_completion=False)

EXIT_CODES = "Exit code 0: done. 1: it ran and failed. 2: wrong call or configuration."
City = Annotated[Path, typer.Option("--city", help="the city's description")]
_HERE = Path("city.toml")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print what a person can repair: code 2 for what is wrong in a file or call, 1 for all else."""
    try:
        yield
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except GatewayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@app.command(epilog=EXIT_CODES)
def init(  # noqa: PLR0917  (the command line names them)
    folder: Annotated[Path, typer.Argument(help="folder of the city")],
    seed: Annotated[int, typer.Option(help="the same seed gives the same city", min=0)] = 1,
    zones: Annotated[int, typer.Option(help="regulator zones", min=1, max=500)] = 3,
    meters_per_zone: Annotated[int, typer.Option(help="customer meters in each zone", min=1, max=5000)] = 100,
    web_port: Annotated[
        int, typer.Option(help="port of the gateway's pages; the two after it are used, too", min=1, max=65533)
    ] = 8080,
    history: Annotated[bool, typer.Option(help="write the readings of the days that the city has lived before")] = True,
) -> None:
    """Write a commented description of a live city, and the gateway's configuration that fits it.

    What is there stays: change `city.toml` and call it again. It says which commands come next.

    Example: gasgate simulate init training/
    """
    with plain_errors():
        from simulators.live.home import GATEWAY_FILE
        from simulators.live.home import init as write
        from simulators.live.template import template

        description = template(seed=seed, zones=zones, meters_per_zone=meters_per_zone)
        file = write(folder, description, web_port=web_port, history=history, say=typer.echo)
    gateway = file.with_name(GATEWAY_FILE)
    events = f"http://127.0.0.1:{web_port}/api/v1/ticket-events"
    gasgate = _program()
    typer.echo(
        "\nNext, each in a terminal of its own:\n"
        f"  {gasgate} simulate live {file}\n"
        f"  {gasgate} import {gateway} {file.with_name('history')}     (once, for the past)\n"
        f"  {gasgate} user add {gateway} NAME --role administrator     (once)\n"
        f"  {gasgate} simulate desk --folder {file.parent} --port {web_port + 2} --events-url {events}\n"
        f"  {gasgate} run {gateway}     (pages at http://127.0.0.1:{web_port})\n"
        f"  {gasgate} simulate inject gas_cloud REG-001 --size 30 --ramp-minutes 3 --city {file}"
    )


def _program() -> str:
    """Return how this program was called, so that what is printed can be typed as it stands."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "gasgate" and len(called.parts) > 1 else "gasgate"


@app.command(epilog=EXIT_CODES)
def live(description: Annotated[Path, typer.Argument(help="the city's description (TOML)")]) -> None:
    """Serve a city: stations, correctors and concentrators over Modbus TCP, remote meters over MQTT.

    Its time stands while it is off. `gasgate simulate init` writes a description; `inject`, `clear`, `speed`,
    `forward` and `status` speak to the city while it runs.

    Example: gasgate simulate live training/city.toml
    """
    with plain_errors():
        from simulators.live.serving import serve

        serve(description, typer.echo)


@app.command(epilog=EXIT_CODES)
def inject(  # noqa: PLR0917  (the command line names them)
    kind: Annotated[str, typer.Argument(help="kind of fault; `gasgate simulate kinds` lists them")],
    asset: Annotated[str, typer.Argument(help="whom it befalls: a meter, zone, station ...")],
    size: Annotated[float | None, typer.Option(help="how large; `kinds` says in which unit")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="how long it lasts in the city; else until it is cleared")
    ] = None,
    ramp_minutes: Annotated[float, typer.Option(help="how long it grows to its size")] = 0.0,
    start: Annotated[datetime | None, typer.Option(help="the city's moment (UTC); else now")] = None,
    position: Annotated[float, typer.Option(help="where a leak is: 0 at the regulator, 1 farthest from it")] = 0.5,
    detail: Annotated[str, typer.Option(help="what some kinds want to know besides")] = "",
    name: Annotated[str | None, typer.Option("--id", help="name of your own for it")] = None,
    city: City = _HERE,
) -> None:
    """Let something go wrong in the live city. Faults of volumes begin and end at whole hours of its clock.

    Example: gasgate simulate inject leak R-001 --size 5 --city training/city.toml
    """
    wanted = {
        "kind": kind, "asset": asset, "size": size, "minutes": minutes, "ramp_minutes": ramp_minutes,
        "start": None if start is None else start.replace(tzinfo=UTC).isoformat(), "position": position,
        "detail": detail, "id": name,
    }  # fmt: skip
    fault = _call(city, "POST", "/faults", wanted)
    typer.echo(_line(fault))


@app.command(epilog=EXIT_CODES)
def clear(
    fault: Annotated[str, typer.Argument(help="id of the fault, or `all`")],
    city: City = _HERE,
) -> None:
    """End a fault of the live city, now or at the next whole hour of its clock.

    Example: gasgate simulate clear f-0001 --city training/city.toml
    """
    names = [fault]
    if fault == "all":
        names = [one["id"] for one in _call(city, "GET", "/faults") if one["state"] != "over"]
    for one in names:
        typer.echo(_line(_call(city, "DELETE", f"/faults/{one}")))


@app.command(epilog=EXIT_CODES)
def faults(city: City = _HERE) -> None:
    """List the faults of the live city, those that act first.

    Example: gasgate simulate faults --city training/city.toml
    """
    for fault in _call(city, "GET", "/faults"):
        typer.echo(_line(fault))


@app.command(epilog=EXIT_CODES)
def kinds() -> None:
    """List the kinds of faults, whom each befalls, and what its size means.

    Example: gasgate simulate kinds
    """
    from simulators.faults import KINDS

    for name, kind in KINDS.items():
        size = f"--size: {kind.size}" if kind.size else "no size"
        detail = f"; --detail: {', '.join(kind.details)}" if kind.details else ""
        typer.echo(f"{name:<18}{kind.subject.replace('_', ' '):<15}{size}{detail}")


@app.command(epilog=EXIT_CODES)
def assets(
    kind: Annotated[str, typer.Argument(help="kind of fault")],
    contains: Annotated[str, typer.Option(help="part of the name")] = "",
    city: City = _HERE,
) -> None:
    """List what a kind of fault can befall in the live city, 1,000 at most.

    Example: gasgate simulate assets stopped --contains M-0001 --city training/city.toml
    """
    for name in _call(city, "GET", "/assets", query={"kind": kind, "contains": contains, "limit": 1000}):
        typer.echo(name)


@app.command(epilog=EXIT_CODES)
def speed(
    factor: Annotated[
        float, typer.Argument(help="city seconds in a real second; 0 lets the city stand", min=0, max=3600)
    ],
    city: City = _HERE,
) -> None:
    """Change the pace of the live city; its clock makes no step, and a running gateway follows.

    Example: gasgate simulate speed 60 --city training/city.toml
    """
    _call(city, "PUT", "/speed", {"speed": factor})
    _show_status(city)


@app.command(epilog=EXIT_CODES)
def forward(
    until: Annotated[datetime, typer.Argument(help="the city's moment (UTC) to get to")],
    factor: Annotated[
        float, typer.Option("--speed", help="city seconds in a real second until then", max=3600)
    ] = 3600.0,
    city: City = _HERE,
) -> None:
    """Let the live city hurry to a later moment, and go on as before from there.

    Example: gasgate simulate forward 2026-01-15T06:00:00 --city training/city.toml
    """
    _call(city, "POST", "/forward", {"until": until.replace(tzinfo=UTC).isoformat(), "speed": factor})
    _show_status(city)


@app.command(epilog=EXIT_CODES)
def status(city: City = _HERE) -> None:
    """Show the live city's moment, pace and faults.

    Example: gasgate simulate status --city training/city.toml
    """
    _show_status(city)


def _show_status(city: Path) -> None:
    told = _call(city, "GET", "/status")
    typer.echo(f"{told['now'][:19]}Z in the city, time x{told['speed']:g}; faults that act: {told['active_faults']}")
    typer.echo(f"{told['sizes']}; messages sent {told['published']}, waiting {told['waiting']}")


def _call(city: Path, method: str, path: str, body: Any = None, query: Any = None) -> Any:
    with plain_errors():
        from simulators.live.client import CityClient

        return CityClient(city).call(method, path, body, query)


def _line(fault: dict[str, Any]) -> str:
    size = f" {fault['size']:g}" if fault["size"] else ""
    end = f" to {fault['end'][:19]}Z" if fault["end"] else ""
    return (
        f"{fault['id']:<12} {fault['state']:<7} {fault['kind']} {fault['asset']}{size} from {fault['start'][:19]}Z{end}"
    )
