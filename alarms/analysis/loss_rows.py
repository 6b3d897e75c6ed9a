"""What is reported of each zone's loss: rate, uncertainty, verdict, and the terms it was told from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.daily_loss import likely_rates
from alarms.analysis.lasting import MONTH_D, lasting_error
from alarms.analysis.loss import Balance
from alarms.analysis.loss_config import LossConfig
from gateway.model.finding import LossRow, LossVerdict

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Losses as they are reported, m3 (d, z)."""

    loss: Floats
    sigma: Floats
    steady: Floats
    raw: Floats
    """told by the day's own readings, and its uncertainty in `alone`"""
    alone: Floats
    lasting: Floats
    """of what was taken out of `raw`, what is wrong alike every day"""
    between_sigma: Floats
    customers: NDArray[np.int64]
    """of each zone, (z,)"""
    passes_on: NDArray[np.bool_]
    """True where a zone's own supply meter feeds measured zones below it, (z,)"""


def loss_rows(result: Balance, config: LossConfig | None = None, last_days: int | None = None) -> list[LossRow]:
    """Return the loss of each zone and gas day, with what may be said of it; of the last `last_days` days only.

    The loss of a day is told from the days around it as well, within the error that its own readings leave (see
    `daily_loss`), is lifted by what zones that would give gas back show to be wrong every day (see `lasting`), and
    `metered_m3` is what fits it.
    """
    config = config or LossConfig()
    told = _told(result, config, last_days)
    first = 0 if last_days is None else max(len(result.days) - last_days, 0)
    return [
        _row(result, told, config, day, zone)
        for day in range(first, len(result.days))
        for zone in range(len(result.tree.zones))
    ]


def _told(result: Balance, config: LossConfig, last_days: int | None) -> _Told:
    loss = result.loss
    balanced = np.isfinite(loss) & (result.supply > 0)
    supply = np.where(balanced, result.supply, 1.0)
    rate = np.where(balanced, loss / supply, np.nan)
    rates = likely_rates(rate, np.where(balanced, result.noise_variance / supply**2, np.nan), last_days)
    unread = config.unread_lasting**2 * result.terms.unread
    tree = result.tree
    passes_on = tree.measured & (np.asarray((tree.own_supply < 0).sum(axis=1)) > 0)
    doubt = np.where(balanced, (unread + result.noise_variance / MONTH_D) / supply**2, np.nan)
    common, own = (
        np.sqrt(_usual(np.where(balanced, one / supply**2, np.nan)))
        for one in (result.terms.temperature, result.terms.gain)
    )
    wrong = lasting_error(rate, doubt, common, own, tree.measured & ~passes_on)
    alike = result.steady_variance * wrong.left + unread
    variance, steady = rates.variance * supply**2 + alike, rates.lasting * supply**2 + alike
    lasting = wrong.error * supply
    return _Told(
        loss=rates.rate * supply - lasting,
        sigma=np.sqrt(variance),
        steady=np.sqrt(steady),
        raw=loss,
        alone=result.sigma,
        lasting=lasting,
        between_sigma=result.own_sigma,
        customers=result.customers,
        passes_on=passes_on,
    )


def _usual(share: Floats) -> Floats:
    """Return the median of each zone's days, NaN where none is known, (z,)."""
    some = np.isfinite(share).any(axis=0)
    return np.where(some, np.nanmedian(np.where(some, share, 0.0), axis=0), np.nan)


def _row(result: Balance, told: _Told, config: LossConfig, day: int, zone: int) -> LossRow:
    supply, loss = float(result.supply[day, zone]), float(told.loss[day, zone])
    share = float(told.sigma[day, zone]) / supply if supply > 0 else 0.0
    alone = float(told.alone[day, zone]) / supply if supply > 0 else 0.0
    reason = _reason(supply, float(result.volume_coverage[day, zone]), (alone, share), config)
    gained = float(result.gained[day, zone])
    row = LossRow(
        zone=result.tree.zones[zone],
        gas_day=result.days[day],
        supply_m3=_known(supply),
        metered_m3=float(result.metered[day, zone]),
        linepack_m3=gained,
        loss_m3=None,
        loss_rate=None,
        sigma=None,
        coverage=float(result.coverage[day, zone]),
        verdict=LossVerdict.NOT_ASSESSABLE,
        reason="no customer is known" if told.customers[zone] == 0 else reason,
    )
    if row.reason:
        return row
    rate = loss / supply
    return replace(
        row,
        metered_m3=supply - gained - loss,
        loss_m3=loss,
        loss_rate=rate,
        sigma=share,
        verdict=LossVerdict.HIGH if rate > max(config.high_rate, 2.0 * share) else LossVerdict.NORMAL,
        steady_sigma=float(told.steady[day, zone]) / supply,
        between_m3=_known(result.own_loss[day, zone]) if told.passes_on[zone] else None,
        between_sigma_m3=_known(told.between_sigma[day, zone]) if told.passes_on[zone] else None,
        terms=_terms(result, told, day, zone),
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _terms(result: Balance, told: _Told, day: int, zone: int) -> dict[str, tuple[float, float]]:
    """Return what supply less the registers' count is made of; the sum of all is exactly that.

    What the days around say of this one is shared between the two causes whose error it takes away, and so is what
    is wrong alike every day.
    """
    variances = result.terms
    lasting, temperature, gain = (
        float(one[day, zone]) for one in (told.lasting, variances.temperature, variances.gain)
    )
    of_gain = lasting * gain / (temperature + gain) if temperature + gain > 0 else lasting
    skew, unread = float(variances.skew[day, zone]), float(variances.unread[day, zone])
    loss = float(told.loss[day, zone])
    moved = float(told.raw[day, zone]) - loss - lasting
    of_unread = moved * unread / (skew + unread) if skew + unread > 0 else 0.0
    guessed, counted = float(result.unread[day, zone]), float(result.counted[day, zone])
    warmed = float(result.metered[day, zone]) - guessed - counted
    warm = float(variances.temperature[day, zone] + variances.weather[day, zone])
    return {
        "temperature": (warmed + lasting - of_gain, float(np.sqrt(warm))),
        "unread": (guessed + of_unread, float(np.sqrt(unread))),
        "skew": (moved - of_unread, float(np.sqrt(skew))),
        "linepack": (float(result.gained[day, zone]), float(np.sqrt(variances.linepack[day, zone]))),
        "meter_gain": (of_gain, float(np.sqrt(gain))),
        "rest": (loss, float(told.sigma[day, zone])),
    }


def _reason(supply: float, volume_coverage: float, sigmas: tuple[float, float], config: LossConfig) -> str:
    """Say why a day cannot be assessed; `sigmas` are what its own readings leave open, and what the days around do."""
    if not np.isfinite(supply):
        return "supply meter was not read"
    if supply <= 0:
        return "no gas was supplied"
    if volume_coverage < config.coverage_limit:
        return f"only {100 * volume_coverage:.0f} % of the expected volume was read"
    for sigma, limit in zip(sigmas, (config.day_sigma_limit, config.sigma_limit), strict=True):
        if sigma > limit:
            return f"the loss rate is known to {100 * sigma:.1f} points only"
    return ""
