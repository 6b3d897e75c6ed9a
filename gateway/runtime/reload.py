"""Asks for a reload: the work is done by a process of its own, so that no role waits for a check."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import TransientError
from gateway.runtime import child

log = logging.getLogger(__name__)

LIMIT_S = 180.0
_LOOK_S = 0.05


def start_reload(config: Path, data: Path, who: str, *, as_json: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a reload of the gateway that keeps its data in a folder; it logs what became of it."""
    arguments = ["gateway", "reload", str(config), "--data", str(data), "--who", who]
    if as_json is not None:
        arguments += ["--out", str(as_json)]
    return child.start(arguments)


class Reloader:
    """Asks for one reload after the other and waits for the answer."""

    def __init__(self, config: Path, data: Path) -> None:
        """Remember what to reload."""
        self._config, self._data = config, data
        self._turn = asyncio.Lock()

    async def __call__(self, who: str) -> Mapping[str, Any]:
        """Reload and return the outcome, see `gateway.reloading.Outcome`. Raises TransientError."""
        async with self._turn:
            answer = self._data / "reload-answer.json"
            answer.unlink(missing_ok=True)
            process = start_reload(self._config, self._data, who, as_json=answer)
            try:
                async with asyncio.timeout(LIMIT_S):
                    while process.poll() is None:  # noqa: ASYNC110 - the child has no event of ours
                        await asyncio.sleep(_LOOK_S)
                found: Mapping[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            except (TimeoutError, OSError, ValueError) as error:
                raise TransientError(
                    f"the reload gave no answer: {error or type(error).__name__}; see the log"
                ) from error
            finally:
                child.stop([process])
            return found

    async def idle(self) -> None:
        """Return when no answer is waited for."""
        async with self._turn:
            return
