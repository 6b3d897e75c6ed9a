"""A site that has just been installed: a network, links that do not answer yet, and not one reading."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn

from alarms.acts import AlarmDesk
from alarms.master import MasterDefinitions
from api.app import make_app
from api.deps import Parts
from gateway.model.reading import to_us
from gateway.runtime.clock import SystemClock
from gateway.store import health_rows, user_rows
from gateway.store.intervals import IntervalStore
from gateway.store.state import State
from tests.api.sample_network import sample_network
from tests.api.sample_state import CHEAP_HASH, POLICY, USERS, SampleSite, live
from tests.api.sample_store import SampleStore

FIRST_READING = "first-reading"
"""the file in the data folder with which the first reading comes"""


class EmptyStore(SampleStore):
    """Stands for the store service of a new site."""

    folder = Path()

    async def status(self) -> dict[str, Any]:
        status = await super().status()
        come = 1 if (self.folder / FIRST_READING).exists() else 0
        links = [{**link, "up": False, "last_good_us": None} for link in status["links"]]
        return {**status, "links": links, "accounting": {}, "outputs": [], "spool": {"last_seq": come, "loaded": 0}}

    async def latest(self, points: Any) -> Any:
        return (await super().latest(points)).take(slice(0, 0))


def empty_parts(folder: Path) -> Parts:
    """Make the parts of a web role over an empty state with the sample's people."""
    state = State.in_folder(folder)
    network, clock = sample_network(), SystemClock()
    definitions = MasterDefinitions(state, clock.now())
    with state.write() as connection:
        for name, role in USERS.items():
            row = user_rows.UserRow(name, CHEAP_HASH, role, "zh", disabled=False)
            user_rows.save_user(connection, row, to_us(clock.now()))
    health_rows.beat(state, "keep", ok=True, detail={})
    store = EmptyStore(list(network.points), clock, clock.now())  # type: ignore[arg-type]
    store.folder = folder
    return Parts(
        site=SampleSite(),
        state=state,
        store=store,
        network=network,
        clock=clock,
        desk=AlarmDesk(state, definitions, network, clock, POLICY),
        intervals=IntervalStore(folder / "intervals"),
        ticket_secrets=(),
        refresh=definitions.refresh,
    )


def serve(folder: Path, port: int) -> None:
    """Serve the new site until the process ends."""
    parts = empty_parts(folder)
    live(parts.state)
    uvicorn.run(make_app(parts), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
