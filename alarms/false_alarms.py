"""How often alarms were false, by definition and kind of asset: what the report on the alarm system counts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """One definition at one kind of asset."""

    definition: str
    asset_kind: str
    raised: int
    """occurrences that were announced in the time"""
    judged: int
    """those of them about which somebody said whether they were false; the others are not known"""
    false: int

    @property
    def share(self) -> float | None:
        """Share of false ones among those that were judged, None where nobody judged."""
        return self.false / self.judged if self.judged else None


def count_false(
    raised: Collection[tuple[str, int]], verdicts: Mapping[tuple[str, int], bool], kind_of: Callable[[str], str]
) -> tuple[FalseAlarms, ...]:
    """Return the counts, the most often false first; `verdicts` tell whether an occurrence was false, where known."""
    every: Counter[tuple[str, str]] = Counter()
    judged: Counter[tuple[str, str]] = Counter()
    false: Counter[tuple[str, str]] = Counter()
    for occurrence in raised:
        name, _, asset = occurrence[0].partition("@")
        key = name, kind_of(asset)
        every[key] += 1
        judged[key] += occurrence in verdicts
        false[key] += verdicts.get(occurrence, False)
    found = (FalseAlarms(*key, count, judged[key], false[key]) for key, count in every.items())
    return tuple(sorted(found, key=lambda one: (-one.false, -one.raised, one.definition, one.asset_kind)))


def newest(said: Iterable[tuple[float, tuple[str, int], bool]]) -> dict[tuple[str, int], bool]:
    """Return what was said last about each occurrence; `said` are (time, occurrence, whether it was false)."""
    found: dict[tuple[str, int], tuple[float, bool]] = {}
    for at, occurrence, false in said:
        if occurrence not in found or found[occurrence][0] <= at:
            found[occurrence] = at, false
    return {occurrence: false for occurrence, (_, false) in found.items()}
