"""Figures of the balance."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.finding import HIGH_RATE


@dataclass(frozen=True, slots=True)
class LossConfig:
    """What may be said of a loss, and how good meters are. Shares, unless the name says otherwise."""

    coverage_limit: float = 0.5
    """of the expected volume that must be known from readings; below it a day is not assessable"""
    sigma_limit: float = 0.05
    """standard uncertainty of the loss rate beyond which a day is not assessable"""
    day_sigma_limit: float = 0.1
    """the same of a day's own readings, without what the days around it tell"""
    high_rate: float = HIGH_RATE
    meter_gain_sigma: float = 0.012
    supply_gain_sigma: float = 0.005
    unread_sigma: float = 1.0
    """of the volume assumed for a meter of which nothing is known but its class"""
    unread_lasting: float = 0.35
    """of the uncertainty of unread customers, what is wrong alike on many days in a row"""
    expected_sigma: float = 0.5
    """of what all unread customers of a zone are expected to use together"""
    meters_sigma: float = 0.012
    """of a zone's supply, by which read meters may seem to use more than came"""
    least_loss: float = 0.005
    """of a zone's supply that is lost at the least, where nothing is known"""
