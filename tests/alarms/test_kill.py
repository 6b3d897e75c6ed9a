"""SIGKILL at random moments: the next process goes on as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.store import alarm_rows, outbox_rows, ticket_rows
from gateway.store.state import State

THOROUGH = os.environ.get("GASGATE_THOROUGH") == "1"
KILLS = 1000 if THOROUGH else 6
RECORDS = 15_000 if THOROUGH else 300
_RUN = """
import os, random, signal, sys, time
from pathlib import Path

import numpy as np

from alarms import pipeline as pipeline_module
from alarms.pipeline import AlarmPipeline
from gateway.model.reading import ReadingBatch, from_us, to_us
from gateway.ports import SpoolRecord
from gateway.runtime.clock import ManualClock
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.alarms.alarm_fixtures import START, make_desk

alone, killed, kills, records = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
pipeline_module.COMMIT_EVERY_S = 0.02
POINTS = [f"{s}/{q}" for s in ("REG-001", "REG-002", "REG-003", "S-01") for q in ("gas_lel_pct", "pressure_gauge_kpa")]
rng = np.random.default_rng(1)
GAS = np.where(rng.random((records // 3, 3)) < 0.1, 28.0, 1.0).repeat(3, axis=0)
PRESSURE = rng.choice([1.0, 1.5, 2.0, 2.0, 2.5, 2.8], size=(records // 5, 3)).repeat(5, axis=0)


def child(folder):
    clock = ManualClock(to_us(START))
    desk = make_desk(folder, clock)
    registry = StateRegistry(desk.state)
    index = registry.indices(POINTS)
    pipeline = AlarmPipeline(desk, desk.network, registry, desk.definitions, clock)
    for seq in range(pipeline.seq + 1, records + 1):
        now = to_us(START) + seq * 12_000_000
        clock.set(from_us(now))
        values = [*np.stack([GAS[seq - 1], PRESSURE[seq - 1]], axis=1).ravel(), 0.0, 200.0]
        pipeline.process(SpoolRecord(seq, ReadingBatch.build(index, [now] * 8, now, values)))
        if seq % 5 == 0:
            pipeline.tick(clock.now())


dice = random.Random(4)
for _ in range(kills):
    pid = os.fork()
    if pid == 0:
        child(killed)
        os._exit(0)
    time.sleep(dice.uniform(0.1, 0.4) if kills < 100 else dice.uniform(0.03, 0.15))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
child(killed)
child(alone)
"""


@pytest.mark.slow
@pytest.mark.timeout(60 + 5 * KILLS)
def test_a_pipeline_killed_again_and_again_does_what_one_left_alone_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path / "alone"), str(tmp_path / "killed"), str(KILLS), str(RECORDS)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=55 + 5 * KILLS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    killed, alone = State.in_folder(tmp_path / "killed"), State.in_folder(tmp_path / "alone")
    with killed.read() as connection, alone.read() as other:
        entries = _by_the_plant(alarm_rows.journal_after(connection, 0, limit=1_000_000))
        expected = _by_the_plant(alarm_rows.journal_after(other, 0, limit=1_000_000))
        assert len(expected) > 80
        seen = [(one.alarm_id, one.occurrence_no, one.event, one.at) for one in entries]
        assert seen == [(one.alarm_id, one.occurrence_no, one.event, one.at) for one in expected]
        assert alarm_rows.verify_journal(connection) is None
        announced = Counter((one.alarm_id, one.occurrence_no) for one in entries if one.event == "announced")
        assert set(announced.values()) == {1}
        last = {one.alarm_id: one.after for one in entries}
        facts = {one.alarm_id: alarm_rows.facts_of(one) for one in alarm_rows.load_all(connection)}
        assert {name: one for name, one in facts.items() if name in last} == last
        tickets = ticket_rows.list_tickets(connection, limit=100_000)
        assert len(tickets) > 3
        keys = [one.dedup_key for one in tickets]
        assert keys == [one.dedup_key for one in ticket_rows.list_tickets(other, limit=100_000)]
        for one in tickets:
            assert next(row.command.command_no for row in outbox_rows.outbox_of(connection, one.ticket_no)) == 1
    killed.close()
    alone.close()


def _by_the_plant(entries: list[alarm_rows.JournalEntry]) -> list[alarm_rows.JournalEntry]:
    """Leave out what real seconds bring about: a ticket that nobody confirms for 20 s."""
    return [entry for entry in entries if not entry.alarm_id.startswith("TICKET_")]
