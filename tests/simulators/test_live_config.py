"""The description of a live city: what is wrong in it is named with its line and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.errors import ConfigError
from simulators.live.config import FaultSettings, LiveConfig, load
from simulators.live.plan import build
from simulators.live.template import template


def written(folder: Path, text: str) -> Path:
    file = folder / "city.toml"
    file.write_text(text, encoding="utf-8")
    return file


def small(folder: Path, changes: str = "", *, zones: int = 2, meters_per_zone: int = 9) -> Path:
    text = template(seed=3, zones=zones, meters_per_zone=meters_per_zone).replace(
        "history_days = 30", "history_days = 1"
    )
    return written(folder, text + changes)


def keys(model: type[BaseModel], *path: str) -> list[tuple[str, ...]]:
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        inner = FaultSettings if name == "fault" else kind
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += keys(inner, *path, name)
        else:
            found.append((*path, name))
    return found


def test_the_template_is_what_is_read_and_names_every_key(tmp_path: Path) -> None:
    text = template(seed=7, zones=4, meters_per_zone=55)
    config = load(written(tmp_path, text))
    assert (config.city.seed, config.network.zones, config.network.meters_per_zone) == (7, 4, 55)
    assert config.folder == tmp_path
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    for key in keys(LiveConfig):
        assert any(line.startswith(f"{key[-1]} = ") for line in lines), key


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("seed = 3", "sede = 3", "city.toml:7:1: city.sede: is no known key; remove it or correct its spelling"),
        ("seed = 3", "seed = -1", "city.toml:7:1: city.seed: Input should be greater than or equal to 0"),
        ("speed = 30 ", "speed = 0", "city.speed: Input should be greater than or equal to 0.1"),
        ("start = 2026-01-14T21:00:00Z", "start = 2026-01-14T21:30:00Z", "is no whole hour; write for example"),
        ("start = 2026-01-14T21:00:00Z", "start = 2026-01-14T21:00:00", "should have timezone info"),
        ("zones = 2", "zones = 0", "network.zones: Input should be greater than or equal to 1"),
        ("zones = 2", "zones = 400\nflats_share = 2", "network.flats_share: Input should be less than or equal to 1"),
        ("meters_per_zone = 9", "meters_per_zone = 5000\nfolder='x'", 'kind "files" needs folder'),
        ("zones = 2 ", "zones = 5 # ", ""),
        (
            'habits = "mixed"',
            'habits = "good"',
            "meters.habits: Input should be 'half_hourly', 'prompt', 'mixed' or 'poor'",
        ),
        ("broker_port = 18830", "broker_port = 8790", "broker_port and control_port are both 8790"),
        ('# address = "127.0.0.1"', 'address = "here"', '"here" is no IPv4 address; 127.0.0.1 is this machine'),
        ('folder = "."', "folder = [", "is not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, line: str, instead: str, words: str) -> None:
    file = small(tmp_path)
    text = file.read_text(encoding="utf-8")
    assert line in text
    file.write_text(text.replace(line, instead, 1), encoding="utf-8")
    if not words:
        assert load(file).network.zones == 5
        return
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert words in str(raised.value)


FAULT = '[[fault]]\nid = "a"\nkind = "leak"\nasset = "R-001"\nstart = 2026-01-14T00:00:00Z\nsize = 2.0\n'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("leak", "leek"), "fault.0.kind: Input should be 'leak'"),
        (("2026-01-14T00:00:00Z", "2026-01-14T00:30:00Z"), "leak must begin and end at whole hours"),
        (("size = 2.0", "size = nan"), "fault.0"),
        (("size = 2.0", "size = 2.0\nend = 2026-01-13T00:00:00Z"), "it must not end before it begins"),
        (("size = 2.0", "size = -2.0"), "a: size -2 is not in 0 to"),
        (("R-001", "R-009"), "a: 'R-009' is no zone of this city; one is"),
        (("size = 2.0", f"size = 2.0\n{FAULT}"), "fault: the id a is used twice"),
    ],
)
def test_a_fault_that_cannot_be_is_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    file = small(tmp_path, FAULT.replace(*change, 1))
    with pytest.raises(ConfigError) as raised:
        build(file, load(file))
    assert words in str(raised.value)
    assert str(raised.value).startswith(str(file))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("zones = 2", "zones = 500\n"), ("meters_per_zone = 9", "meters_per_zone = 41")], "more than 20000 meters"),
        ([('mix = "town"', 'mix = "moon"')], "moon"),
        ([('kind = "streets"', 'kind = "moon"')], 'network.kind: "moon" is unknown; allowed: streets'),
        ([("modbus_port = 15020", "modbus_port = 64998"), ("broker_port = 18830", "broker_port = 65000")],
         "serve.broker_port: 65000 is one of the Modbus ports 64998 to 65"),
    ],
)  # fmt: skip
def test_a_city_that_cannot_be_served_is_refused(tmp_path: Path, changes: list[tuple[str, str]], words: str) -> None:
    file = small(tmp_path)
    text = file.read_text(encoding="utf-8")
    for line, instead in changes:
        assert line in text
        text = text.replace(line, instead, 1)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        build(file, load(file))
    assert words in str(raised.value)


def test_the_smallest_city_can_be_built_and_says_its_sizes(tmp_path: Path) -> None:
    file = small(tmp_path, zones=1, meters_per_zone=1)
    built = build(file, load(file))
    assert built.sizes().startswith("1 meters in 1 zones, 3 stations and regulators, ")
    assert "1 zones, 1 meters" in built.identity


def test_too_many_messages_are_refused_with_the_speed_that_would_do(tmp_path: Path) -> None:
    file = small(tmp_path, zones=1, meters_per_zone=4000)
    text = file.read_text(encoding="utf-8").replace("speed = 30 ", "speed = 3600 ").replace('"mixed"', '"half_hourly"')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"messages a second are more than 500; take a speed of at most \d+, or fewer"
    ):
        build(file, load(file))


def test_the_documentation_names_every_key_and_every_command() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    section = text.split("\n## Live\n")[1].split("\n## ")[0]
    for key in keys(LiveConfig):
        assert f"`{key[-1]}`" in section, key
    for command in (
        "init",
        "live",
        "inject",
        "clear",
        "faults",
        "kinds",
        "assets",
        "speed",
        "forward",
        "status",
        "desk",
    ):
        assert f"gasgate simulate {command} " in section, command
