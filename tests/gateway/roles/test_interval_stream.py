"""Final gas days go to the outputs, newest revision each, and go on where they stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.errors import TransientError
from gateway.model.network import Network
from gateway.ports import Memory, Written
from gateway.roles.interval_stream import IntervalStream
from gateway.runtime.backoff import Backoff
from gateway.store.influx import InfluxV1
from gateway.store.interval_lines import interval_lines
from gateway.store.interval_rows import IntervalColumns, IntervalRow, as_array, day_number
from gateway.store.intervals import IntervalStore
from gateway.store.memory import StateMemory
from gateway.store.registry import MemoryRegistry
from gateway.store.state import State
from tests.gateway.runtime.waiting import until
from tests.services import Server

DAY = date(2026, 1, 1)
DAY_US = 86_400_000_000
NETWORK = Network({}, {}, {}, {})


def config_of(url: str, **more: object) -> InfluxV1.Config:
    return InfluxV1.Config.model_validate(
        {"kind": "influx_v1", "name": "o", "url": url, "database": "days", "timeout_s": 5, **more}
    )


def add(store: IntervalStore, at_us: int, days: int, units: dict[str, int | None]) -> None:
    """Let an audit at a moment find these units of each meter on each of the first days."""
    meters = sorted(units)
    number = [day_number(DAY + timedelta(days=day)) for day in range(days) for _ in meters]
    count = len(number)
    told = [-1 if units[meter] is None else units[meter] for meter in meters] * days
    with store.adding() as adding:
        adding.add(
            IntervalColumns(
                meter=as_array(meters * days),
                gas_day=as_array(number),
                begins=as_array([one * DAY_US for one in number]),
                ends=as_array([(one + 1) * DAY_US for one in number]),
                units=as_array(told),
                decimals=as_array([3] * count),
                status=as_array(["missing" if one == -1 else "measured" for one in told]),
                method=as_array([""] * count),
                rules=as_array([""] * count),
                left_at=as_array([-1] * count),
                right_at=as_array([-1] * count),
                step_units=as_array([-1] * count),
                who=as_array([""] * count),
                note=as_array([""] * count),
                computed_at=as_array([at_us] * count),
            )
        )


class Lines:
    """An output that remembers lines and fails on demand."""

    name = "o"

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fails_after: int | None = None

    async def write_lines(self, lines: Sequence[str]) -> Written:
        if self.fails_after is not None and len(self.lines) >= self.fails_after:
            raise TransientError("away")
        self.lines += lines
        return Written(len(lines))

    async def close(self) -> None:
        pass


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return StateMemory(State.in_folder(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> IntervalStore:
    return IntervalStore(tmp_path / "intervals")


def stream_of(output: Lines, store: IntervalStore, memory: Memory, **more: object) -> IntervalStream:
    config = config_of("http://127.0.0.1:1", **more)
    return IntervalStream(output, config, store, memory, NETWORK, backoff=Backoff(0.02, 0.05))


async def test_every_audit_sends_what_it_added_once(store: IntervalStore, memory: Memory) -> None:
    output = Lines()
    stream = stream_of(output, store, memory)
    add(store, 1000, 3, {"M-1": 5, "M-2": None})
    stream.audited(1000)
    await stream.step()
    assert len(output.lines) == 6
    assert output.lines[0] == (
        f'gas_day_volume,asset=M-1 volume_m3=0.005,status="measured",method="",revision=1i {day_number(DAY) * DAY_US}'
    )
    assert "volume_m3" not in output.lines[1]
    again = stream_of(output, store, memory)
    add(store, 2000, 3, {"M-1": 5, "M-2": 7})
    again.audited(2000)
    await again.step()
    new = output.lines[6:]
    assert len(new) == 3
    assert all("asset=M-2" in line and "volume_m3=0.007" in line and "revision=2i" in line for line in new)
    await again.step()
    assert len(output.lines) == 9


async def test_what_an_unfinished_audit_shows_waits_for_its_end(store: IntervalStore, memory: Memory) -> None:
    output = Lines()
    stream = stream_of(output, store, memory)
    add(store, 1000, 1, {"M-1": 5})
    add(store, 2000, 1, {"M-1": 6})
    stream.audited(1000)
    await stream.step()
    assert output.lines == []
    stream.audited(2000)
    await stream.step()
    assert len(output.lines) == 1
    assert "volume_m3=0.006" in output.lines[0]


async def test_it_goes_on_at_the_gas_day_where_it_stopped(store: IntervalStore, memory: Memory) -> None:
    output = Lines()
    output.fails_after = 4
    add(store, 1000, 5, {"M-1": 5, "M-2": 6})
    first = stream_of(output, store, memory)
    first.audited(1000)
    with pytest.raises(TransientError):
        await first.step()
    output.fails_after = None
    again = stream_of(output, store, memory)
    task = asyncio.create_task(again.run())
    again.audited(3000)
    await until(lambda: len(output.lines) >= 10, 20)
    await asyncio.sleep(0.05)
    task.cancel()
    assert len(output.lines) == len(set(output.lines)) == 10


async def test_an_output_from_now_on_gets_no_old_gas_days(store: IntervalStore, memory: Memory) -> None:
    output = Lines()
    add(store, 1000, 2, {"M-1": 5})
    stream = stream_of(output, store, memory, start="now")
    stream.audited(1000)
    await stream.step()
    add(store, 2000, 3, {"M-1": 5})
    stream.audited(2000)
    await stream.step()
    assert len(output.lines) == 1


async def test_a_later_revision_takes_the_place_of_the_earlier_one(
    store: IntervalStore, memory: Memory, influxdb_v1: Server
) -> None:
    output = InfluxV1(config_of(influxdb_v1.url), MemoryRegistry().names, NETWORK)
    stream = IntervalStream(output, config_of(influxdb_v1.url), store, memory, NETWORK)
    add(store, 1000, 8, {"M-1": 5, 'odd "name", = x': 7})
    stream.audited(1000)
    await stream.step()
    add(store, 2000, 1, {"M-1": 9})
    stream.audited(2000)
    await stream.step()
    query = {"db": "days", "q": "SELECT volume_m3, revision FROM gas_day_volume GROUP BY asset", "epoch": "u"}
    async with httpx.AsyncClient() as client:
        (result,) = (await client.get(f"{influxdb_v1.url}/query", params=query)).json()["results"]
    found = {series["tags"]["asset"]: series["values"] for series in result["series"]}
    assert found["M-1"][0] == [day_number(DAY) * DAY_US, 0.009, 2]
    assert found["M-1"][1][1:] == [0.005, 1]
    assert len(found["M-1"]) == len(found['odd "name", = x']) == 8
    await output.close()


def test_words_are_quoted() -> None:
    row = IntervalRow(
        meter="M-1", gas_day="2026-01-01", begins=1, ends=2, units=1, decimals=0, status='a"b', method="c\\d\n",
        rules="", left_at=None, right_at=None, step_units=None, who="", note="", computed_at=0, revision=1,
    )  # fmt: skip
    ((_, line),) = interval_lines([row], "days", NETWORK)
    assert line == 'days,asset=M-1 volume_m3=1.0,status="a\\"b",method="c\\\\d",revision=1i 1'
