"""A bad receiver, and both sides killed at random: still exactly one ticket for each occurrence."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.alarms.alarm_fixtures import make_desk
from tests.alarms.roundup_desk import RoundupDesk, make_tracker
from tests.alarms.ticket_storm import doubled_or_lost, raised, storm, wait_for

COUNT = 80
FAULTS = ("500", "503", "429", "302", "202", "409", "401", "reset", "cut", "hang", "garbage", "huge")


@pytest.mark.slow
def test_roundup_has_each_ticket_once_whatever_breaks(tmp_path: Path, free_port: Callable[[], int]) -> None:
    dice = random.Random(20261122)
    tracker = RoundupDesk(tmp_path / "tracker", free_port(), workers=3)
    make_tracker(tracker.home, tracker.port)
    tracker.faults(*FAULTS)
    tracker.start()
    try:
        for tickets in (10, 30):
            with storm(tmp_path / "site", tracker.url, COUNT, 0.0):
                wait_for(tracker, tickets + dice.randrange(10))
                tracker.kill()
                tracker.start()
                wait_for(tracker, tickets + 15)
        tracker.faults()
        with storm(tmp_path / "site", tracker.url, COUNT, 0.0) as process:
            assert process.wait(60) == 0
        desk = make_desk(tmp_path / "site")
        assert raised(desk) == len(tracker.tickets()) == COUNT
        assert doubled_or_lost(desk, tracker, COUNT) == (0, 0)
        desk.state.close()
    finally:
        tracker.kill()
