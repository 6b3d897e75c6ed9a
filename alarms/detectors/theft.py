"""Theft by loss match: a register counts less than before, and the zone loses just what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import CityModel
from alarms.analysis.study import HOMES, Study, StudyConfig, ZoneCase, study
from alarms.detectors.answer import Hit, answer, unknown_unless
from alarms.detectors.balance import NEEDS
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window


@dataclass(frozen=True, slots=True)
class TheftDetector:
    """Judges customer meters in zones that have a supply meter.

    A register at rest is a theft only where that is the likelier cause, which is at a business; at a home it is far
    more often a stopped meter (`NonMovingDetector`).
    """

    city: CityModel
    config: StudyConfig = field(default_factory=StudyConfig)
    condition: ClassVar[str] = "theft"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        return NEEDS

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        return self.judge(study(self.city, windows, now, self.config))

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        result = known.balance
        seen = known_meters(known) & zone_known(known)
        hits = [
            meter_hit(known, found, self.condition, share)
            for found in known.cases
            if found.customer >= 0 and (share := theft_share(self.city, known, found, self.config)) >= 0.5
        ]
        return answer(self.condition, result.tree.customers, unknown_unless(seen), int(result.bounds[-1]), hits)


def theft_share(city: CityModel, known: Study, found: ZoneCase, config: StudyConfig) -> float:
    """Return how much of a case's probability is theft; the rest is a stopped meter."""
    if not found.case.at_rest:
        return 1.0
    name = known.balance.tree.customers[found.customer]
    home = city.network.meters[name].customer_class in HOMES
    theft = config.bank.theft_rate * (1.0 if home else config.bank.business_theft_factor)
    return theft / (theft + config.bank.stop_rate)


def meter_hit(known: Study, found: ZoneCase, condition: str, share: float) -> Hit:
    """Return what is said of a meter; `share` of its probability is for `condition`."""
    case, result = found.case, known.balance
    other = "non_moving" if condition == "theft" else "theft"
    chances = {
        condition: case.probability * share,
        other: case.probability * (1.0 - share),
        "leak": case.leak,
        "another meter": case.others,
        "nothing": case.nothing,
    }
    return Hit(
        asset=result.tree.customers[found.customer],
        score=case.probability,
        onset_us=int(result.bounds[case.first_day]),
        value=case.size_m3_per_day,
        estimate_m3_per_day=case.size_m3_per_day,
        evidence={**known.curves(found), "alternatives": {name: round(p, 4) for name, p in chances.items()}},
    )


def known_meters(known: Study) -> NDArray[np.bool_]:
    """Return which customers' last day is known."""
    return np.asarray(np.isfinite(known.balance.use[-1:]).any(axis=0))


def zone_known(known: Study) -> NDArray[np.bool_]:
    """Return which customers hang on a zone whose last day can be assessed."""
    home = known.balance.tree.home
    # the last of these stands for customers without a measured zone, whose home is -1
    last_day = np.append(known.assessable[-1:].any(axis=0), np.False_)
    return np.asarray(last_day[home])
