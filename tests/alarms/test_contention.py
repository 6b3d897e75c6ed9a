"""Several processes write to the state database at once: nobody is turned away, nobody waits long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store import alarm_rows
from gateway.store.state import State

SECONDS = 4.0
LONGEST_WAIT_S = 2.0
_RUN = """
import json, sys, time
from pathlib import Path

from alarms.acts import Edge
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises
from gateway.errors import RefusedError
from gateway.store import alarm_rows, health_rows
from tests.alarms.alarm_fixtures import START, make_desk

role, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
desk = make_desk(folder)
names = [f"UNDERPRESS_LO@M-{n:06d}" for n in range(200)]
print("ready", flush=True)
sys.stdin.readline()
done, longest, begun, number = 0, 0.0, time.monotonic(), 0


def plant():
    edges = [Edge(names[(number * 5 + n) % 200], ConditionFalls() if number // 40 % 2 else ConditionRises(START, 1.0))
             for n in range(5)]
    desk.commit(edges, cursor=number)
    return 5


def person():
    with desk.state.read() as connection:
        waiting = [one for one in alarm_rows.list_active(connection) if not one.acked]
    if not waiting:
        return 0
    alarm = waiting[0 if role == "person-1" else -1]
    try:
        desk.apply(alarm.alarm_id, Acknowledge(alarm.occurrence_no, role), role, f"{role}-{number}")
    except RefusedError:
        return 0
    return 1


def heart():
    health_rows.beat(desk.state, role, ok=True, detail={})
    return 1


work, pause = {"plant": (plant, 0.1), "heart": (heart, 0.05)}.get(role, (person, 0.02))
while time.monotonic() - begun < seconds:
    number += 1
    at = time.monotonic()
    done += work()
    longest = max(longest, time.monotonic() - at)
    time.sleep(max(0.0, begun + number * pause - time.monotonic()))
print(json.dumps({"done": done, "longest_s": longest}))
"""


@pytest.mark.slow
def test_acknowledgements_pass_while_alarms_come_at_fifty_a_second(tmp_path: Path) -> None:
    State.in_folder(tmp_path).close()
    roles = ("plant", "person-1", "person-2", "heart")
    processes = {
        role: subprocess.Popen(
            [sys.executable, "-c", _RUN, role, str(tmp_path), str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in roles
    }
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    told = {}
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for role, process in processes.items():
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, f"{role} was turned away"
        told[role] = json.loads(out)
    assert told["plant"]["done"] >= 20 * SECONDS, "however slow the machine"
    assert told["person-1"]["done"] + told["person-2"]["done"] >= 50
    assert max(one["longest_s"] for one in told.values()) < LONGEST_WAIT_S, told
    state = State.in_folder(tmp_path)
    with state.read() as connection:
        assert alarm_rows.verify_journal(connection) is None, "the chain holds across processes"
        entries = alarm_rows.journal_after(connection, 0, limit=100_000)
    state.close()
    acknowledged = sum(entry.event == "acknowledged" for entry in entries)
    assert acknowledged == told["person-1"]["done"] + told["person-2"]["done"]
