"""Prepare the demo's folder: network, history and secrets. `city.json` is written last and means that all is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError
from gateway.model.reading import to_us
from simulators.city import LIVE_START, City, Plan, demo_plan
from simulators.dataset.history import write_history, write_network
from simulators.files import PIPES_FILE, replace_file, write_secret
from simulators.story import past_faults

CITY_FILE = "city.json"


@dataclass(frozen=True, slots=True)
class CityFile:
    """What the live simulator must know to be the same city as the history."""

    seed: int
    days: int

    def plan(self) -> Plan:
        """Build the city."""
        return demo_plan(self.seed, self.days)


def prepare(folder: Path, *, seed: int = 1, days: int = 60) -> Plan:
    """Write `network/`, `history/`, `secrets/` and `city.json`. The same seed gives the same files but for secrets.

    Raises ValueError if the history would be shorter than the story that it must hold.
    """
    if days < 8:
        raise ValueError("the history must have at least 8 days: part of the story happens in it")
    plan = demo_plan(seed, days)
    folder.mkdir(parents=True, exist_ok=True)
    city = City(plan, past_faults(plan), tables=folder / PIPES_FILE)
    write_network(plan, folder / "network", LIVE_START)
    write_history(city, folder / "history", LIVE_START, name=f"demo-{seed}")
    write_secret(folder / "secrets" / "desk.secret")
    text = json.dumps({"seed": seed, "days": days, "live_start_us": to_us(LIVE_START)}, indent=1)
    replace_file(folder / CITY_FILE, text)
    return plan


def read_city(folder: Path) -> CityFile:
    """Return what `prepare` wrote. Raises ConfigError if the folder was not prepared."""
    file = folder / CITY_FILE
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return CityFile(int(data["seed"]), int(data["days"]))
    except FileNotFoundError as error:
        raise ConfigError([f"{file} is missing: run `gasgate simulate prepare --folder {folder}` first"]) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError([f"{file} is damaged: delete {folder} and prepare it again"]) from error
