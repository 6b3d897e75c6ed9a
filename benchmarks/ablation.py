"""The table of what each mechanism of the analysis is worth: one line for each that is switched off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.exam_table import qualities, rows
from gateway.scoring.rules import KINDS

_QUALITIES = ("all", *KINDS)
_LOSS = {"loss error": "loss rate: mean error, % points", "in 2 sigma": "loss rate"}
"""columns of the loss, and the rows of the examination that tell them"""


@dataclass(frozen=True, slots=True)
class Line:
    """What is reached when a part is switched off; what no city tells is left out."""

    part: str
    values: Mapping[str, float]

    @classmethod
    def of(cls, part: str, scored: Sequence[Mapping[str, Any]]) -> Line:
        """Take the figures of some cities, as the scorer gives them."""
        told = {row.task: row.ours for row in rows([("exam", figures) for figures in scored])}
        loss = {name: ours for name, task in _LOSS.items() if (ours := told[task]) is not None}
        thieves = [(one["hit_at_3"], one["events"]) for f in scored for one in f["theft_rank"]["by_type"].values()]
        events = sum(count for _, count in thieves)
        hits = {"theft hit@3": sum(hit * count for hit, count in thieves) / events} if events else {}
        return cls(part, {**qualities(scored), **hits, **loss})

    @staticmethod
    def head() -> str:
        """Return the heading: Q of 100 of all kinds and of each, and what else is told."""
        return _cells("switched off", [*(f"Q {name}" for name in _QUALITIES), "theft hit@3", *_LOSS])

    def text(self) -> str:
        """Return the line."""
        shown = [f"{self.values[name]:.1f}" if name in self.values else "-" for name in _QUALITIES]
        others = [f"{self.values[name]:.3f}" if name in self.values else "-" for name in ("theft hit@3", *_LOSS)]
        return _cells(self.part, [*shown, *others])


def _cells(first: str, others: Sequence[str]) -> str:
    return f"{first:<14}" + "".join(f"{cell:>20}" for cell in others)
