"""Words for what analysis says: terms of a loss, reasons, causes, results of visits, and the facts of evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api.pages.parts import words
from api.services.format import percent, significant
from api.services.precision import Precision
from api.text import Texts, mark

TERMS = {
    "meter_gain": mark("Gain of meters"),
    "temperature": mark("Temperature and pressure"),
    "skew": mark("Reading times"),
    "unread": mark("Unread meters"),
    "linepack": mark("Gas in the pipes"),
    "rest": mark("Rest: leaks, theft, stopped meters"),
    "whole": mark("Supply less registers"),
}
CAUSES = {
    "repaired": mark("repaired"),
    "exchanged": mark("meter exchanged"),
    "honest": mark("inspected: honest"),
    "event": mark("explained by an event"),
    "other": mark("settled under another name"),
    "gone": mark("no longer seen"),
}
RESULTS = {
    "confirmed": mark("found"),
    "meter_fault": mark("meter fault"),
    "honest": mark("honest"),
    "not_reachable": mark("nobody reached"),
    "repaired": mark("repaired"),
}
REASONS = {
    "supply meter was not read": mark("supply meter was not read"),
    "no gas was supplied": mark("no gas was supplied"),
    "no customer is known": mark("no customer is known"),
    "only {n} % of the expected volume was read": mark("only {n} % of the expected volume was read"),
    "the loss rate is known to {n} points only": mark("the loss rate is known to {n} points only"),
}
FACTS = {
    "tampered_on": mark("Tampering reported by the meter on"),
    "rests_at_night_since": mark("Counts by day only since"),
    "backwards_m3": mark("Counted backwards, m³"),
    "backwards_times": mark("Times that the register ran backwards"),
    "shut_since": mark("Account closed since"),
    "counted_m3": mark("Counted since, m³"),
    "counted_closed_m3": mark("Counted while closed, m³"),
    "readings_closed": mark("Readings with a closed valve"),
    "missing_m3": mark("Missing credit, m³"),
    "silent_days": mark("Days without a reading"),
    "chance_of_such_a_gap": mark("Chance of such a gap"),
    "neighbours_heard": mark("Neighbours heard"),
    "neighbours_silent_alike": mark("Neighbours silent alike"),
    "size_m3h": mark("Size, m³/h"),
    "likeliest_meter": mark("Likeliest meter"),
    "before_m3": mark("Register before, m³"),
    "after_m3": mark("Register after, m³"),
}
LOCATED_BY = {
    "pressure": mark("Ranked by what pressures in the zone tell."),
    "length": mark("Ranked by length only: no pressure in the zone tells more."),
}
METER_KINDS = {
    "ic_card": mark("IC-card meter"),
    "remote": mark("Remotely read meter"),
    "corrector": mark("Volume corrector"),
}
CLASSES = {
    "residential": mark("Home"),
    "commercial": mark("Commerce"),
    "industrial": mark("Industry"),
    "public": mark("Public building"),
    "heating": mark("Heating"),
    "cng": mark("Filling station"),
}
ACCOUNTS = {"open": mark("in use"), "closed": mark("closed"), "never_opened": mark("never opened")}
MOST_CERTAIN = 0.99
SMALLEST = 0.0001
"""chances below this are only said to be smaller"""
_FIGURE = re.compile(r"\d+(?:\.\d+)?|…")


def reason(text: str, tr: Texts) -> str:
    """Return why a day cannot be assessed, in this language; a reason that is not known stays as it is."""
    figures = _FIGURE.findall(text)
    known = REASONS.get(_FIGURE.sub("{n}", text))
    if known is None:
        return text
    return tr(known, n=figures[0]) if figures else tr(known)


def state(status: str, cause: str, tr: Texts) -> str:
    """Return the state of a finding, with the cause if it is over."""
    name = tr(words.STATUSES.get(status, status))
    return f"{name}: {tr(CAUSES[cause])}" if cause in CAUSES and status == "ended" else name


def alternatives(facts: Mapping[str, Any], tr: Texts) -> list[tuple[str, float]]:
    """Return the explanations that were compared with their share, the likeliest first; empty if none are told."""
    found = facts.get("alternatives")
    if not isinstance(found, dict):
        return []
    shares = [
        (tr(words.HYPOTHESES.get(str(key), str(key).replace("_", " "))), float(value))
        for key, value in found.items()
        if isinstance(value, int | float) and 0 <= value <= 1
    ]
    return sorted(shares, key=lambda pair: -pair[1])


def precision(one: Precision, tr: Texts) -> str:
    """Return how often suspicions of one kind were right, with the 95 % interval; of few it says so."""
    name = tr(words.FINDINGS.get(one.kind, one.kind))
    if one.share is None:
        return tr("{kind}: {right} of {looked}, too few to tell", kind=name, right=one.right, looked=one.looked)
    return tr(
        "{kind}: {right} of {looked}, {share} % ({low}–{high} %)",
        kind=name,
        right=one.right,
        looked=one.looked,
        share=percent(one.share, 0),
        low=percent(one.low, 0),
        high=percent(one.high, 0),
    )


def certainty(score: float) -> str:
    """Return a score in per cent, never as certain: the explanations that were compared are not all there are."""
    return "> 99" if score >= MOST_CERTAIN else percent(score, 0)


def single_facts(facts: Mapping[str, Any], tr: Texts) -> list[tuple[str, str]]:
    """Return the single facts of evidence that have a name for people."""
    return [(tr(name), _value(facts[key])) for key, name in FACTS.items() if facts.get(key) is not None]


def _value(value: Any) -> str:
    if isinstance(value, float) and 0 < value < SMALLEST:
        return f"< {SMALLEST}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value}" if isinstance(value, int) or abs(value) < 0.01 else significant(value)
    return str(value).replace("T", " ")[:40]
