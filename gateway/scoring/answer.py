"""What an analysis answered, as columns. A finding that cannot be read is a false alarm, not the end of the scoring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.errors import ConfigError
from gateway.scoring.reading import Fields, number, read_json, seconds
from gateway.scoring.rules import KINDS, RULES


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The findings of an answer; all columns have one length."""

    kind: NDArray[np.int64]
    """index into KINDS, -1 for an unknown one"""
    subject: tuple[str, ...]
    """the zone or meter that the kind is about, empty where it is missing"""
    at: NDArray[np.float64]
    """seconds since 1970 UTC, NaN where unreadable"""
    score: NDArray[np.float64]
    """NaN where unreadable"""
    estimate_m3_per_day: NDArray[np.float64]

    @property
    def rank(self) -> NDArray[np.float64]:
        """The score by which a list is sorted; one that is no finite number stands last."""
        return np.where(np.isfinite(self.score), self.score, -np.inf)

    def __len__(self) -> int:
        """Return the number of findings."""
        return len(self.subject)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What `gasgate analyse` wrote."""

    findings: Findings
    loss: Sequence[Any]
    """rows as they stand in the file"""


def read_answer(path: Path) -> Answer:
    """Read the answer of an analysis. Raises ConfigError if it is not one at all."""
    problems: list[str] = []
    top = Fields(str(path), read_json(path), problems)
    findings, loss = top.listed("findings"), top.listed("loss")
    if "findings" not in top.values:
        top.problem("findings", "is missing; give a list, which may be empty")
    if problems:
        raise ConfigError(problems)
    return Answer(findings_of(findings), loss)


def findings_of(items: Iterable[object]) -> Findings:
    """Return findings as columns, whatever stands in them, in an order that does not depend on that of the items."""
    numbers = {kind: index for index, kind in enumerate(KINDS)}
    rows = []
    for item in items:
        values: dict[str, Any] = item if isinstance(item, dict) else {}
        kind = values.get("kind")
        index = numbers.get(kind, -1) if isinstance(kind, str) else -1
        subject = values.get(RULES[KINDS[index]].subject if index >= 0 else "meter")
        rows.append((
            index, subject if isinstance(subject, str) else "", seconds(values.get("detected_at")),
            number(values.get("score")), number(values.get("estimate_m3_per_day")),
        ))  # fmt: skip
    kinds, subjects, at, score, estimate = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    columns = [np.asarray(values, dtype=np.float64) for values in (at, score, estimate)]
    names = np.asarray(subjects, dtype=np.str_)
    order = np.lexsort((columns[2], -columns[1], names, np.asarray(kinds, dtype=np.int64), columns[0]))
    return Findings(
        kind=np.asarray(kinds, dtype=np.int64)[order],
        subject=tuple(subjects[i] for i in order),
        at=columns[0][order],
        score=columns[1][order],
        estimate_m3_per_day=columns[2][order],
    )
