"""The daily pass: everything that is concluded from the readings known at one moment. Pure; live and offline alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alarms.analysis.hourly import HourlyCity
from alarms.analysis.hourly_known import known_cases
from alarms.analysis.loss_rows import loss_rows
from alarms.analysis.study import study
from alarms.analysis.whole import UnitSums, sums_of, whole
from alarms.city_data import CityData
from alarms.detectors.accounts import UnauthorisedDetector
from alarms.detectors.balance import BalanceDetector
from alarms.detectors.closed_valve import ClosedValveDetector
from alarms.detectors.ic_card import CreditDetector
from alarms.detectors.meter_rows import MeterRows
from alarms.detectors.non_moving import NonMovingDetector
from alarms.detectors.silent import SilentDetector
from alarms.detectors.slow import SlowDetector
from alarms.detectors.supply_drift import SupplyDriftDetector
from alarms.detectors.theft import TheftDetector
from alarms.hourly_data import hourly_city
from alarms.hourly_passes import HourlyPasses
from alarms.windows import KeptWindows
from gateway.meterdata.series import DAY_US, Flags
from gateway.model.finding import Detection, LossRow
from gateway.model.reading import from_us

LOOKBACK_DAYS = 240
CERTAIN_DAYS = 64
"""so far back the detectors of certain evidence look at readings"""


@dataclass(frozen=True, slots=True, eq=False)
class PassResult:
    """What a pass concluded from what was known at `until_us`."""

    until_us: int
    loss: tuple[LossRow, ...]
    detections: tuple[Detection, ...]
    sums: UnitSums | None = None
    """of a part of a city, what it adds to the balances above it"""


class Passes:
    """Passes over a city, one after the other: what a pass brought to the grid serves the next one.

    Each result depends on nothing but the rows received by its moment, whatever passes went before; one between two
    daily passes on what the last daily one says of meters as well.
    """

    def __init__(
        self,
        city: CityData,
        *,
        lookback_days: int = LOOKBACK_DAYS,
        loss_days: int | None = None,
        hourly: HourlyCity | None = None,
        units: Sequence[str] = (),
    ) -> None:
        """Look at nothing yet. Only the loss of the last `loss_days` gas days is told; of the lookback if None.

        Leaks are looked for by hours as well where `hourly` tells them. A part of a large city names its topmost zones
        in `units`: only of them and what is below loss is told.
        """
        network = city.model.network
        self._units = tuple(units)
        self._told = frozenset(zone for unit in units for zone in network.below(unit)) or frozenset(network.zones)
        self._city, self._loss_days = city, loss_days or lookback_days
        self._windows = KeptWindows(city, lookback_days)
        self._hourly = HourlyPasses(city, hourly)

    def at(self, until_us: int, parts: Sequence[UnitSums] = ()) -> PassResult:
        """Judge the gas days that have ended by a moment, not before the last one, from rows received by then.

        The balance of every day in the lookback is made anew, so late readings correct it; the detectors judge the
        last day. Without a whole gas day of readings the result is empty. `parts` is what the parts of a large city add
        to the balances above them, where that is what this city stands for.
        """
        city = self._city
        windows, gaps = self._windows.at(until_us)
        if not windows:
            return PassResult(until_us, (), ())
        marks = city.marks.known(until_us)
        known = study(city.model, windows, from_us(until_us), city.config, gaps, marks=marks)
        if not known.balance.days:
            return PassResult(until_us, (), ())
        leak = BalanceDetector(city.model, city.config).judge(known)
        detections = (
            *self._hourly.with_day(leak, known_cases(known), until_us),
            NonMovingDetector(city.model, city.config).judge(known),
            TheftDetector(city.model, city.config).judge(known),
            SlowDetector(city.model, city.config).judge(known),
            SupplyDriftDetector(city.model, city.config).judge(known),
            *certain(city, until_us),
        )
        elsewhere, result = city.model.elsewhere, known.balance
        if elsewhere:
            result = whole(result, parts, elsewhere, city.model.temperature)
        rows = loss_rows(result, city.config.loss, self._loss_days)
        loss = tuple(row for row in rows if row.zone in self._told)
        sums = sums_of(known.balance, self._units) if self._units else None
        return PassResult(until_us, loss, detections, sums)

    def between(self, until_us: int) -> PassResult:
        """Look, between two daily passes, for what cannot wait: leaks by hours, and what is certain and quick to see.

        Zones without a leak are UNKNOWN. Cards wait for the day.
        """
        return PassResult(until_us, (), (*self._hourly.alone(until_us), *quick(self._city, until_us)))


def daily_pass(city: CityData, until_us: int, *, lookback_days: int = LOOKBACK_DAYS) -> PassResult:
    """Make one pass, as `Passes` does."""
    hourly = hourly_city(city, until_us, until_us)
    return Passes(city, lookback_days=lookback_days, hourly=hourly).at(until_us)


def certain(city: CityData, until_us: int) -> tuple[Detection, ...]:
    """Judge what single readings prove, from rows received by a moment."""
    card = CreditDetector(city.model).judge(_known(city, until_us, city.rows.card), from_us(until_us))
    return (*quick(city, until_us), card)


def quick(city: CityData, until_us: int) -> tuple[Detection, ...]:
    """Judge what single readings prove without a card: use on shut accounts and through shut valves, and silence."""
    now, rows = from_us(until_us), city.rows
    return (
        UnauthorisedDetector(city.model).judge(_known(city, until_us, rows.accounts.ever_shut), now),
        ClosedValveDetector(city.model).judge(_known(city, until_us, rows.closed), now),
        SilentDetector(city.model).judge(_known(city, until_us, np.zeros(len(rows.assets), dtype=np.bool_)), now),
    )


def _known(city: CityData, until_us: int, meters: Flags) -> MeterRows:
    return city.rows.known(until_us, until_us - CERTAIN_DAYS * DAY_US, meters)
