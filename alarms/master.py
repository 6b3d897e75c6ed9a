"""The master alarm database in force: the approved rows of the state database, read anew whenever one is approved."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from alarms.definitions import DefinitionRow, shipped_rows
from gateway.model.alarm import Definition
from gateway.store import definition_rows
from gateway.store.state import State

log = logging.getLogger(__name__)


class MasterDefinitions(Mapping[str, Definition]):
    """The definitions in force by id. One object for a process: what holds it sees what was approved meanwhile."""

    def __init__(self, state: State, now: datetime) -> None:
        """Put the rows that come with gasgate in force where nobody decided otherwise, and read all.

        Raises TransientError if the state database is away.
        """
        self._state = state
        shipped = {name: row.model_dump(mode="json", exclude_defaults=True) for name, row in shipped_rows().items()}
        with state.write() as connection:
            definition_rows.seed(connection, {name: {"revision": 1, **row} for name, row in shipped.items()}, now)
        self._mark = (-1, -1)
        self._known: dict[str, Definition] = {}
        self._digests: dict[str, str] = {}
        self.refresh()

    def __getitem__(self, name: str) -> Definition:
        """Return a definition. Raises KeyError."""
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the ids."""
        return iter(self._known)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._known)

    def refresh(self) -> set[str]:
        """Take what was approved since the last look; return the ids that differ now. Raises TransientError."""
        with self._state.read() as connection:
            mark = definition_rows.mark(connection)
            if mark == self._mark:
                return set()
            rows = definition_rows.in_force(connection)
        known: dict[str, Definition] = {}
        for name, change in rows.items():
            try:
                known[name] = definition_of(change.row, change.revision)
            except ValidationError:
                # a row of another version of gasgate: what ran before goes on
                log.exception("the approved row of %s cannot be used", name)
                if name in self._known:
                    known[name] = self._known[name]
        changed = {name for name in known.keys() | self._known.keys() if known.get(name) != self._known.get(name)}
        self._known, self._mark = known, mark
        self._digests = {name: digest(one) for name, one in known.items()}
        return changed

    def digests(self) -> dict[str, str]:
        """Return a short digest of each definition that runs, to be held against what was approved."""
        return dict(self._digests)


def definition_of(row: Mapping[str, Any], revision: int) -> Definition:
    """Return a stored row as a definition. Raises pydantic's ValidationError."""
    return DefinitionRow.model_validate({**row, "revision": revision}).definition()


def digest(definition: Definition) -> str:
    """Return 16 hexadecimal digits that stand for everything a definition says."""
    values = {name: str(getattr(definition, name)) for name in sorted(Definition.__slots__)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def differences(approved: Mapping[str, str], running: Mapping[str, str]) -> list[str]:
    """Return the definitions that run otherwise than approved, by their digests."""
    return sorted(name for name in approved.keys() | running.keys() if approved.get(name) != running.get(name))
