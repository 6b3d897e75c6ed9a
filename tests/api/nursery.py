"""Serves cities from forks of one process that has imported what they need: `python -m tests.api.nursery`."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

import uvicorn  # noqa: F401 - so that no fork has to

import api.pages.register  # noqa: F401
import tests.api.sample_empty
import tests.api.sample_state  # noqa: F401


def main() -> None:
    """For each line (module, folder, port, more) start a server and say its process id, until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a server ended
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            module, folder, port, *more = json.loads(line)
            importlib.import_module(module).serve(Path(folder), port, *more)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
