"""What a process does once so that its loop answers quickly."""

from __future__ import annotations

import subprocess
import sys

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
