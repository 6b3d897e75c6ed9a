"""Serves an ASGI app inside a process that has more to do; that process, not the server, decides on signals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn

from gateway.errors import PermanentError

_GRACE_S = 2


_TICK_S = 1.0


class _Server(uvicorn.Server):
    """Wakes once a second instead of ten times, only to renew the date of its answers, and still ends at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._ending.wait()

    def end(self) -> None:
        """Take no more requests."""
        self.should_exit = True
        self._ending.set()


async def serve(
    app: Any, listen: str, *, on_end: Callable[[], None] | None = None, proxies: Sequence[str] = ()
) -> None:
    """Serve until cancelled; requests under way get two seconds to end, and `on_end` is called to hurry them.

    Only `proxies` are believed when they tell for whom they ask, and whether over HTTPS.

    Raises PermanentError if the port is taken.
    """
    host, _, port = listen.rpartition(":")
    server = _Server(
        uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
        )
    )
    serving = asyncio.create_task(_serving(server, listen), name=f"serve {listen}")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.end()
        if on_end is not None:
            on_end()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serving, 2 * _GRACE_S)
        raise


async def _serving(server: uvicorn.Server, listen: str) -> None:
    try:
        await server.serve()
    except SystemExit as error:
        raise PermanentError(f"cannot listen on {listen}: another program has that port, or it is not ours") from error
