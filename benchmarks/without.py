"""Analyses a dataset with one part of the bank of hypotheses switched off, to show what that part is worth."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from alarms.analysis.bank_config import BankConfig
from alarms.analysis.study import IN_TURN, StudyConfig
from gateway.analyse import analyse

PARTS = {
    "match": "the zone's word about meters: whether it loses just what a register misses",
    "vacancy": "how usual rests are, and how long they last",
    "memory": "what days have in common: drift, reading times, gains",
    "shares": "everything between a meter at rest and a sound one",
}


def config_without(part: str) -> StudyConfig:
    """Return how passes judge but for one of `PARTS`."""
    if part not in PARTS:
        raise SystemExit(f"--without {part}: use one of {', '.join(PARTS)}")
    switched_off: dict[str, Any] = {part: False}
    return replace(IN_TURN, bank=replace(BankConfig(), **switched_off))


if __name__ == "__main__":
    analyse(Path(sys.argv[2]), Path(sys.argv[3]), config=config_without(sys.argv[1]))
