"""Figures of the bank of hypotheses: prior rates, and how well things are known."""

from __future__ import annotations

from dataclasses import dataclass, field

from alarms.analysis.noise import NoiseConfig

RECENT_D = 3
"""a zone is judged if one of so many last days is known"""


@dataclass(frozen=True, slots=True)
class BankConfig:
    """Prior rates per day, and how well things are known."""

    noise: NoiseConfig = field(default_factory=NoiseConfig)
    leak_rate: float = 0.5 / 365.0
    """of one zone"""
    mend_rate: float = 1.0 / 150.0
    """of a leak that lasts"""
    leak_before: float = 0.03
    """chance that a zone leaks since before anything is known"""
    leak_sizes: tuple[float, ...] = (0.005, 0.02, 0.08, 0.3)
    """typical sizes, as shares of the zone's supply, each as likely"""
    growing: float = 0.3
    """share of leaks that grow for some time"""
    grows_d: tuple[int, ...] = (7, 20, 60)
    """days for which they do, each as likely"""
    grows_least_d: int = 5
    """known days that tell growth from a step"""
    stop_rate: float = 0.003 / 365.0
    """of one meter; about one in five hundred is found stopped when homes are visited"""
    theft_rate: float = 0.001 / 365.0
    """of one home"""
    slow_rate: float = 0.002 / 365.0
    """of one meter beginning to count a steady part of what passes it"""
    then_rests: float = 0.1
    """share of the meters that counted too little before they came to rest: that is two changes"""
    most_slip: float = 0.7
    """share of the use that a slow meter misses at the most; more is theft"""
    business_theft_factor: float = 5.0
    """a business has more to gain"""
    since_before: float = 0.0002
    """share of the meters that count too little since before anything is known"""
    less_use_rate: float = 0.004
    """of a customer honestly beginning to use less"""
    business_less_factor: float = 5.0
    """a business does so more often"""
    less_use_d: float = 30.0
    """how long that usually lasts"""
    lasting_share: float = 0.1
    """of such changes last for good"""
    before_temper: float = 0.6
    """by how much less yet the zone's word counts there: what is alike every day has many causes"""
    before_days: int = 30
    """days that tell of what is missing since before anything is known"""
    before_sigma: float = 0.4
    """of what is missing since before anything is known, as a share of what is counted, about as much as that"""
    size_sigma: float = 0.25
    """of what is missing, as a share of what the deficit makes it"""
    off_sigma: float = 0.3
    """of what is missing on days off, as a share of what the days around make it"""
    least_off_days: int = 2
    """days off that tell of a register that counts nothing on some days"""
    beyond_sigma: float = 0.4
    """of what is expected only because peers use more than ever before since the meter is known, as a share of it"""
    least_missing: float = 0.2
    """share of the expected use that must be missing, to speak of theft"""
    least_size: float = 0.4
    """of what the deficit makes it, that the zone must lose"""
    least_share: float = 0.1
    """of what is counted that is missing besides, to speak of theft since before anything is known"""
    most_share: float = 5.0
    """of what is counted that is missing besides, at the most: a register that counts still less is at rest"""
    least_plain: float = 3.0
    """log likelihood ratio of a deficit from which it is weighed against a leak"""
    least_days: int = 10
    """known days before the first day of anything"""
    recent_d: int = RECENT_D
    """a meter is judged if one of so many last days is known"""
    least_known: float = 0.85
    """share of a zone's expected volume that must be read on a day for it to tell of causes"""
    guess_doubt: float = 2.0
    """by how much less sure it is than it seems what customers use who are not read: they may change for good"""
    temper: float = 0.85
    """by how much less the zone's word counts than its likelihood ratio, as no covariance is quite right"""
    freedom: float = 6.0
    """so many days' worth of belief that the zone's noise is as large as it is taken to be"""
    scale_days: int = 20
    """days at least that tell how large it is"""
    accept: float = 0.5
    """probability that something is wrong from which its likeliest cause is taken for true"""
    likely: float = 0.5
    """probability from which a hypothesis is named without what else may be, and named at all in a zone read in part"""
    match: bool = True
    """False only to show what it is worth: the zone's word about meters is not heard"""
    vacancy: bool = True
    """False only to show what it is worth: a rest is taken to have no honest cause but the rarest"""
    memory: bool = True
    """False only to show what it is worth: days are taken to be independent of each other"""
    shares: bool = True
    """False only to show what it is worth: meters rest or are well, nothing between"""
    suspect: float = 0.05
    """probability from which a hypothesis is named"""
    confirmed_after: float = 0.1
    """share of the time since a case began, by which it must have shown before it is told; 0 believes one day alone"""
    confirmed_most_d: int = 24
    """days that this is at most"""
    most_cases: int = 8
    """in one zone at one time"""
