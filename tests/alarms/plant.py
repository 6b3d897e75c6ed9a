"""A pipeline that is fed row by row on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alarms.acts import AlarmDesk
from alarms.pipeline import AlarmPipeline
from gateway.model.alarm import Alarm
from gateway.model.reading import PointId, ReadingBatch, to_us
from gateway.ports import SpoolRecord
from gateway.runtime.clock import ManualClock
from gateway.store import alarm_rows
from tests.alarms.alarm_fixtures import START, make_desk


class Names:
    def __init__(self) -> None:
        self.known: list[PointId] = []

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        self.known += [point for point in points if point not in self.known]
        return np.array([self.known.index(point) for point in points], dtype=np.uint32)

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        try:
            return [self.known[index] for index in indices.tolist()]
        except IndexError as error:
            raise KeyError(str(error)) from error

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        return np.array([self.known.index(point) if point in self.known else -1 for point in points], dtype=np.int64)


class Plant:
    """Feeds a pipeline: one row per call, at the clock's time unless told otherwise."""

    def __init__(self, folder: Path, clock: ManualClock | None = None, names: Names | None = None) -> None:
        self.clock = clock or ManualClock(to_us(START))
        self.desk: AlarmDesk = make_desk(folder, self.clock)
        self.names = names or Names()
        self.wall = 1000.0
        self.pipeline = self.restart()

    def restart(self) -> AlarmPipeline:
        desk = self.desk
        self.pipeline = AlarmPipeline(
            desk, desk.network, self.names, desk.definitions, self.clock, wall=lambda: self.wall
        )
        return self.pipeline

    def feed(self, *rows: tuple[str, float], mark: int = 0, ago_s: float = 0.0) -> None:
        self.feed_at([(point, value, ago_s) for point, value in rows], mark=mark)

    def feed_at(self, rows: Sequence[tuple[str, float, float]], mark: int = 0) -> None:
        now = self.clock.now_us()
        batch = ReadingBatch.build(
            self.names.indices([PointId(point) for point, _, _ in rows]),
            [now - round(ago * 1e6) for _, _, ago in rows],
            now,
            [value for _, value, _ in rows],
            mark,
        )
        self.pipeline.process(SpoolRecord(self.pipeline.seq + 1, batch))

    def after(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def tick(self) -> None:
        self.pipeline.tick(self.clock.now())

    def alarm(self, alarm_id: str) -> Alarm | None:
        with self.desk.state.read() as connection:
            return alarm_rows.load(connection, alarm_id)

    def state(self, alarm_id: str) -> str:
        alarm = self.alarm(alarm_id)
        return "never" if alarm is None else alarm.state.value
