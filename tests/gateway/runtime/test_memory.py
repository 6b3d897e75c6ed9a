"""A process that keeps freed memory faults no page in twice."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT = """
import resource
import numpy as np
from gateway.runtime import memory
if {reuse}:
    memory.reuse_freed()
np.ones(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(reuse: bool) -> int:
    told = subprocess.run([sys.executable, "-c", COUNT.format(reuse=reuse)], check=True, capture_output=True, text=True)
    return int(told.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the GNU C library is told")
def test_arrays_that_follow_each_other_use_the_same_pages():
    assert faults(reuse=True) * 10 < faults(reuse=False)
