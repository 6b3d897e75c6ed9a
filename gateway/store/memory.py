"""Small facts that outlast a restart, in the state database."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from gateway.store import tables
from gateway.store.state import State, upsert


class StateMemory:
    """A `Memory` over the table `memory`. Safe to use from several threads."""

    def __init__(self, state: State) -> None:
        """Use a state database; nothing is read yet."""
        self._state = state

    def recall(self, owner: str) -> Mapping[str, object]:
        """Return every fact of an owner by its name. Raises TransientError."""
        query = select(tables.memory.c.name, tables.memory.c.fact).where(tables.memory.c.owner == owner)
        with self._state.read() as connection:
            return {row.name: row.fact for row in connection.execute(query)}

    def remember(self, owner: str, name: str, fact: Mapping[str, object]) -> None:
        """Keep a fact in the place of an older one. Raises TransientError."""
        with self._state.write() as connection:
            upsert(connection, tables.memory, {"owner": owner, "name": name}, {"fact": dict(fact)})
