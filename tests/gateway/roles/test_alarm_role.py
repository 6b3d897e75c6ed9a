"""The judge of role alarm against a store service that is away, that forgot records, or that sends an odd one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from alarms.pipeline import AlarmPipeline
from alarms.service.calendar import official
from gateway.errors import TransientError
from gateway.model.alarm import Alarm
from gateway.model.command import CommandOffer, CommandState, CommandWish
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch
from gateway.ports import SpoolRecord
from gateway.roles import alarm as role
from gateway.roles.alarm import BEHIND, Judge
from gateway.runtime.clock import SystemClock
from gateway.store import alarm_rows, command_rows, health_rows
from gateway.store.registry import StateRegistry
from gateway.store.remote import GoneError
from gateway.store.state import State
from tests.alarms.alarm_fixtures import make_desk

GAS = "GAS_CONC_HIHI@REG-001"


class Log:
    """The role's end of the store service over records in memory; `away` is why it does not answer."""

    def __init__(self, first_seq: int = 1) -> None:
        self.first_seq = first_seq
        self.records: list[SpoolRecord] = []
        self.away = ""
        self.closed = False

    async def tail(self, after: int, limit: int, wait_s: float) -> tuple[list[SpoolRecord], int]:
        await asyncio.sleep(0.01)
        if self.away:
            raise TransientError(self.away)
        if after + 1 < self.first_seq:
            raise GoneError(self.first_seq)
        newest = self.records[-1].seq if self.records else self.first_seq - 1
        return [record for record in self.records if record.seq > after][:limit], newest

    async def close(self) -> None:
        self.closed = True


