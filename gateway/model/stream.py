"""How far a stream of readings to an output has come: its head, and the gaps that it left behind to be up to date."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.model.quantity import ReadingClass

CLASSES = tuple(ReadingClass)
Counts = tuple[int, int, int, int]
"""readings of the classes A, B, C and D"""
NONE: Counts = (0, 0, 0, 0)
_HOUR_US = 3_600_000_000
_MOST_ROWS = 5_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Loads after < seq <= upto that the output has not taken yet."""

    after: int
    upto: int
    rows: Counts | None = None
    """how many readings wait; None = not counted yet"""
    newest_us: int = 0
    """newest received time, us UTC; 0 until counted"""
    classes: str = "ABCD"
    """what is still to be streamed of it"""


@dataclass(frozen=True, slots=True)
class Place:
    """Everything up to `head` is streamed, except what lies in the gaps, which are in order and do not overlap."""

    head: int
    gaps: tuple[Gap, ...] = ()
    dropped: Counts = NONE
    """readings that are not streamed any more because they waited too long or were too many"""

    @property
    def counted(self) -> Counts:
        """Return how many readings wait in the gaps that were counted."""
        return add(*(gap.rows for gap in self.gaps if gap.rows is not None))

    def skip_to(self, seq: int) -> Place:
        """Leave everything up to a load for later."""
        if seq <= self.head:
            return self
        last = self.gaps[-1] if self.gaps else None
        if last is not None and last.upto == self.head and last.rows is None and last.classes == "ABCD":
            return replace(self, head=seq, gaps=(*self.gaps[:-1], replace(last, upto=seq)))
        return replace(self, head=seq, gaps=(*self.gaps, Gap(self.head, seq)))

    def filled(self, seq: int, rows: Counts) -> Place:
        """Note that the oldest gap was streamed up to a load, with so many readings in it."""
        first, rest = self.gaps[0], self.gaps[1:]
        if seq >= first.upto:
            return replace(self, gaps=rest)
        left = None if first.rows is None else _minus(first.rows, rows)
        return replace(self, gaps=(replace(first, after=seq, rows=left), *rest))

    def counted_part(self, at: int, seq: int, rows: Counts, newest_us: int) -> Place:
        """Note what the beginning of the gap at this position holds; a piece of an hour or less grows by it."""
        gap = self.gaps[at]
        before, behind = self.gaps[:at], self.gaps[at + 1 :]
        part = replace(gap, upto=min(seq, gap.upto), rows=rows, newest_us=newest_us)
        if before and _belong_together(before[-1], part):
            part = _together(before[-1], part)
            before = before[:-1]
        rest = (replace(gap, after=seq),) if seq < gap.upto else ()
        return replace(self, gaps=(*before, part, *rest, *behind))

    def fitted(self, now_us: int, most_age_us: int, most_rows: int) -> Place:
        """Give up what waited too long, then class D, then class C, then the rest, each time the oldest first."""
        gaps, dropped = list(self.gaps), self.dropped
        for at, gap in enumerate(gaps):
            if gap.rows is not None and gap.newest_us < now_us - most_age_us:
                dropped = add(dropped, gap.rows)
                gaps[at] = replace(gap, rows=NONE, classes="")
        excess = sum(self.counted) - (sum(dropped) - sum(self.dropped)) - most_rows
        for given_up in ("D", "C", "AB"):
            for at, gap in enumerate(gaps):
                if excess <= 0:
                    break
                lost = _only(gap.rows or NONE, given_up)
                if sum(lost):
                    left = "".join(letter for letter in gap.classes if letter not in given_up)
                    gaps[at] = replace(gap, rows=_minus(gap.rows or NONE, lost), classes=left)
                    dropped = add(dropped, lost)
                    excess -= sum(lost)
        kept = tuple(gap for gap in gaps if gap.rows is None or any(gap.rows))
        return replace(self, gaps=kept, dropped=dropped)

    def bounded(self, most_gaps: int) -> Place:
        """Join gaps that lie closest until they are few; what lies between them will be streamed twice."""
        gaps = list(self.gaps)
        while len(gaps) > most_gaps:
            at = min(range(1, len(gaps)), key=lambda place: gaps[place].after - gaps[place - 1].upto)
            gaps[at - 1 : at + 1] = [_together(gaps[at - 1], gaps[at])]
        return self if len(gaps) == len(self.gaps) else replace(self, gaps=tuple(gaps))


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a stream begins, and how much may wait for its server."""

    from_now: bool = False
    """a stream that never began takes only what is loaded from now on"""
    most_age_us: int = 30 * 86_400_000_000
    most_rows: int = 2_000_000_000


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How an output is doing."""

    name: str
    connected: bool
    cursor: int
    lag: int
    """loads that the output has not accepted yet, as a difference of sequences"""
    written: int
    rejected: int
    last_error: str
    needs_a_person: bool
    """the output refuses in a way that waiting does not mend"""
    late_s: float
    """real seconds that the newest readings wait for the output"""
    gaps: int
    waiting: Counts
    """readings of class A, B, C, D in the gaps, as far as they were counted"""
    dropped: Counts
    """readings of class A, B, C, D that waited too long or were too many, and are not streamed any more"""


def add(*counts: Counts) -> Counts:
    """Return the sum, class by class."""
    a, b, c, d = (sum(column) for column in zip(*counts, strict=True)) if counts else NONE
    return a, b, c, d


def _minus(rows: Counts, less: Counts) -> Counts:
    a, b, c, d = (max(have - gone, 0) for have, gone in zip(rows, less, strict=True))
    return a, b, c, d


def _only(rows: Counts, classes: str) -> Counts:
    a, b, c, d = (count if letter in classes else 0 for count, letter in zip(rows, CLASSES, strict=True))
    return a, b, c, d


def _belong_together(old: Gap, new: Gap) -> bool:
    return (
        old.rows is not None
        and new.rows is not None
        and old.upto == new.after
        and old.classes == new.classes
        and old.newest_us // _HOUR_US == new.newest_us // _HOUR_US
        and sum(old.rows) + sum(new.rows) <= _MOST_ROWS
    )


def _together(old: Gap, new: Gap) -> Gap:
    rows = None if old.rows is None or new.rows is None else add(old.rows, new.rows)
    classes = "".join(letter for letter in "ABCD" if letter in old.classes + new.classes)
    return Gap(old.after, new.upto, rows, max(old.newest_us, new.newest_us), classes)
