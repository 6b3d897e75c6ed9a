"""What befalls a city that is drawn by seed: kinds of faults with their rates and sizes, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from gateway.errors import ConfigError
from gateway.settings import Settings

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Span = tuple[float, float]


class FaultRule(Settings):
    """How often one kind of fault befalls its assets, and how large it is."""

    kind: str
    """a name of `simulators.faults.KINDS`"""
    among: Literal["zones", "mains", "regulators", "stations", "supplies", "users", "homes", "businesses", "cards",
                   "senders", "idle", "all"]  # fmt: skip
    """which assets: zones with a supply meter, levels above them, regulators, all stations; of the meters those that
    use gas, homes, others, IC-card meters, those that send by themselves, those without an open account, or all"""
    a_year: float = Field(ge=0.0)
    """mean number for each such asset in a year"""
    at_least: int = Field(default=0, ge=0)
    """draw at least so many in a dataset of any length"""
    size: Span = (0.0, 0.0)
    """lowest and highest size, in the unit of the kind"""
    size_of: Literal["unit", "percent_of_flow", "mean_use"] = "unit"
    """the unit of the kind, per cent of the mean flow of the zone, or the customer's mean use in an hour"""
    law: Literal["even", "log"] = "even"
    """how sizes spread between the two"""
    ramp_days: Span = (0.0, 0.0)
    """time in which it grows to its size"""
    ends: Share = 0.0
    """share that ends by itself or is repaired"""
    lasts_days: Span = (5.0, 60.0)
    """how long those last that end"""
    details: tuple[str, ...] = ()
    """what else the kind wants to know, drawn evenly"""


class Preset(Settings):
    """One kind of examination."""

    about: str
    mix: str
    """mix of customers"""
    prompt_zones: Share
    """share of the regulator zones whose meters all report within minutes"""
    poor_zones: Share
    """share of the zones whose readings come late, seldom or not at all; all other zones are mixed"""
    unmetered_zones: Share
    """share of the zones without a supply meter"""
    exchanged_a_year: Share
    exchanges_recorded: Share
    """share of the meter exchanges of which the company knows"""
    rolling_over: Share = 0.0
    """share of the registers that stand less than a year of usual use before they roll over"""
    fault: tuple[FaultRule, ...] = ()


PRESETS = ("exam", "field", "leaks", "thefts", "clean")


@cache
def preset(name: str) -> Preset:
    """Return a preset by its name. Raises ConfigError if there is none."""
    if name not in PRESETS:
        raise ConfigError([f"there is no preset {name!r}: use one of {', '.join(PRESETS)}"])
    text = resources.files("simulators.dataset").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    try:
        return Preset.model_validate(tomllib.loads(text))
    except ValidationError as error:
        problems = [f"preset {name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(problems) from error
