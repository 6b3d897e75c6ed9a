"""Streams final gas days to the outputs, audit after audit: the newest revision of whatever an audit added."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

from gateway.errors import GatewayError, PermanentError
from gateway.model.network import Network
from gateway.ports import Memory, Written
from gateway.runtime.backoff import Backoff
from gateway.store.interval_lines import interval_lines
from gateway.store.intervals import IntervalStore

_LOG = logging.getLogger(__name__)
_FACT = "intervals"
_ROWS = 20_000
_PERMANENT_WAIT_S = 60.0


class LineOutput(Protocol):
    """An output that takes lines as they are."""

    name: str

    async def write_lines(self, lines: Sequence[str]) -> Written:
        """Write lines. Raises TransientError or PermanentError."""
        ...

    async def close(self) -> None:
        """Close; may be called twice."""
        ...


class IntervalStream:
    """One task runs `run`. How far it came is remembered by audit and gas day; what is lost of that is sent again."""

    def __init__(
        self,
        output: LineOutput,
        config: Any,
        intervals: IntervalStore,
        memory: Memory,
        network: Network,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        """Make one for an output with an `interval_measurement`."""
        self.problem = ""
        self._output, self._config, self._intervals = output, config, intervals
        self._memory, self._network = memory, network
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._audited_us = 0
        self._news = asyncio.Event()

    def audited(self, until_us: int) -> None:
        """Say that an audit has added all it had to add."""
        self._audited_us = max(self._audited_us, until_us)
        self._news.set()

    async def run(self) -> None:
        """Stream for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.step()
            except Exception as error:  # noqa: BLE001 - whatever an output does, the audits go on
                self._news.set()
                await asyncio.sleep(self._failed(error))
            else:
                self.problem = ""
                self._backoff.reset()

    async def step(self) -> None:
        """Stream everything up to the newest audit. Raises GatewayError."""
        after_us, upto_us, done = await asyncio.to_thread(self._stand)
        while after_us < upto_us:
            days = await asyncio.to_thread(self._intervals.changed_days, after_us, upto_us)
            for day in days:
                if day.isoformat() > done:
                    await self._day(day, after_us, upto_us)
                    await asyncio.to_thread(self._remember, after_us, upto_us, day.isoformat())
            after_us, upto_us, done = upto_us, self._audited_us, ""
            await asyncio.to_thread(self._remember, after_us, after_us, "")

    def _stand(self) -> tuple[int, int, str]:
        """Return from which audit to which there is something to do, and the last gas day that was done of it."""
        known: Any = self._memory.recall(self._owner).get(_FACT)
        if known is None:
            begin_us = self._audited_us if self._config.start == "now" else 0
            self._remember(begin_us, begin_us, "")
            return begin_us, self._audited_us, ""
        after_us, upto_us, day = int(known["after"]), int(known["upto"]), str(known["day"])
        return (after_us, upto_us, day) if upto_us > after_us else (after_us, self._audited_us, "")

    async def _day(self, day: date, after_us: int, upto_us: int) -> None:
        behind = ""
        while rows := await asyncio.to_thread(self._intervals.changed, day, after_us, upto_us, behind, _ROWS):
            made = list(interval_lines(rows, self._config.interval_measurement, self._network))
            written = await self._output.write_lines([line for _, line in made])
            for row, reason in written.rejected[:1]:
                more = f" and {len(written.rejected) - 1} others" if len(written.rejected) > 1 else ""
                name = rows[made[row][0]].meter
                _LOG.warning("output %s: refuses gas day %s of %s%s: %s", self._output.name, day, name, more, reason)
            behind = rows[-1].meter

    def _remember(self, after_us: int, upto_us: int, day: str) -> None:
        self._memory.remember(self._owner, _FACT, {"after": after_us, "upto": upto_us, "day": day})

    @property
    def _owner(self) -> str:
        return f"output:{self._output.name}"

    def _failed(self, error: Exception) -> float:
        if not self.problem:
            unknown = None if isinstance(error, GatewayError) else error
            _LOG.warning("output %s: gas days wait: %s", self._output.name, error, exc_info=unknown)
        self.problem = f"output {self._output.name}: gas days wait: {error}"
        told = getattr(error, "retry_after_s", None) or 0.0
        return max(self._backoff.next(), min(told, 3600.0), _PERMANENT_WAIT_S * isinstance(error, PermanentError))


class IntervalStreams:
    """The streams of all outputs that want gas days."""

    def __init__(
        self, outputs: Sequence[tuple[LineOutput, Any]], intervals: IntervalStore, memory: Memory, network: Network
    ) -> None:
        """Make one stream for each (output, its configuration)."""
        self._outputs = [output for output, _ in outputs]
        self._streams = [IntervalStream(output, config, intervals, memory, network) for output, config in outputs]

    def audited(self, until_us: int) -> None:
        """Say that an audit of everything up to a moment has ended."""
        for stream in self._streams:
            stream.audited(until_us)

    def problems(self) -> list[str]:
        """Return what keeps gas days from being streamed."""
        return [stream.problem for stream in self._streams if stream.problem]

    async def run(self) -> None:
        """Stream until cancelled, then close the outputs."""
        try:
            async with asyncio.TaskGroup() as group:
                for stream in self._streams:
                    group.create_task(stream.run())
        finally:
            for output in self._outputs:
                await output.close()
