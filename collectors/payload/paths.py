"""Paths into messages, and topic filters with variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")
VARIABLES = ("{meter}", "{zone}")
Step = str | int
Chain = tuple[Any, ...]
"""The message, the list elements around a reading, and the reading itself, outermost first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A compiled path."""

    steps: tuple[Step, ...]
    in_message: bool
    """it began with `$`, so it starts at the message instead of the reading"""

    def of(self, chain: Chain) -> Any:
        """Follow the path from the reading, or from the message; `msgspec.UNSET` where it leads nowhere."""
        return find(chain[0 if self.in_message else -1], self.steps)

    def nearest(self, chain: Chain) -> Any:
        """Follow the path from the reading, else from the list elements around it, the nearest first."""
        if self.in_message:
            return find(chain[0], self.steps)
        for node in reversed(chain if len(chain) == 1 else chain[1:]):
            found = find(node, self.steps)
            if found is not msgspec.UNSET:
                return found
        return msgspec.UNSET


def compile_path(path: str) -> tuple[Step, ...]:
    """Return the steps of a path such as `$.a.b[0]` or `a.b`. Raises ValueError for anything else."""
    text = path.removeprefix("$").removeprefix(".")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if not found or (found[1] and at and text[at - 1] != "."):
            raise ValueError(f"{path!r} is no path: write $.a.b or a.b[0], and [*] only in `each`")
        steps.append(found[1] or int(found[2]))
        at = found.end()
        if at < len(text) and text[at] == ".":
            at += 1
            if at == len(text):
                raise ValueError(f"{path!r} ends with a dot")
    return tuple(steps)


def compile_place(path: str) -> Place:
    """Return a path with the place that it starts from. Raises ValueError."""
    return Place(compile_path(path), path.startswith("$"))


def compile_each(path: str) -> tuple[tuple[Step, ...], ...]:
    """Return the steps to each list of `$.meters[*].readings[*]`, the outer list first. Raises ValueError."""
    if not path:
        return ()
    if path.count("[*]") > 2:
        raise ValueError(f"{path!r}: at most two lists may stand in each other")
    return tuple(compile_path(part) for part in path.removesuffix("[*]").split("[*]"))


def find(node: Any, steps: Sequence[Step]) -> Any:
    """Follow a path through decoded JSON; `msgspec.UNSET` where it leads nowhere."""
    for step in steps:
        if isinstance(step, str):
            node = node.get(step, msgspec.UNSET) if isinstance(node, dict) else msgspec.UNSET
        else:
            node = node[step] if isinstance(node, list) and step < len(node) else msgspec.UNSET
    return node


def compile_filter(topic_filter: str) -> re.Pattern[str]:
    """Return the expression that topics of a filter match, with a group for each variable. Raises ValueError."""
    levels = topic_filter.split("/")
    parts = []
    for place, level in enumerate(levels):
        if level == "#" and place == len(levels) - 1:
            parts.append(".*")
        elif level in VARIABLES:
            if levels.count(level) > 1:
                raise ValueError(f"{topic_filter!r} needs the level {level} at most once")
            parts.append(f"(?P<{level[1:-1]}>[^/]+)")
        elif level == "+":
            parts.append("[^/]*")
        elif set(level) & set("+#{}"):
            allowed = ", ".join(("+", *VARIABLES))
            raise ValueError(f"{topic_filter!r}: {level!r} is no level: {allowed} and a last # stand alone")
        else:
            parts.append(re.escape(level))
    return re.compile("/".join(parts))


def subscription(topic_filter: str) -> str:
    """Return the filter as a broker wants it."""
    return "/".join("+" if level in VARIABLES else level for level in topic_filter.split("/"))
