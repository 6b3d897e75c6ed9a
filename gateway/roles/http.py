"""Serves an ASGI app inside a role; the role, not the server, decides on signals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn

from gateway.errors import PermanentError

_GRACE_S = 2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Any, listen: str) -> None:
    """Serve until cancelled; requests under way get two seconds to end. Raises PermanentError if the port is taken."""
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
        )
    )
    serving = asyncio.create_task(_serving(server, listen), name=f"serve {listen}")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serving, 2 * _GRACE_S)
        raise


async def _serving(server: uvicorn.Server, listen: str) -> None:
    try:
        await server.serve()
    except SystemExit as error:
        raise PermanentError(f"cannot listen on {listen}: another program has that port, or it is not ours") from error
