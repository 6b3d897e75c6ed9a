"""The examination: how good an answer of `gasgate analyse` is, measured against what really happened.

Definitions stand in docs/examination.md; the limits and times are data in `rules`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.scoring.answer import Answer, read_answer
from gateway.scoring.kinds import kind_figures, rate
from gateway.scoring.leaks import leak_figures
from gateway.scoring.loss import loss_figures
from gateway.scoring.matching import match
from gateway.scoring.ranking import inspection, theft_ranks, unmetered_thefts
from gateway.scoring.rules import KINDS
from gateway.scoring.truth import Truth, read_truth

__all__ = ["rate_answer", "score"]


def score(dataset: Path, answer: Path) -> dict[str, Any]:
    """Return all figures of an answer to a dataset. Raises ConfigError if one of them cannot be read."""
    return rate_answer(read_truth(dataset), read_answer(answer))


def rate_answer(truth: Truth, answer: Answer) -> dict[str, Any]:
    """Return all figures of an answer, ready for JSON: shares, days, percentage points; None for nothing."""
    findings = answer.findings
    matching = match(truth, findings)
    rated = rate(truth, findings, matching)
    kinds = {kind: kind_figures(rated, kind) for kind in KINDS}
    qualities = [figures["quality"] for figures in kinds.values() if figures["quality"] is not None]
    return {
        "dataset": truth.name,
        "years": round(truth.years, 4),
        "zones": len(truth.tree.measured),
        "customer_meters": len(truth.tree.homes),
        "findings": len(findings),
        "invalid": int(matching.invalid.sum()),
        "quality": round(sum(qualities) / len(qualities), 1) if qualities else 0.0,
        "kinds": kinds,
        "leak_sizes": leak_figures(rated),
        "theft_rank": theft_ranks(truth, findings, matching),
        "theft_without_zone_meter": unmetered_thefts(truth, findings, matching),
        "inspection": inspection(findings, matching),
        "loss": loss_figures(truth, answer.loss),
    }
