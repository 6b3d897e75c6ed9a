"""Builds a `Detection` from the cases that a detector found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.finding import Detection, Verdict


@dataclass(frozen=True, slots=True)
class Hit:
    """What is said of one abnormal asset."""

    asset: str
    score: float
    onset_us: int
    value: float
    estimate_m3_per_day: float
    evidence: Mapping[str, Any] = field(default_factory=dict)


def answer(
    condition: str, assets: Sequence[str], verdict: NDArray[np.int8], at_us: int, hits: Sequence[Hit]
) -> Detection:
    """Return the detection: `verdict` of each asset, overruled by the hits."""
    row = {name: index for index, name in enumerate(assets)} if hits else {}
    count = len(assets)
    final = verdict.astype(np.int8).copy()
    score, value = np.zeros(count), np.full(count, np.nan)
    onset, size = np.full(count, at_us, dtype=np.int64), np.full(count, np.nan)
    nothing: Mapping[str, Any] = {}
    evidence = [nothing] * count
    for hit in hits:
        at = row[hit.asset]
        final[at] = Verdict.ABNORMAL
        score[at], onset[at], value[at], size[at] = hit.score, hit.onset_us, hit.value, hit.estimate_m3_per_day
        evidence[at] = hit.evidence
    return Detection(
        condition=condition,
        assets=tuple(assets),
        verdict=final,
        score=score,
        at=np.full(count, at_us, dtype=np.int64),
        value=value,
        onset=onset,
        estimate_m3_per_day=size,
        evidence=tuple(evidence),
    )


def unknown_unless(known: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return NORMAL where something is known, UNKNOWN elsewhere."""
    return np.where(known, int(Verdict.NORMAL), int(Verdict.UNKNOWN)).astype(np.int8)
