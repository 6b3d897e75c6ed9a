"""`gasgate probe`: one real read of one device, topic or output, and how it is shown."""

from __future__ import annotations

from rich.console import Group, RenderableType

from gateway.config import Config


async def probe_any(config: Config, name: str, seconds: float) -> object:
    raise NotImplementedError(config, name, seconds)


def render(found: object) -> RenderableType:
    return Group(str(found))
