"""What every `Output` must do against its real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from gateway.errors import TransientError
from gateway.model.network import Network, Zone, ZoneKind
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, quality
from gateway.ports import Output
from tests.services import Server

BAD = quality(Severity.BAD, Reason.NO_REPLY)
NETWORK = Network({"D-1": Zone("D-1", "", ZoneKind.DISTRICT, "north")}, {}, {}, {})
QUANTITY = "pressure_gauge_kpa"
ODD_ASSET = "odd, name=1"


def names(indices: np.ndarray) -> list[PointId]:
    known = {1: f"D-1/{QUANTITY}", 2: f"{ODD_ASSET}/{QUANTITY}", 3: f"broken\\/{QUANTITY}"}
    return [PointId(known.get(index, f"P-{index}/{QUANTITY}")) for index in indices.tolist()]


def now_us() -> int:
    """Return the present less some seconds in whole milliseconds: VictoriaMetrics keeps no more and shows it late."""
    return time.time_ns() // 1_000_000 * 1000 - 5_000_000


class Reader(Protocol):
    """Reads back from the server what a contract test wrote."""

    def __call__(self, field: str, asset: str) -> dict[int, float]:
        """Return {us UTC: value} of a field of QUANTITY at an asset."""
        ...


class OutputContract:
    async def test_values_and_quality_arrive(self, output: Output, read_back: Reader) -> None:
        at = now_us()
        batch = ReadingBatch.build([1, 1, 2], [at, at + 1000, at], at, [1.25, float("nan"), -3e-7], [0, BAD, 64])
        written = await output.write(batch)
        assert (written.accepted, written.rejected) == (3, ())
        assert read_back("value", "D-1")[at] == 1.25
        assert read_back("q", "D-1")[at + 1000] == BAD
        assert at + 1000 not in read_back("value", "D-1")
        assert read_back("value", ODD_ASSET)[at] == -3e-7

    async def test_a_batch_of_many_bodies_arrives_whole(self, output: Output, read_back: Reader) -> None:
        at, count = now_us() - 20_000_000, 12_000
        times = at + np.arange(count) * 1000
        batch = ReadingBatch.build([77] * count, times, at, np.arange(count, dtype=float))
        assert (await output.write(batch)).accepted == count
        assert read_back("value", "P-77") == dict(zip(times.tolist(), map(float, range(count)), strict=True))

    async def test_what_cannot_be_written_is_rejected_by_row(self, output: Output, read_back: Reader) -> None:
        at = now_us()
        batch = ReadingBatch.build([3, 1, 1], [at, at, 2**62], at, [1.0, 2.0, 3.0])
        written = await output.write(batch)
        assert written.accepted == 1
        assert [row for row, _ in written.rejected] == [0, 2]
        assert read_back("value", "D-1")[at] == 2.0

    async def test_writing_twice_changes_nothing(self, output: Output, read_back: Reader) -> None:
        at = now_us()
        batch = ReadingBatch.build([88], [at], at, [5.0])
        for _ in range(2):
            assert (await output.write(batch)).accepted == 1
        assert read_back("value", "P-88") == {at: 5.0}

    async def test_a_stopped_server_is_transient_and_comes_back(
        self, output: Output, server: Server, read_back: Reader
    ) -> None:
        at = now_us()
        batch = ReadingBatch.build([99], [at], at, [6.0])
        await output.write(batch.take(slice(0, 0)))
        await output.probe()
        server.stop()
        with pytest.raises(TransientError):
            await output.write(batch)
        server.start()
        assert (await output.write(batch)).accepted == 1
        assert read_back("value", "P-99")[at] == 6.0

    async def test_the_probe_says_what_answered(self, output: Output, server: Server) -> None:
        assert server.url in await output.probe()

    async def test_close_may_be_called_twice(self, make_output: Callable[[], Output]) -> None:
        output = make_output()
        await output.probe()
        await output.close()
        await output.close()
