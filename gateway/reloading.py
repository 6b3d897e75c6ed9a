"""Takes a changed configuration while the gateway runs: checked, recorded as a revision, awaited in every role."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.checking import errors_of, examine, warnings_in
from gateway.errors import ConfigError, GatewayError, RefusedError
from gateway.runtime.clock import make_clock
from gateway.snapshot import Snapshot, fixed_values, take_snapshot
from gateway.store import revision_rows, view_rows
from gateway.store.revision_rows import Revision
from gateway.store.state import State

TAKEN_WITHIN_S = 60.0
ALIVE_S = 15.0
"""a role that was not heard of for longer does not run"""
_LOCK_WITHIN_S = 60.0
_LOOK_S = 0.1
_ANSWERS = "web"
"""the role that may be waiting for this outcome; it starts anew once it has handed it on"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reload."""

    outcome: str
    """reloaded, unchanged, refused (nothing has changed) or failed (a role did not take it)"""
    revision: int
    """the revision that is to run now"""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    """what was different for each role"""


def reload(path: Path, who: str, data: Path | None = None) -> Outcome:
    """Check a configuration and make it the one to run; `data` is the folder of the gateway that runs.

    Reloads go one after the other. Raises GatewayError if no gateway runs there; a configuration that is wrong is an
    outcome.
    """
    problems: list[str] = []
    taken: Snapshot | None = None
    try:
        taken = take_snapshot(path)
    except ConfigError as error:
        problems += error.problems
        if data is None:
            raise
    folder = data or (taken.config.data.folder if taken is not None else path.parent)
    if not (folder / "state.db").is_file():
        raise GatewayError(f"no gateway has run with data.folder {folder}: to change that folder, restart the gateway")
    with _lock(folder):
        state = State.in_folder(folder)
        try:
            return _reload(state, taken, problems, who)
        finally:
            state.close()


def _reload(state: State, taken: Snapshot | None, problems: list[str], who: str) -> Outcome:
    with state.read() as connection:
        before = revision_rows.current(connection)
    roles = _alive(state)
    if before is None or not roles:
        raise GatewayError("no gateway runs with this configuration: start it with gasgate run")
    if taken is None:
        return _refused(state, before, problems, who)
    everybody_has_it = all(detail.get("revision") == before.number for detail in roles.values())
    if taken.digest == before.digest and everybody_has_it:
        return Outcome("unchanged", before.number)
    findings = examine(taken)
    problems = [*_fixed(taken, before), *errors_of(findings)]
    if problems:
        return _refused(state, before, problems, who)
    at_us = _now_us(before)
    with state.write() as connection:
        number = revision_rows.begin(
            connection,
            taken.digest,
            fixed_values(taken.config),
            who=who,
            outcome=revision_rows.RELOADED,
            at_us=at_us,
        )
    told, missing = _wait(state, number, set(roles) - {_ANSWERS})
    warned = tuple(warnings_in(findings))
    return Outcome("failed" if missing else "reloaded", number, tuple(missing), warned, told)


def _refused(state: State, before: Revision, problems: list[str], who: str) -> Outcome:
    with state.write() as connection:
        revision_rows.refuse(connection, problems, who=who, at_us=_now_us(before))
    return Outcome("refused", before.number, tuple(problems))


def _now_us(before: Revision) -> int:
    """Return the site's time, of the clock that runs."""
    file = before.fixed.get("clock.file")
    return make_clock(None if file is None else Path(str(file))).now_us()


def _fixed(taken: Snapshot, before: Revision) -> Iterator[str]:
    now = fixed_values(taken.config)
    for key, value in before.fixed.items():
        if key in now and now[key] != value:
            yield (
                f"{taken.path}: {key}: was {value!r} when the gateway was started and is {now[key]!r} now: "
                "a reload cannot change it; restart the gateway, or put the old value back"
            )


def _alive(state: State) -> dict[str, Mapping[str, Any]]:
    with state.read() as connection:
        rows = view_rows.role_rows(connection)
    return {row["role"]: row["detail"] or {} for row in rows if time.time() - row["at"] < ALIVE_S}


def _wait(state: State, number: int, roles: set[str]) -> tuple[dict[str, str], list[str]]:
    """Return what each role says it changed, and a problem for each that has not taken the revision."""
    end = time.monotonic() + TAKEN_WITHIN_S
    while True:
        seen = _alive(state)
        done = {role: seen[role] for role in roles if role in seen and seen[role].get("revision") == number}
        refused = {
            role: str(problem)
            for role in roles - done.keys()
            for problem in seen.get(role, {}).get("problems", [])
            if f"revision {number} not taken" in str(problem)
        }
        if len(done) + len(refused) == len(roles) or time.monotonic() > end:
            break
        time.sleep(_LOOK_S)
    told = {role: ", ".join(detail.get("taken") or []) or "started anew" for role, detail in sorted(done.items())}
    late = dict.fromkeys(roles - done.keys(), f"has not taken it within {TAKEN_WITHIN_S:.0f} s") | refused
    return told, [f"role {role}: {problem}" for role, problem in sorted(late.items())]


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the right to reload; the system takes it back from a process that ends."""
    end = time.monotonic() + _LOCK_WITHIN_S
    with (folder / "reload.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise RefusedError(409, "reload_under_way", "another reload is under way") from None
                time.sleep(_LOOK_S)
            else:
                break
        yield
