"""The folder of a live city: its description, and what the gateway must know of it."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from gateway.errors import ConfigError
from gateway.model.reading import from_us
from simulators.city import City
from simulators.dataset.history import write_history
from simulators.dataset.network_files import write_network
from simulators.files import PIPES_FILE, replace_file, write_secret
from simulators.live.config import LiveConfig, load
from simulators.live.gateway_file import GatewayFile
from simulators.live.places import token_file
from simulators.live.plan import BuiltCity, build, start_us
from simulators.live.running import STATE_FILE
from simulators.live.saved import Saved

CITY_FILE, GATEWAY_FILE = "city.toml", "gasgate.toml"
_MARK = "# Written by `gasgate simulate init`, and written anew by it as long as nobody edits it: "


def init(folder: Path, description: str, *, web_port: int, history: bool, say: Callable[[str], None]) -> Path:
    """Write a city's description unless there is one, then its network, history, secrets and the gateway's file.

    Returns the description's file. Raises ConfigError if it is wrong, or another city lives in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / CITY_FILE
    if file.exists():
        say(f"{file} is there and stays as it is")
    else:
        replace_file(file, description)
        say(f"{file}: the city; read it, change it, and call init again")
    config = load(file)
    built = build(file, config)
    check_identity(built)
    say(f"the city has {built.sizes()}")
    if not (config.folder / STATE_FILE).exists():
        _write_past(built, say, history=history)
    write_secrets(config)
    _write_gateway_file(built, web_port, say)
    return file


def check_identity(built: BuiltCity) -> Saved:
    """Return the state of the city that lives in the folder. Raises ConfigError if it is another one."""
    path = built.config.folder / STATE_FILE
    saved = Saved.read(path, start_us(built.config))
    if saved.city and saved.city != built.identity:
        text = (
            f"{path}: another city lives here ({saved.city}), not the one that is described ({built.identity}): "
            "take the description back, or give it a folder of its own"
        )
        raise ConfigError([text])
    return saved


def write_secrets(config: LiveConfig) -> str:
    """Return the token of the control API; it and the desk's secret are drawn if they are missing."""
    write_secret(config.folder / "secrets" / "desk.secret")
    file = token_file(config.folder)
    if not file.exists():
        part = file.with_name(file.name + ".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
            handle.write(secrets.token_urlsafe(32) + "\n")
        part.replace(file)
    token = file.read_text(encoding="utf-8").strip()
    if len(token) < 32:
        raise ConfigError([f"{file}: the token is too short to be secret; delete it, and a new one is drawn"])
    return token


def _write_past(built: BuiltCity, say: Callable[[str], None], *, history: bool) -> None:
    folder, until = built.config.folder, from_us(start_us(built.config))
    write_network(built.plan, folder / "network", until)
    say(f"{folder / 'network'}: the network as the gateway reads it")
    past = folder / "history"
    if not history or not built.config.city.history_days:
        return
    if past.exists():
        say(f"{past} is there and stays; delete it first if the city has changed")
        return
    say(f"{past}: {built.config.city.history_days} days of readings, which takes a while")
    city = City(built.plan, built.faults, tables=folder / PIPES_FILE)
    write_history(city, past, until, name=f"live-{built.config.city.seed}")


def _write_gateway_file(built: BuiltCity, web_port: int, say: Callable[[str], None]) -> None:
    config = built.config
    text = GatewayFile(
        site_id="simulated",
        site_name="模拟城市 Simulated city",
        web=web_port,
        keep=web_port + 1,
        broker=config.serve.broker_port,
        desk=web_port + 2,
        links=built.links,
    ).text()
    path = config.folder / GATEWAY_FILE
    if path.exists() and not _untouched(path.read_text(encoding="utf-8")):
        say(f"{path} was edited and stays as it is")
        return
    replace_file(path, f"{_MARK}{_digest(text)}\n{text}")
    say(f"{path}: the gateway's configuration for this city")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _untouched(text: str) -> bool:
    first, _, rest = text.partition("\n")
    return first == _MARK + _digest(rest)
