"""A segment file of the spool: finding its good records, cutting a torn tail, keeping damage for inspection."""

from __future__ import annotations

import os
import shutil
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.store.record import HEADER_BYTES, MAGIC, Frame, digests_of, read_frame, read_header

SUFFIX = ".spool"


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a file that held no good record; `lost_seqs` are the sequences between its good neighbours."""

    file: str
    start: int
    length: int
    lost_seqs: tuple[int, int] | None
    """first and last sequence that may be missing, None if nobody knows"""

    def __str__(self) -> str:
        """Say it to a person."""
        lost = "no record is known to be lost" if self.lost_seqs is None else "lost are records {} to {}"
        where = f"spool file {self.file} was damaged at byte {self.start} ({self.length} bytes)"
        return f"{where}: {lost.format(*self.lost_seqs or ())}"


@dataclass(slots=True)
class Index:
    """Where the records of a segment lie; grows as records are appended."""

    seqs: array[int] = field(default_factory=lambda: array("Q"))
    starts: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, seq: int, start: int, end: int) -> None:
        """Note one more record at the end."""
        self.seqs.append(seq)
        self.starts.append(start)
        self.ends.append(end)

    def after(self, seq: int) -> list[tuple[int, int, int]]:
        """Return (seq, start, end) of every record above a sequence."""
        at = bisect_right(self.seqs, seq)
        return list(zip(self.seqs[at:], self.starts[at:], self.ends[at:], strict=True))


@dataclass(slots=True)
class Scan:
    """What reading a whole segment found."""

    index: Index
    bad: list[tuple[int, int]]
    """stretches without a good record: start, end"""
    digests: list[tuple[bytes, int]]
    torn_at: int | None
    """where an unfinished last write begins: no `append` ever returned for it"""


def name_of(first_seq: int) -> str:
    """Return the file name of the segment whose first record has this sequence."""
    return f"{first_seq:020d}{SUFFIX}"


def first_seq_of(path: Path) -> int | None:
    """Return the first sequence that a file's name announces, None if it is no segment."""
    return int(path.stem) if path.suffix == SUFFIX and path.stem.isascii() and path.stem.isdigit() else None


def scan(path: Path) -> Scan:
    """Read a whole segment and check every record. Raises OSError if it cannot be read."""
    data = memoryview(path.read_bytes())
    found = Scan(Index(), [], [], None)
    end, last_seq = 0, 0
    for frame in _frames(data):
        if frame.start > end:
            found.bad.append((end, frame.start))
        if frame.seq > last_seq:
            found.index.add(frame.seq, frame.start, frame.end)
            found.digests += digests_of(frame.body)
            last_seq = frame.seq
        end = frame.end
    if end < len(data):
        if _is_torn(data[end:]):
            found.torn_at = end
        else:
            found.bad.append((end, len(data)))
    return found


def repair(path: Path, found: Scan, quarantine: Path) -> None:
    """Copy a damaged segment to the quarantine, then leave only its good records in place. Raises OSError."""
    quarantine.mkdir(exist_ok=True)
    shutil.copy2(path, _free_name(quarantine / path.name))
    data = path.read_bytes()
    whole, index = Index(), found.index
    part = path.with_suffix(".tmp")
    with part.open("wb") as out:
        for seq, start, end in index.after(-1):
            whole.add(seq, out.tell(), out.tell() + end - start)
            out.write(data[start:end])
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    sync_folder(path.parent)
    found.index = whole


def lost_between(found: Scan, start: int, first_seq: int, following: int | None) -> tuple[int, int] | None:
    """Return the sequences that a bad stretch may have held, from its good neighbours; None if one is missing."""
    before = [seq for seq, at in zip(found.index.seqs, found.index.starts, strict=True) if at < start]
    behind = [seq for seq, at in zip(found.index.seqs, found.index.starts, strict=True) if at > start]
    low = before[-1] + 1 if before else first_seq
    high = behind[0] - 1 if behind else following
    return (low, high) if high is not None and high >= low else None


def read_at(path: Path, spans: list[tuple[int, int, int]]) -> Iterator[tuple[int, Frame | None]]:
    """Yield sequence and frame of each (seq, start, end); None where the record is no longer good. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        for seq, start, end in spans:
            frame = read_frame(memoryview(os.pread(file.fileno(), end - start, start)))
            yield seq, frame if frame is not None and frame.seq == seq else None


def sync_folder(folder: Path) -> None:
    """Make new, renamed and deleted names of a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _frames(data: memoryview) -> Iterator[Frame]:
    at, raw = 0, data.obj
    assert isinstance(raw, bytes)
    while at >= 0:
        frame = read_frame(data, at)
        if frame is not None:
            yield frame
        at = frame.end if frame is not None else raw.find(MAGIC, at + 1)
        if at >= len(data):
            return


def _is_torn(tail: memoryview) -> bool:
    """Tell an unfinished write, which is normal after a crash, from damage to a whole record."""
    header = read_header(tail)
    if header is not None:
        return len(tail) < HEADER_BYTES + header.length
    return len(tail) < HEADER_BYTES or not any(tail)


def _free_name(path: Path) -> Path:
    """Return a name beside `path` that no file has, so that no evidence is overwritten."""
    number, free = 1, path
    while free.exists():
        free = path.with_name(f"{path.name}.{number}")
        number += 1
    return free
