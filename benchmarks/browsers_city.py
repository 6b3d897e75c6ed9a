"""Serves a city for `benchmarks.browsers`: `python -m benchmarks.browsers_city DIR PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from api.app import make_app
from tests.api.sample_state import live, sample_parts

METERS_PER_ZONE = 4000


def serve(folder: Path, port: int) -> None:
    """Serve until the process ends."""
    parts = sample_parts(folder, factor=1.0, meters_per_zone=METERS_PER_ZONE)
    live(parts.state)
    uvicorn.run(make_app(parts), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
