"""Writing lines so that each ends accepted or refused by its own fault: a refused body is taken apart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np

from gateway.errors import PermanentError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import Written
from gateway.store.lines import MOST_LINES, Body, LineFormat

PROBE = b"gasgate_probe value=1"
_ABOUT_LINES = re.compile(
    r"partial write|unable to parse|parsing line|retention|conflict|dropped|invalid (field|line|number)|cannot parse"
)
_DROPPED = re.compile(r"\bdropped[= ](\d+)")
_NUMBER = re.compile(r'(?:error parsing line |line_number"?: ?)(\d+)')
_QUOTED = re.compile(r"""(?:unable to parse '|incorrect influx line ")([^'"\\\n]+)""")
_MOST_HINTS = 32
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a write."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def accepted(self) -> bool:
        """Tell whether every line was taken."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Return the first words, on one line."""
        return f"{self.status}: {' '.join(self.text.split())[:_SHOWN]}"


Send = Callable[[bytes], Awaitable[Answer]]
Refused = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Line:
    text: bytes
    row: int
    time: int


async def write_batch(send: Send, form: LineFormat, batch: ReadingBatch) -> Written:
    """Send a batch in bodies of limited size, the next one being built meanwhile.

    Raises TransientError or PermanentError; what was sent before may be sent again, the same line overwrites itself.
    """
    lines = await asyncio.to_thread(form.sort, batch)
    bodies = form.bodies(batch, lines)
    refused: Refused = []
    ahead = asyncio.create_task(asyncio.to_thread(next, bodies, None))
    try:
        while (body := await ahead) is not None:
            ahead = asyncio.create_task(asyncio.to_thread(next, bodies, None))
            refused += await _deliver(send, form, body)
    finally:
        await asyncio.gather(ahead, return_exceptions=True)
    return Written(len(lines.rows) - len(refused), tuple(sorted(lines.rejected + refused)))


async def write_lines(send: Send, form: LineFormat, lines: Sequence[str]) -> Written:
    """Send lines that are made already; else as `write_batch`."""
    refused: Refused = []
    for at in range(0, len(lines), MOST_LINES):
        some = lines[at : at + MOST_LINES]
        rows = np.arange(at, at + len(some))
        refused += await _deliver(send, form, Body("\n".join(some).encode(), rows, np.zeros(len(some), dtype=np.int64)))
    return Written(len(lines) - len(refused), tuple(sorted(refused)))


def error_of(answer: Answer, where: str = "") -> TransientError | PermanentError:
    """Return the error that an answer means: wait and try again, or a person must change something."""
    text = f"{where}: {answer.reason}" if where else answer.reason
    if answer.status in {408, 425, 429} or answer.status >= 500:
        return TransientError(text, retry_after_s=_retry_after(answer.headers))
    return PermanentError(text)


async def _deliver(send: Send, form: LineFormat, body: Body) -> Refused:
    answer = await send(body.data)
    if answer.accepted:
        return []
    _raise_unless_about_lines(answer)
    if answer.status == 413 and len(body.rows) > 1:
        form.too_large(len(body.data))
    elif not _ABOUT_LINES.search(answer.text) and not (probed := await send(PROBE)).accepted:
        # Not even a line that is surely good is taken: the fault lies elsewhere, and no line may suffer for it.
        error = error_of(probed)
        raise PermanentError(f"every line was refused: {answer.reason}") if probed.status == answer.status else error
    columns = (body.lines(), body.rows.tolist(), body.times.tolist())
    lines = [_Line(text, row, time) for text, row, time in zip(*columns, strict=True)]
    return await _take_apart(send, lines, answer)


async def _take_apart(send: Send, lines: Sequence[_Line], answer: Answer) -> Refused:
    """Find the bad ones of lines that were refused together. Good ones may go twice."""
    dropped = _DROPPED.search(answer.text)
    if len(lines) == 1 or (dropped is not None and int(dropped[1]) == len(lines)):
        return [(line.row, answer.reason) for line in lines]
    refused: Refused = []
    suspects = _hinted(answer.text, lines)
    for line in suspects:
        refused += await _again(send, [line])
    if refused:
        return refused + await _again(send, [line for line in lines if line not in suspects])
    # Bad lines side by side cost few halvings: those of one age, else those of one series.
    ordered = sorted(lines, key=lambda line: line.time if "retention" in answer.text else line.text)
    middle = len(ordered) // 2
    return await _again(send, ordered[:middle]) + await _again(send, ordered[middle:])


async def _again(send: Send, lines: Sequence[_Line]) -> Refused:
    if not lines:
        return []
    answer = await send(b"\n".join(line.text for line in lines))
    if answer.accepted:
        return []
    _raise_unless_about_lines(answer)
    return await _take_apart(send, lines, answer)


def _raise_unless_about_lines(answer: Answer) -> None:
    if answer.status not in {400, 413, 422}:
        raise error_of(answer)


def _hinted(text: str, lines: Sequence[_Line]) -> list[_Line]:
    """Return the lines that an answer names, by number or by their text, if they are few."""
    quoted = {found.encode() for found in _QUOTED.findall(text)}
    numbers = {int(found) - 1 for found in _NUMBER.findall(text)}
    found = [line for at, line in enumerate(lines) if at in numbers or line.text in quoted]
    return found if len(found) <= _MOST_HINTS else []


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many real seconds a server asks to be left alone: a number, or a date."""
    text = next((value for key, value in headers.items() if key.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
