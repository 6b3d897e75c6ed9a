"""Many meters that fall silent together are one alarm at the lowest place that explains them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from alarms.detectors.meter_silence import MeterSilence
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, point_id
from tests.alarms.alarm_fixtures import home, small_network
from tests.alarms.plant import Plant

MINUTE = 60_000_000
START = 1_768_453_200_000_000


def city() -> Network:
    meters = [home(f"M-{zone}-{number}", zone) for zone in ("B-1", "B-2", "R-002") for number in range(30)]
    return replace(small_network(), meters={one.meter_id: one for one in meters})


class Line:
    """Lets meters report at their own pace, minute by minute."""

    def __init__(self, every_min: int = 60, seed: int = 1) -> None:
        self.network = city()
        self.judge = MeterSilence(self.network)
        self.meters = list(self.network.meters)
        names = [point_id(meter, Quantity.REGISTER_MEASURED_M3) for meter in self.meters]
        self.judge.adopt(range(len(names)), names)
        dice = random.Random(seed)
        self.every, self.at = every_min, 0
        self.offset = {meter: dice.randrange(every_min) for meter in self.meters}
        self.silent: set[str] = set()
        self.events: list[tuple[int, str, bool, float]] = []

    def run(self, minutes: int) -> None:
        for _ in range(minutes):
            self.at += 1
            rows = [
                number
                for number, meter in enumerate(self.meters)
                if meter not in self.silent and (self.at - self.offset[meter]) % self.every == 0
            ]
            now = START + self.at * MINUTE
            # a station that answers each minute: the gateway is well
            self.judge.feed(ReadingBatch.build([*rows, 900], [now] * (len(rows) + 1), now, [1.0] * (len(rows) + 1), 0))
            self.events += [(self.at, *edge) for edge in self.judge.edges()]

    def skip(self, minutes: int) -> None:
        self.at += minutes

    def of(self, *zones: str) -> set[str]:
        return {meter for meter in self.meters if self.network.meters[meter].zone_id in zones}

    @property
    def told(self) -> list[tuple[str, bool]]:
        return [(zone, begins) for _, zone, begins, _ in self.events]


def test_a_building_that_falls_silent_is_told_once_and_ends_when_it_is_back() -> None:
    line = Line()
    line.run(300)
    assert line.events == []
    line.silent = line.of("B-1")
    line.run(400)
    assert line.told == [("B-1", True)]
    assert 60 < line.events[0][0] - 300 <= 150
    line.silent = set()
    line.run(61)
    assert line.told == [("B-1", True), ("B-1", False)]


def test_two_buildings_of_a_zone_are_told_as_the_zone_and_a_whole_city_as_the_city() -> None:
    for zones, expected in ((("B-1", "B-2"), "R-001"), (("B-1", "B-2", "R-002"), "D-1")):
        line = Line(every_min=10)
        line.offset = dict.fromkeys(line.offset, 0)
        line.run(60)
        line.silent = line.of(*zones)
        line.run(200)
        assert [zone for zone, _ in line.told] in ([expected], ["CITY"] if expected == "D-1" else [expected])


def test_single_meters_few_meters_and_a_share_below_a_third_are_nobodys_alarm() -> None:
    line = Line()
    line.run(300)
    line.silent = set(sorted(line.of("B-1"))[:8]) | set(sorted(line.of("R-002"))[:8])
    line.run(600)
    assert line.events == []


def test_our_own_absence_accuses_no_meter() -> None:
    line = Line()
    line.run(300)
    line.skip(500)
    line.run(300)
    assert line.events == []


def test_daily_reports_are_judged_by_their_own_pace() -> None:
    line = Line(every_min=1440)
    line.run(1440 * 4)
    assert line.events == []
    line.silent = line.of("R-002")
    line.offset |= dict.fromkeys(line.of("R-002"), 5)
    line.run(1440)
    assert line.events == []


def test_silence_that_goes_on_is_not_ended_by_the_others_of_the_zone() -> None:
    line = Line()
    line.run(300)
    line.silent = set(sorted(line.of("B-1"))[:25])
    line.run(3000)
    assert line.told == [("B-1", True)]


def test_after_a_restart_it_ends_only_by_meters_that_are_heard() -> None:
    line = Line()
    line.judge.restore("B-1", START)
    line.silent = line.of("B-1")
    line.run(500)
    assert line.events == []
    line.silent = set()
    line.run(61)
    assert line.told == [("B-1", False)]


def test_our_own_absence_ends_no_silence() -> None:
    line = Line(every_min=10)
    line.run(100)
    line.silent = line.of("B-1")
    line.run(60)
    line.skip(300)
    line.run(200)
    assert line.told == [("B-1", True)]
    line.silent = set()
    line.run(12)
    assert line.told == [("B-1", True), ("B-1", False)]


def test_after_a_restart_those_are_awaited_that_were_silent_and_nobody_else() -> None:
    line = Line()
    gone = sorted(line.of("B-1"))[:20]
    line.judge.restore("R-001", START, gone)
    assert sorted(line.judge.silent_in("R-001")) == gone
    line.silent = set(gone) | line.of("B-2")
    line.run(500)
    assert line.events == []
    line.silent = line.of("B-2")
    line.run(61)
    assert line.told[0] == ("R-001", False)


def test_a_zone_that_the_network_has_no_more_ends() -> None:
    line = Line()
    line.judge.restore("R-999", START, ["M-gone"])
    line.run(2)
    assert line.told == [("R-999", False)]


@pytest.mark.parametrize("kill", [False, True])
def test_it_is_an_alarm_of_its_own_that_a_restart_keeps(tmp_path: Path, kill: bool) -> None:
    plant = Plant(tmp_path)
    plant.desk.network = city()
    plant.restart()
    rows = [(f"{meter}/register_measured_m3", 1.0) for meter in plant.desk.network.meters]
    left = [row for row in rows if not row[0].startswith("M-B-1-")]
    for number in range(48):
        reporting = (rows if number < 24 else left) if number % 4 == 0 else []
        plant.feed(*reporting, ("REG-001/gas_lel_pct", 0.0))
        plant.after(150)
        plant.tick()
    assert plant.state("METERS_SILENT@B-1") == "B"
    if kill:
        assert len(plant.restart()._homes._silence.silent_in("B-1")) == 30
    for _ in range(2):
        plant.feed(*rows)
        plant.after(90)
        plant.tick()
    alarm = plant.alarm("METERS_SILENT@B-1")
    assert alarm is not None
    assert not alarm.cond
    plant.desk.state.close()
