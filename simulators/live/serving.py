"""Serve the city that a file describes, and its control API, until a signal ends it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import logging.handlers
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError
from gateway.model.reading import from_us
from gateway.runtime import child, http
from simulators.city import City
from simulators.dataset.network_files import write_network
from simulators.live.by_habits import ByHabits
from simulators.live.clock import FASTEST
from simulators.live.config import load
from simulators.live.control import make_app
from simulators.live.home import check_identity, write_secrets
from simulators.live.orders import Orders
from simulators.live.places import token_file
from simulators.live.plan import BuiltCity, build, fastest, start_us
from simulators.live.reports import HalfHourly, Reporter
from simulators.live.running import Live, Served, stop_on_signals

ACTS_FILE = "acts.jsonl"
_ACTS_BYTES = 4_000_000
_ORPHANS_END_IN_S = child.ORPHAN_PATIENCE_S + 2.0
_log = logging.getLogger(__name__)


def serve(path: Path, say: Callable[[str], None]) -> None:
    """Run a city until SIGTERM or SIGINT. Raises ConfigError, and GatewayError if a port is taken."""
    child.die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    for talker in ("uvicorn", "pandapower", "pandapipes"):
        logging.getLogger(talker).setLevel(logging.ERROR)
    built = build(path, load(path))
    folder = built.config.folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GatewayError(f"the city in {folder} is running already; end it, or describe another one") from None
        _serve(built, say)


def _serve(built: BuiltCity, say: Callable[[str], None]) -> None:
    saved = check_identity(built)
    token = write_secrets(built.config)
    folder = built.config.folder
    if not (folder / "network").exists():
        write_network(built.plan, folder / "network", from_us(saved.city_us))
    _wait_for_ports(built, 0.0 if saved.clean else _ORPHANS_END_IN_S)
    say(f"The city has {built.sizes()}.")
    asyncio.run(_run(built, token, say))


def _wait_for_ports(built: BuiltCity, patience_s: float) -> None:
    """Return when the ports are free: the broker of a city that was killed needs a moment to notice. GatewayError."""
    end = time.monotonic() + patience_s
    while True:
        try:
            check_ports(built)
        except GatewayError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.1)
        else:
            return


def check_ports(built: BuiltCity) -> None:
    """Raise GatewayError if somebody else has one of the city's ports: before hours are computed for nothing."""
    serve = built.config.serve
    wanted = [(serve.address, link.port, "modbus_port") for link in built.links]
    wanted += [(serve.address, serve.broker_port, "broker_port"), ("127.0.0.1", serve.control_port, "control_port")]
    for address, port, key in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                text = f"cannot listen on port {port} of {address}: {error.strerror}; give another serve.{key}"
                raise GatewayError(text) from error


async def _run(built: BuiltCity, token: str, say: Callable[[str], None]) -> None:
    config = built.config
    live = make_live(built)
    orders = Orders(live, fastest=min(FASTEST, fastest(built)), on_act=_acts(live))
    app = make_app(live, orders, token, built.sizes())
    stop = asyncio.Event()
    stop_on_signals(stop)
    address = f"127.0.0.1:{config.serve.control_port}"
    control = asyncio.create_task(http.serve(app, address), name="control")
    control.add_done_callback(lambda _: stop.set())
    live.on_ready = lambda: say(
        f"It is {from_us(live.clock.now_us()):%Y-%m-%d %H:%M:%S} UTC in the city, time ×{live.clock.speed:g}. "
        f"Control API: http://{address}, token in {token_file(config.folder)}. Ctrl-C ends it."
    )
    try:
        await live.run(stop)
    except (RuntimeError, OSError) as error:
        raise GatewayError(f"{error}; give another port in [serve]") from error
    finally:
        control.cancel()
        (ended,) = await asyncio.gather(control, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


def make_live(built: BuiltCity) -> Live:
    """Return the city of a description, ready to run."""
    config = built.config
    return Live(
        config.folder,
        built.plan,
        built.faults,
        Served(config.serve.broker_port, built.links, config.serve.address),
        start_us=start_us(config),
        speed=config.city.speed,
        identity=built.identity,
        reporter=_reporter(config.meters.habits),
    )


def _reporter(habits: str) -> Callable[[City, int], Reporter]:
    if habits == "half_hourly":
        return HalfHourly
    return lambda city, since_us: ByHabits(city, since_us, habits)


def _acts(live: Live) -> Callable[[str, Mapping[str, Any]], None]:
    """Return what writes each act of an operator into a file beside the city, and into the log."""
    acts = logging.getLogger("simulators.live.acts")
    acts.propagate = False
    file = logging.handlers.RotatingFileHandler(live.folder / ACTS_FILE, maxBytes=_ACTS_BYTES, backupCount=1)
    file.setFormatter(logging.Formatter("%(message)s"))
    acts.handlers = [file]

    def note(act: str, what: Mapping[str, Any]) -> None:
        at = from_us(live.clock.now_us()).isoformat(timespec="seconds")
        _log.info("%s: %s", act, json.dumps(what, ensure_ascii=False))
        acts.info(json.dumps({"city_time": at, "act": act, **what}, ensure_ascii=False))

    return note