class Site:
    """A judge over a folder; made again it goes on where the last one was killed."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.desk = make_desk(folder, SystemClock())  # type: ignore[arg-type]
        self.state: State = self.desk.state
        self.registry = StateRegistry(self.state)
        self.log = log
        self.pipeline = AlarmPipeline(
            self.desk, self.desk.network, self.registry, self.desk.definitions, self.desk.clock
        )
        self.judge = Judge(self.pipeline, self.state, self.desk.clock, log, calendar=official())  # type: ignore[arg-type]

    def say(self, value: float, seq: int | None = None) -> None:
        number = seq or (self.log.records[-1].seq if self.log.records else self.log.first_seq - 1) + 1
        points = self.registry.indices([PointId("REG-001/gas_lel_pct")])
        now = self.desk.clock.now_us()
        self.log.records.append(SpoolRecord(number, ReadingBatch.build(points, [now], now, [value])))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.judge.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def alarm(self, alarm_id: str = GAS) -> Alarm | None:
        with self.state.read() as connection:
            return alarm_rows.load(connection, alarm_id)

    def lit(self, alarm_id: str = GAS) -> bool:
        alarm = self.alarm(alarm_id)
        return alarm is not None and alarm.cond


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not ready():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_first_start_after_a_history_import_begins_behind_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, Log(first_seq=5001))
    async with site.running():
        await until(lambda: site.pipeline.seq == 5000)
        site.say(28.0)
        await until(site.lit)
    assert "were not judged" not in caplog.text
    assert site.state.cursor("alarm") == 5001
    assert site.log.closed


async def test_records_that_are_gone_are_told_and_the_next_are_judged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Site(tmp_path, Log())
    first.say(1.0)
    async with first.running():
        await until(lambda: first.state.cursor("alarm") == 1)
    site = Site(tmp_path, Log(first_seq=40))
    site.say(28.0)
    async with site.running():
        await until(site.lit)
        assert site.judge.health()[1]["lost"] == 38
    assert "readings 2 to 39 were not judged" in caplog.text
    assert site.state.cursor("alarm") == 40


async def test_a_role_keep_that_is_away_is_told_and_ends_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "BEHIND_S", 0.5)
    monkeypatch.setattr(role, "RETRY_S", 0.05)
    site = Site(tmp_path, Log())
    site.say(28.0)
    async with site.running():
        await until(site.lit)
        site.log.away = "connection refused"
        await until(lambda: site.lit(BEHIND))
        well, told = site.judge.health()
        assert (well, told["seq"], told["lost"], told["problems"]) == (False, 1, 0, ["connection refused"])
        assert site.lit(), "what is not seen is never returned to normal"
        site.log.away = ""
        await until(lambda: not site.lit(BEHIND) and site.judge.health()[0])
        assert site.lit()


async def test_one_part_that_is_held_up_is_told_once_while_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(role, "TICK_S", 0.02)
    site = Site(tmp_path, Log())

    def broken(_now: object) -> None:
        raise TransientError("no timers now")

    monkeypatch.setattr(site.pipeline, "tick", broken)
    with caplog.at_level(logging.INFO):
        async with site.running():
            for _ in range(5):
                site.say(1.0)
                await until(lambda: site.pipeline.seq == site.log.records[-1].seq)
            assert site.judge.health() == (False, {"seq": 5, "lost": 0, "problems": ["no timers now"]})
            await asyncio.sleep(0.3)
    assert caplog.text.count("held up") == 1


async def test_a_record_that_cannot_be_judged_stops_no_later_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, Log())
    real = site.pipeline._limits.judge

    def judge(batch: ReadingBatch) -> object:
        if np.any(batch.value == 13.0):
            raise ValueError("nobody thought of this")
        return real(batch)

    monkeypatch.setattr(site.pipeline._limits, "judge", judge)
    site.say(13.0)
    site.say(28.0)
    async with site.running():
        await until(site.lit)
    assert "record 1 cannot be judged" in caplog.text
    assert site.state.cursor("alarm") == 2


async def test_damage_that_the_role_keep_tells_of_is_one_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role, "FINDINGS_S", 0.02)
    site = Site(tmp_path, Log())
    async with site.running():
        await until(lambda: site.judge.health()[0])
        assert not site.lit(role.DAMAGED), "what was never told is not damage"
        health_rows.beat(site.state, "keep", ok=True, detail={"damaged_files": 2})
        await until(lambda: site.lit(role.DAMAGED))
        health_rows.beat(site.state, "keep", ok=True, detail={"damaged_files": 3})
        health_rows.beat(site.state, "keep", ok=True, detail={})
        await asyncio.sleep(0.2)
        assert site.lit(role.DAMAGED)
        health_rows.beat(site.state, "keep", ok=True, detail={"damaged_files": 0})
        await until(lambda: not site.lit(role.DAMAGED))


async def test_outputs_that_take_nothing_are_one_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role, "FINDINGS_S", 0.02)
    site = Site(tmp_path, Log())
    async with site.running():
        health_rows.beat(site.state, "keep", ok=True, detail={"faulty_streams": 1})
        await until(lambda: site.lit(role.REFUSED))
        assert not site.lit(role.DAMAGED)
        health_rows.beat(site.state, "keep", ok=True, detail={"faulty_streams": 0})
        await until(lambda: not site.lit(role.REFUSED))


async def test_a_command_that_was_not_carried_out_is_an_alarm_until_a_later_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "FINDINGS_S", 0.02)
    site = Site(tmp_path, Log())
    alarm = f"{role.NOT_DONE}@REG-001"
    offer = CommandOffer("REG-001", "valve_close", "s", Quantity.VALVE, 0.0, 0.0, 1.0, second_person=False, closes=True)

    def end(key: str, state: CommandState) -> None:
        wish = CommandWish(key, "REG-001", "valve_close", "smell of gas", "wang")
        with site.state.write() as connection:
            command, _ = command_rows.add_request(connection, wish, offer, 1, 1000.0)
            command_rows.move(connection, command.id, (command.state,), state, 2)

    async with site.running():
        end("a", CommandState.CONFIRMED)
        await asyncio.sleep(0.2)
        assert site.alarm(alarm) is None
        end("b", CommandState.MISMATCH)
        await until(lambda: site.lit(alarm))
        end("c", CommandState.CONFIRMED)
        await until(lambda: not site.lit(alarm))
