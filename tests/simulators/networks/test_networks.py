from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from simulators.networks import NETWORKS, Wish
from tests.services import need_module
from tests.simulators.networks.folders import write_folder
from tests.simulators.networks.grounds import check_ground


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_gives_what_was_wished(name: str, tmp_path: Path) -> None:
    need_module("pandapipes")
    zones = 1 if name == "files" else 3
    ground = NETWORKS[name](Wish(seed=5, zones=zones, meters_per_zone=40, folder=write_folder(tmp_path)))
    check_ground(ground)
    assert len(ground.regulator_zones) == zones


def test_a_town_with_fewer_zones_says_so() -> None:
    need_module("pandapipes")
    with pytest.raises(ConfigError, match="Schutterwald has 20 zones of about 75 houses: ask for fewer"):
        NETWORKS["schutterwald"](Wish(zones=21, meters_per_zone=75))


def test_what_was_guessed_of_files_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    NETWORKS["files"](Wish(folder=write_folder(tmp_path)))
    assert "1 pipes ended on or beside others without a node; joined" in caplog.text


def test_files_need_a_folder() -> None:
    with pytest.raises(ConfigError, match="name its folder"):
        NETWORKS["files"](Wish())
