"""The append-only log in front of the store: segment files of framed records, synced and self-repairing."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import Delivery, SpoolRecord
from gateway.store import segment as segments
from gateway.store.ownership import own
from gateway.store.record import HEADER_BYTES, decode, encode
from gateway.store.segment import Damage, Index, Scan, sync_folder

_LOG = logging.getLogger(__name__)
REDELIVERY_US = 3_600_000_000
"""A message digest seen again within this time is a redelivery."""
_INDEXED = 8
"""released segments whose records can be found without reading the segment"""
_READERS = 4
_MOST_DIGESTS = 1_000_000
_READ_BYTES = 64 << 20


@dataclass(slots=True)
class _Segment:
    path: Path
    first_seq: int
    size: int
    index: Index | None = None
    """None until the file was read and checked, and again when it is but repair stock, to save the memory"""


class FileSpool:
    """A `Spool` in a folder, owned by one process.

    What `append` returned for survives the process and, as far as the disk honours fdatasync, a power cut. At the
    start the newest `verify_bytes` are checked, older segments when they are first read; `damage` lists what was lost.
    Released segments stay as repair stock until they are `stock_s` old, the spool is over `cap_bytes`, or the disk has
    less than `min_free_bytes` left.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 32 << 20,
        cap_bytes: int = 8 << 30,
        stock_s: float = 48 * 3600.0,
        min_free_bytes: int = 2 << 30,
        verify_bytes: int = 1 << 30,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the folder. Raises PermanentError if another process owns it, TransientError if it is full."""
        self.damage: list[Damage] = []
        self._folder = folder
        self._segment_bytes, self._cap_bytes = segment_bytes, cap_bytes
        self._stock_s, self._min_free_bytes, self._wall = stock_s, min_free_bytes, wall
        self._lock = threading.RLock()
        self._appending = threading.Lock()
        self._digests: dict[bytes, int] = {}
        self._being_read: deque[_Segment] = deque(maxlen=_READERS)
        self._segments: list[_Segment] = []
        self._next_seq = 1
        self._released = 0
        self._file = -1
        self._must_rotate = self._must_cut = False
        folder.mkdir(parents=True, exist_ok=True)
        self._owner = own(folder)
        try:
            self._open(verify_bytes)
        except OSError as error:
            self.close()
            raise TransientError(f"spool {folder}: {error.strerror}") from error

    def append(self, deliveries: Sequence[Delivery]) -> SpoolRecord:
        """Write one group with one fdatasync; redelivered messages are left out.

        Raises TransientError when it could not be written: nothing of it was kept.
        """
        with self._appending:
            fresh, again, digests = self._sort_out(deliveries)
            record = SpoolRecord(
                self._next_seq,
                ReadingBatch.concat(one.batch for one in fresh),
                tuple(letter for one in fresh for letter in one.dead),
                again,
            )
            self._write(encode(record, digests))
            self._remember(digests)
            return record

    def read(self, after: int, limit: int, most_bytes: int = _READ_BYTES) -> list[SpoolRecord]:
        """Return up to `limit` records, and about `most_bytes`, with seq > after, oldest first."""
        records: list[SpoolRecord] = []
        for one in self._from(after):
            try:
                wanted = self._index(one).after(after)[: limit - len(records)]
                for seq, frame in segments.read_at(one.path, wanted):
                    if frame is None:
                        self._found_bad(one, seq)
                        continue
                    records.append(decode(seq, frame.body))
                    most_bytes -= len(frame.body)
                    if most_bytes <= 0:
                        return records
            except FileNotFoundError:
                continue  # released while we read: whoever still needed it would not have released it
            except OSError as error:
                raise TransientError(f"spool {one.path.name}: {error.strerror}") from error
            if len(records) >= limit:
                break
        return records

    def last_seq(self) -> int:
        """Return the sequence of the newest record or, after damage, of the newest that may have been."""
        return self._next_seq - 1

    def first_seq(self) -> int:
        """Return the sequence of the oldest record still kept, `last_seq() + 1` if none is."""
        with self._lock:
            for one in self._segments:
                index = one.index
                if index is None:
                    return one.first_seq
                if index.seqs:
                    return int(index.seqs[0])
            return self._next_seq

    def bytes_kept(self) -> int:
        """Return the bytes of all segments."""
        with self._lock:
            return sum(one.size for one in self._segments)

    def advance_to(self, seq: int) -> None:
        """Make the next record's sequence greater than `seq`: readers that got that far must not miss it.

        Call it at the start with what the store has loaded and with every cursor, in case the spool was lost.
        """
        with self._lock:
            if seq >= self._next_seq:
                self._next_seq = seq + 1
                self._must_rotate = True

    def release(self, upto: int) -> None:
        """Allow segments whose records are all <= upto to be deleted within the caps."""
        with self._lock:
            self._released = max(self._released, upto)
            total = sum(one.size for one in self._segments)
            oldest = self._wall() - self._stock_s
            short = shutil.disk_usage(self._folder).free < self._min_free_bytes
            for one in self._releasable():
                if not (short or total > self._cap_bytes or _modified_s(one.path) < oldest):
                    break
                total -= one.size
                self._delete(one)
            for one in self._releasable()[:-_INDEXED]:
                if one not in self._being_read:
                    one.index = None

    def close(self) -> None:
        """Close; may be called twice. Waits for an append that another thread is in."""
        with self._appending, self._lock:
            for handle in (self._file, self._owner):
                if handle >= 0:
                    os.close(handle)
            self._file = self._owner = -1

    def _open(self, verify_bytes: int) -> None:
        for left in self._folder.glob("*.tmp"):
            left.unlink()
        found = sorted((first, path) for path in self._folder.iterdir() if (first := segments.first_seq_of(path)))
        self._segments = [_Segment(path, first, path.stat().st_size) for first, path in found]
        if self._segments:
            self._check_newest()
        digests: list[tuple[bytes, int]] = []
        for one in reversed(self._segments):
            if verify_bytes <= 0:
                break
            verify_bytes -= one.size
            digests[:0] = self._check(one).digests
        self._remember(digests)
        if self._segments and not self._must_rotate:
            self._file = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        else:
            self._rotate()

    def _check_newest(self) -> None:
        """Cut the torn tail of the newest segment and find the next sequence; a lost one is not used again."""
        newest = self._segments[-1]
        found = segments.scan(newest.path)
        if found.torn_at is not None:
            os.truncate(newest.path, found.torn_at)
            newest.size = found.torn_at
        seqs = found.index.seqs
        self._next_seq = seqs[-1] + 1 if seqs else newest.first_seq
        good_end = found.index.ends[-1] if seqs else 0
        lost_bytes = sum(end - start for start, end in found.bad if start >= good_end)
        if lost_bytes:
            self._next_seq += lost_bytes // HEADER_BYTES + 1
            self._must_rotate = True

    def _check(self, one: _Segment) -> Scan:
        """Read a segment, put damage aside and remember where its records are."""
        with self._lock:
            found = segments.scan(one.path)
            if found.torn_at is not None:
                found.bad.append((found.torn_at, one.size))
            position = self._segments.index(one)
            following = self._segments[position + 1].first_seq if position + 1 < len(self._segments) else self._next_seq
            for start, end in found.bad:
                lost = segments.lost_between(found, start, one.first_seq, following - 1)
                self._note(Damage(one.path.name, start, end - start, lost))
            if found.bad:
                segments.repair(one.path, found, self._folder / "quarantine")
                one.size = one.path.stat().st_size
            one.index = found.index
            return found

    def _index(self, one: _Segment) -> Index:
        self._being_read.append(one)
        index = one.index
        return self._check(one).index if index is None else index

    def _found_bad(self, one: _Segment, seq: int) -> None:
        """Deal with a record that went bad after its check; the newest file is repaired at the next start."""
        with self._lock:
            if one is not self._segments[-1] and one in self._segments:
                self._check(one)
            else:
                self._note(Damage(one.path.name, 0, 0, (seq, seq)))

    def _note(self, damage: Damage) -> None:
        if damage in self.damage:
            return
        self.damage.append(damage)
        _LOG.error("spool %s is damaged at byte %d, lost %s", damage.file, damage.start, damage.lost_seqs)

    def _from(self, after: int) -> list[_Segment]:
        """Return the segments that may hold records above a sequence, oldest first."""
        with self._lock:
            at = bisect_right(self._segments, after, key=lambda one: one.first_seq)
            return self._segments[max(at - 1, 0) :]

    def _sort_out(
        self, deliveries: Sequence[Delivery]
    ) -> tuple[list[Delivery], tuple[int, ...], list[tuple[bytes, int]]]:
        """Return fresh deliveries, positions of redelivered ones, and the digests of the fresh with their times."""
        fresh: list[Delivery] = []
        again: list[int] = []
        new: dict[bytes, int] = {}
        for position, one in enumerate(deliveries):
            if one.digest:
                at = _received_us(one)
                seen = new.get(one.digest, self._digests.get(one.digest))
                if seen is not None and abs(at - seen) <= REDELIVERY_US:
                    again.append(position)
                    continue
                new[one.digest] = at
            fresh.append(one)
        return fresh, tuple(again), list(new.items())

    def _remember(self, digests: Iterable[tuple[bytes, int]]) -> None:
        newest = 0
        for digest, at in digests:
            self._digests.pop(digest, None)
            self._digests[digest] = newest = at
        while self._digests:
            digest, at = next(iter(self._digests.items()))
            if len(self._digests) <= _MOST_DIGESTS and at >= newest - REDELIVERY_US:
                break
            del self._digests[digest]

    def _write(self, frame: bytes) -> None:
        try:
            self._make_ready(len(frame))
            self._put(frame)
        except OSError as error:
            self._undo()
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                self._drop_stock()
            else:
                self._must_rotate = True  # after a failed sync nobody knows what this file's pages hold
            raise TransientError(f"spool {self._folder}: {os.strerror(error.errno or 0)}") from error
        with self._lock:
            one = self._segments[-1]
            self._index(one).add(self._next_seq, one.size, one.size + len(frame))
            one.size += len(frame)
            self._next_seq += 1

    def _make_ready(self, length: int) -> None:
        if self._owner < 0:
            raise TransientError("the spool is closed")
        if self._must_cut:
            os.ftruncate(self._file, self._segments[-1].size)
            self._must_cut = False
        size = self._segments[-1].size if self._segments else 0
        if self._must_rotate or (size and size + length > self._segment_bytes):
            self._rotate()

    def _put(self, frame: bytes) -> None:
        view, written = memoryview(frame), 0
        while written < len(frame):
            written += os.write(self._file, view[written:])
        os.fdatasync(self._file)

    def _undo(self) -> None:
        """Cut what a failed write left; if even that fails, the next write does it first."""
        try:
            if self._segments and self._file >= 0:
                os.ftruncate(self._file, self._segments[-1].size)
        except OSError:
            self._must_cut = True

    def _rotate(self) -> None:
        path = self._folder / segments.name_of(self._next_seq)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file, self._must_rotate = file, False
            if not self._segments or self._segments[-1].path != path:
                self._segments.append(_Segment(path, self._next_seq, 0, Index()))

    def _releasable(self) -> list[_Segment]:
        return [
            one
            for one, following in zip(self._segments, self._segments[1:], strict=False)
            if following.first_seq - 1 <= self._released
        ]

    def _drop_stock(self) -> None:
        """Give the room of released segments back."""
        with self._lock:
            for one in self._releasable():
                self._delete(one)

    def _delete(self, one: _Segment) -> None:
        one.path.unlink(missing_ok=True)
        self._segments.remove(one)


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _received_us(delivery: Delivery) -> int:
    if len(delivery.batch):
        return int(delivery.batch.received_time.max())
    return delivery.dead[0].received_time if delivery.dead else 0
