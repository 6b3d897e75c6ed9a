"""The role that serves pages and API."""

from __future__ import annotations

import asyncio

from alarms.acts import AlarmDesk
from alarms.master import MasterDefinitions
from api.app import make_app
from api.deps import Parts
from api.oidc import Provider
from api.services.storage import Storage
from gateway.roles.common import (
    be_nice,
    calendar_of,
    heartbeat,
    open_state,
    promises_of,
    remote_store,
    site_clock,
    site_network,
    ticket_policy,
)
from gateway.roles.revision import Follower
from gateway.runtime.check import Checker
from gateway.runtime.http import serve
from gateway.runtime.reload import Reloader
from gateway.snapshot import Snapshot
from gateway.store.intervals import IntervalStore

NICENESS = 10
"""a page must not slow an alarm"""


async def work(site: Snapshot) -> None:
    """Serve until cancelled."""
    be_nice(NICENESS)
    config = site.config
    state = open_state(config)
    clock = site_clock(config)
    network = site_network(config)
    store = remote_store(config)
    reloader = Reloader(site.path, config.data.folder)
    definitions = await asyncio.to_thread(MasterDefinitions, state, clock.now())
    parts = Parts(
        site=config.site,
        state=state,
        store=store,
        network=network,
        clock=clock,
        desk=AlarmDesk(state, definitions, network, clock, ticket_policy(config, state)),
        intervals=IntervalStore(config.data.folder / "intervals", memory_mib=128),
        audit_days=config.analyse.audit_days,
        ticket_secrets=tuple(secret.read() for sink in config.ticket_sink for secret in sink.secrets),
        note_file=config.web.note_file,
        tiles=config.pages.tile_server,
        reload=reloader,
        check=Checker(site.path),
        refresh=definitions.refresh,
        simulated=config.clock is not None,
        accounts=config.accounts.rules,
        oidc=None if config.accounts.oidc is None else Provider(config.accounts.oidc, config.web.public_url),
        public_url=config.web.public_url,
        storage=Storage(config.data.folder),
        promises=promises_of(config),
        calendar=calendar_of(config),
    )
    app = make_app(parts)
    follower = Follower(state, "web", site, before_restart=reloader.idle)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(heartbeat(state, "web", follower.status(lambda: (True, {}))), name="heartbeat")
            group.create_task(follower.run(), name="configuration")
            group.create_task(serve(app, config.web.listen, proxies=config.web.proxies), name="pages")
    finally:
        await store.close()
        state.close()
