"""Theft by loss match: a register counts less than before, and the zone loses just what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.backwards import Backwards
from alarms.analysis.bank_config import RECENT_D
from alarms.analysis.city import CityModel
from alarms.analysis.study import HOMES, Study, StudyConfig, ZoneCase
from alarms.detectors.answer import Hit, answer, unknown_unless
from alarms.detectors.growth import readings_shown
from alarms.detectors.of_study import StudyDetector
from gateway.meterdata.series import DAY_US
from gateway.model.finding import Detection


@dataclass(frozen=True, slots=True)
class TheftDetector(StudyDetector):
    """Judges customer meters in zones that have a supply meter, and registers that run backwards wherever they are.

    A register at rest is a theft only where that is the likelier cause, which is at a business; at a home it is far
    more often a stopped meter (`NonMovingDetector`).
    """

    condition: ClassVar[str] = "theft"
    turned_sure: ClassVar[float] = 0.95
    """probability where a register runs backwards: now and then a meter is only mounted the wrong way round"""

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        result = known.balance
        seen = known_meters(known) & zone_known(known)
        hits = hits_of(self.city, known, self.config, self.condition)
        hits += [turned_hit(meter, self.turned_sure) for meter in known.turned]
        return answer(self.condition, result.tree.customers, unknown_unless(seen), int(result.bounds[-1]), hits)


def causes(city: CityModel, known: Study, found: ZoneCase, config: StudyConfig) -> dict[str, float]:
    """Return the shares of a case's probability by kind, the likeliest first.

    A register at rest is stopped or bypassed; one that counts a steady part of what it should is slow or tampered
    with; any other deficit is theft.
    """
    name, bank = known.balance.tree.customers[found.customer], config.bank
    home = city.network.meters[name].customer_class in HOMES
    rates = {"theft": bank.theft_rate * (1.0 if home else bank.business_theft_factor) * np.exp(found.case.tampered)}
    if found.case.at_rest:
        rates["non_moving"] = bank.stop_rate
    elif found.case.form == "share" and found.case.missing_share <= bank.most_slip:
        rates["slow"] = bank.slow_rate
    whole = sum(rates.values())
    return {kind: rates[kind] / whole for kind in sorted(rates, key=lambda kind: -rates[kind])}


def hits_of(city: CityModel, known: Study, config: StudyConfig, condition: str) -> list[Hit]:
    """Return what is said of the meters of whose cases a condition is the likeliest cause."""
    found = [(case, causes(city, known, case, config)) for case in known.cases if case.customer >= 0]
    turned = {meter.asset for meter in known.turned}
    return [
        meter_hit(known, case, shares)
        for case, shares in found
        if next(iter(shares)) == condition and known.balance.tree.customers[case.customer] not in turned
    ]


def turned_hit(meter: Backwards, sure: float) -> Hit:
    """Return what is said of a meter whose register runs backwards: what it lost was used, and taken back once more."""
    lost = 2.0 * meter.fallen_m3
    size = lost * DAY_US / max(meter.until_us - meter.since_us, DAY_US)
    evidence = {
        "backwards_m3": round(meter.fallen_m3, 3),
        "backwards_times": meter.times,
        **readings_shown(meter.time, meter.register_m3),
        "alternatives": {"theft": sure, "nothing": round(1.0 - sure, 4)},
    }
    return Hit(meter.asset, sure, meter.since_us, lost, size, evidence)


def meter_hit(known: Study, found: ZoneCase, shares: dict[str, float]) -> Hit:
    """Return what is said of a meter; `shares` of its probability belong to kinds of findings."""
    case, result = found.case, known.balance
    chances = {
        **{kind: case.probability * share for kind, share in shares.items()},
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
    """Return of which customers one of the last days is known."""
    return np.asarray(np.isfinite(known.balance.use[-RECENT_D:]).any(axis=0))


def zone_known(known: Study) -> NDArray[np.bool_]:
    """Return which customers hang on a zone that was judged."""
    # the last of these stands for customers without a measured zone, whose home is -1
    return np.asarray(np.append(known.judged, np.False_)[known.balance.tree.home])
