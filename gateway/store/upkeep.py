"""What is to be done next with the files of the readings store: a pure decision on their names and a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gateway.store.dayfile import DAY_US, FIRST_RELEASE, METER, MINUTES, NETWORK, OPEN, SEALED, DayFile

GRACE_US = 600_000_000
"""how long after its end a day may still receive rows that waited in the spool"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long readings are kept, in days after they were received; deletion takes whole files."""

    meter_days: int = 3660
    """classes A and B"""
    network_raw_days: int = 30
    """every reading of classes C and D; after that the lowest, the highest and the last of each minute"""
    network_days: int = 3660
    """classes C and D altogether"""


@dataclass(frozen=True, slots=True)
class Task:
    """Files that are to be rewritten as one span; `kind` as in `rewrite.Job`."""

    kind: str
    files: tuple[DayFile, ...]
    span: str
    families: tuple[str, ...]


def next_task(files: Sequence[DayFile], now_us: int, keep: Retention) -> Task | None:
    """Return the most urgent rewriting, None if every file is as it should be."""
    return _to_seal(files, now_us) or _to_thin(files, now_us, keep) or _to_merge(files, now_us)


def expired(files: Iterable[DayFile], now_us: int, keep: Retention) -> list[DayFile]:
    """Return the files of which no reading has to be kept any longer."""
    days = {METER: keep.meter_days, MINUTES: keep.network_days, NETWORK: max(keep.network_days, keep.network_raw_days)}
    return [one for one in files if one.name.family in days and _age_us(one, now_us) > days[one.name.family] * DAY_US]


def _to_seal(files: Sequence[DayFile], now_us: int) -> Task | None:
    """Return the oldest span that takes no more rows but is still in the order of loading."""
    spans = [
        one.name.span
        for one in files
        if one.name.family == FIRST_RELEASE or (one.name.family == OPEN and _age_us(one, now_us) > GRACE_US)
    ]
    if not spans:
        return None
    span = min(spans)
    chosen = tuple(one for one in files if one.name.span == span and one.name.family in {OPEN, FIRST_RELEASE})
    return Task("seal", chosen, span, (METER, NETWORK))


def _to_thin(files: Sequence[DayFile], now_us: int, keep: Retention) -> Task | None:
    for one in files:
        if one.name.family == NETWORK and _age_us(one, now_us) > keep.network_raw_days * DAY_US:
            return Task("thin", (one,), one.name.span, (MINUTES,))
    return None


def _to_merge(files: Sequence[DayFile], now_us: int) -> Task | None:
    """Return a closed month, or a day, of which there is more than one file of a family."""
    busy = {one.name.month for one in files if not one.sealed}
    for family in SEALED:
        own = sorted((one for one in files if one.name.family == family), key=lambda one: one.name)
        if family != NETWORK:
            for month, group in groupby(own, key=lambda one: one.name.month):
                members = tuple(group)
                over = now_us > members[0].name.month_end_us + GRACE_US
                if len(members) > 1 and over and month not in busy:
                    return Task("seal", members, month, (family,))
        for span, group in groupby(own, key=lambda one: one.name.span):
            members = tuple(group)
            if len(members) > 1:
                return Task("seal", members, span, (family,))
    return None


def _age_us(one: DayFile, now_us: int) -> int:
    return now_us - one.name.end_us
