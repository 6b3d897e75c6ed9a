"""What the hours of a city add to its passes: fast leaks, where they may be, and leaks inside homes."""

from __future__ import annotations

from collections.abc import Sequence

from alarms.analysis.hourly import HourlyCity, HourlyHistory
from alarms.analysis.hourly_known import KnownCase
from alarms.city_data import CityData
from alarms.detectors.hourly_balance import HourlyBalanceDetector
from alarms.detectors.inside_leak import InsideLeakDetector
from alarms.detectors.joint_leak import abnormal_only, joined, running_alike
from alarms.detectors.location import Locator
from gateway.model.finding import Detection


class HourlyPasses:
    """Looks for leaks by hours; without hours it only says where those of the daily balance may be."""

    def __init__(self, city: CityData, hours: HourlyCity | None) -> None:
        """Look at nothing yet."""
        self._hours = hours
        self._history = None if hours is None else HourlyHistory(hours)
        self._locator = Locator(city.model.network, hours)
        self._cases: tuple[KnownCase, ...] = ()

    def with_day(self, daily: Detection, cases: Sequence[KnownCase], until_us: int) -> tuple[Detection, ...]:
        """Return the leaks of the daily and the hourly balances as one detection, and leaks inside homes.

        What the day says of meters that count too little, `cases`, holds until the next one.
        """
        self._cases = tuple(cases)
        if self._hours is None or self._history is None:
            return (self._locator.located(running_alike(daily, None, None), None, until_us),)
        hours = self._history.at(until_us)
        leaks = joined(daily, HourlyBalanceDetector(self._hours).judge(hours, until_us, self._cases))
        leaks = running_alike(leaks, hours, self._hours.tree)
        return self._locator.located(leaks, hours, until_us), InsideLeakDetector(self._hours).judge(until_us)

    def alone(self, until_us: int) -> tuple[Detection, ...]:
        """Return the leaks of the hourly balances; zones in which there is none are UNKNOWN."""
        if self._hours is None or self._history is None:
            return ()
        hours = self._history.at(until_us)
        leaks = abnormal_only(HourlyBalanceDetector(self._hours).judge(hours, until_us, self._cases))
        leaks = running_alike(leaks, hours, self._hours.tree)
        return (self._locator.located(leaks, hours, until_us),)
