"""What a process does once so that its loop answers quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOW = """
import gc, sys
from gateway.runtime.interpreter import answer_quickly
before = gc.get_threshold()
answer_quickly()
print(sys.getswitchinterval() <= 0.001, gc.get_freeze_count() > 1000, gc.get_threshold()[0] > before[0], gc.isenabled())
"""


def test_threads_give_way_and_old_objects_are_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", SHOW], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4


ARENAS = """
import sys, threading
from gateway.runtime.interpreter import waste_little
if sys.argv[1] == "little":
    waste_little()
stay = threading.Barrier(9)
def take():
    kept = [bytearray(50_000) for _ in range(20)]
    stay.wait()
    stay.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
stay.wait()
starts = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if line.split()[-1] == "0"]
print(sum(start % (64 << 20) == 0 for start in starts))
stay.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what the kernel tells of memory")
def test_threads_do_not_each_take_memory_of_their_own() -> None:
    found = {
        how: int(subprocess.run([sys.executable, "-c", ARENAS, how], capture_output=True, check=True).stdout)
        for how in ("little", "much")
    }
    if found["much"] == 0:
        pytest.skip("this C library has no arenas")
    assert found["little"] <= 1 < found["much"]
