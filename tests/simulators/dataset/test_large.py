from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gateway.dataset import read_dataset
from gateway.errors import ConfigError
from simulators.dataset.groups import groups_of
from simulators.dataset.large import write_large
from simulators.networks.tiles import Tiles


def test_a_city_written_group_by_group_is_one_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.dataset.groups.METERS_OF_A_GROUP", 60)
    tiles = Tiles.for_zones(1, 4, 30)
    told: list[tuple[int, int]] = []
    rows = write_large(tmp_path / "city", tiles, seed=1, days=3, show=lambda done, total: told.append((done, total)))
    dataset = read_dataset(tmp_path / "city")
    customers = [meter for meter in dataset.network.meters.values() if meter.role == "customer"]
    assert len(customers) == tiles.meters
    assert len(told) > 1, "several groups"
    assert told[-1] == (tiles.meters * 3, tiles.meters * 3)
    assert pq.read_metadata(tmp_path / "city" / "readings.parquet").num_rows == rows
    truth = json.loads((tmp_path / "city" / "truth.json").read_text(encoding="utf-8"))
    supplied = {meter.zone_id for meter in dataset.network.meters.values() if meter.role == "supply"}
    assert set(truth["zones"]) == set(truth["loss"]) == supplied
    assert {"CITY", "D-001"} <= set(dataset.network.zones)
    names = [event["id"] for event in truth["events"]]
    assert len(names) == len(set(names))


def test_the_same_large_city_twice_is_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_large(tmp_path / name, Tiles.for_zones(2, 2, 20), seed=2, days=2)
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two


def test_no_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one day"):
        write_large(tmp_path / "city", Tiles.for_zones(1, 1, 5), seed=1, days=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("meters", [[], [0], [1], [0, 0, 9000, 3, 0], [80] * 60, [5000] * 3])
@pytest.mark.parametrize("days", [1, 365, 1100])
def test_groups_hold_every_zone_once_and_few_meters(meters: list[int], days: int) -> None:
    groups = groups_of(meters, days)
    assert [zone for first, count in groups for zone in range(first, first + count)] == list(range(len(meters)))
    for first, count in groups:
        assert count == 1 or sum(meters[first : first + count]) * days * 24 <= 4_000_000
        assert count == 1 or sum(meters[first : first + count]) <= 5000
