"""Files cut and flipped at random places: everything starts, what the spool still holds comes back, one alarm.

`GASGATE_THOROUGH=1` damages 1,000 places of each kind of file instead of a few.
"""

import asyncio
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, point_id
from gateway.ports import Delivery
from gateway.runtime.loader import Loader
from gateway.store.dayfile import DAY_US
from gateway.store.readings import DuckReadings
from gateway.store.spool import FileSpool
from gateway.store.upkeep import Retention
from tests.gateway.store.rewriting import Here

THOROUGH = os.environ.get("GASGATE_THOROUGH") == "1"
PLACES = 1000 if THOROUGH else 5
SPOOL_PLACES = 1000 if THOROUGH else 100
START = 1_704_067_200_000_000
POINTS = 20


def names(points: np.ndarray) -> list[PointId]:
    kinds = (Quantity.REGISTER_BASE_M3, Quantity.PRESSURE_GAUGE_KPA)
    return [point_id(f"A-{point}", kinds[point % 2]) for point in points.tolist()]


def record(number: int) -> ReadingBatch:
    """Return four records a day, beginning on the 30th of the month."""
    at = START + (29 * 4 + number) * DAY_US // 4 + np.arange(300) * 60_000_000
    points = np.arange(300, dtype=np.uint32) % POINTS
    return ReadingBatch.build(points, at, at, np.random.default_rng(number).random(300))


def values_of(batch: ReadingBatch) -> list[float]:
    return sorted(batch.value.tolist())


@dataclass
class Site:
    folder: Path
    spool: FileSpool
    store: DuckReadings

    @classmethod
    def open(cls, folder: Path) -> "Site":
        spool = FileSpool(folder / "spool", segment_bytes=60_000, min_free_bytes=0)
        store = DuckReadings(folder / "readings", names=names, first_kept=spool.first_seq)
        return cls(folder, spool, store)

    async def settle(self, *, tidy: bool = True) -> None:
        """Save, load and seal until nothing is left to do; then read every sealed file."""
        rewriter = Here(self.store, Retention(network_raw_days=2))
        loader = Loader(self.spool, self.store, lambda _: None)
        for _ in range(2):
            while self.store.shelf.waiting():
                await rewriter.step(0)
            while await loader.step():
                pass
            while tidy and await rewriter.step(2**61):
                pass
            for _ in self.store.shelf.files:
                await rewriter.check_one()

    async def rows(self) -> ReadingBatch:
        return await self.store.history(np.arange(POINTS, dtype=np.uint32), 0, 2**62)

    async def close(self) -> None:
        await self.store.close()
        self.spool.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a month file, day files, an open file, and everything in the spool's stock."""
    folder = tmp_path_factory.mktemp("template")

    async def fill() -> None:
        site = Site.open(folder)
        for number in range(18):
            site.spool.append([Delivery("a", record(number))])
        await site.settle()
        await site.close()

    asyncio.run(fill())
    return folder


def damage(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if rng.random() < 0.3:
        data = data[: rng.randrange(len(data))]
    else:
        for _ in range(rng.choice([1, 1, 8])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def batches(total: int, size: int) -> list[range]:
    return [range(at, min(at + size, total)) for at in range(0, total, size)]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", batches(PLACES, 12), ids=str)
@pytest.mark.timeout(300)
async def test_a_store_with_a_damaged_file_starts_and_is_whole_again(
    template: Path, tmp_path: Path, seeds: range
) -> None:
    wanted = values_of(ReadingBatch.concat(record(number) for number in range(18)))
    found = 0
    for seed in seeds:
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(template, folder)
        files = sorted(path for path in (folder / "readings").iterdir() if path.is_file() and path.name != "lock")
        path = rng.choice(files)
        damage(path, rng)
        site = Site.open(folder)
        await site.settle()
        assert values_of(await site.rows()) == wanted, (seed, path.name)
        assert site.store.damage in ([], [path.name]), seed
        assert site.store.incomplete() == [], seed
        found += len(site.store.damage)
        await site.close()
        again = Site.open(folder)
        assert (values_of(await again.rows()), again.store.damage) == (wanted, []), (seed, path.name)
        await again.close()
        shutil.rmtree(folder)
    assert found >= len(seeds) // 3


async def test_a_damaged_spool_starts_and_loses_the_damaged_record_at_most(template: Path, tmp_path: Path) -> None:
    for seed in range(SPOOL_PLACES):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(template / "spool", folder)
        path = rng.choice(sorted(folder.glob("*.spool")))
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        spool = FileSpool(folder, segment_bytes=60_000, min_free_bytes=0)
        kept = {one.seq for one in spool.read(0, 100)}
        lost = set(range(1, 19)) - kept
        assert len(lost) <= 1, seed
        assert len(spool.damage) == len(lost), (seed, spool.damage)
        assert spool.last_seq() >= 18
        for one in spool.read(0, 100):
            assert values_of(one.batch) == values_of(record(one.seq - 1))
        spool.close()
        shutil.rmtree(folder)
