"""Asks what `gasgate check` says of the configuration files: a process of its own looks, so that no role waits."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import TransientError
from gateway.model.file_problem import FileProblem
from gateway.runtime import child

LIMIT_S = 120.0
_LOOK_S = 0.05


class Checker:
    """Asks for one check after the other and waits for the answer."""

    def __init__(self, config: Path) -> None:
        """Remember what to check."""
        self._config = config
        self._turn = asyncio.Lock()

    async def __call__(self) -> Sequence[FileProblem]:
        """Return errors, then warnings. Raises TransientError."""
        async with self._turn:
            with tempfile.TemporaryFile() as answer:
                process = child.start(["gateway", "check", str(self._config), "--json"], answer=answer)
                try:
                    async with asyncio.timeout(LIMIT_S):
                        while process.poll() is None:  # noqa: ASYNC110 - the child has no event of ours
                            await asyncio.sleep(_LOOK_S)
                    answer.seek(0)
                    found = [FileProblem(**one) for one in json.load(answer)]
                except (TimeoutError, ValueError) as error:
                    raise TransientError(f"the check gave no answer: {error or type(error).__name__}") from error
                finally:
                    await asyncio.to_thread(child.stop, [process])
            return found
