"""The alarms that are not normal, as judging needs them several times a second."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.alarm import Alarm, AlarmState
from gateway.store import alarm_rows, view_rows
from gateway.store.state import Transaction

TOUCHED_AT_ONCE = 1000
"""more alarms than this changed since the last look: all are read anew"""


class ActiveAlarms:
    """Reads facts anew only where the journal has grown: every change of a fact writes a line of it.

    For looking only: whoever acts reads the row inside its own transaction. Not safe for threads.
    """

    def __init__(self, always: Sequence[str] = ()) -> None:
        """Start without knowledge; alarms of the definitions in `always` are returned when normal, too."""
        self._always = frozenset(always)
        self._seq = -1
        self._alarms: dict[str, Alarm] = {}

    def read(self, connection: Transaction) -> dict[str, Alarm]:
        """Return the alarms that are not normal now by id, worst priority first."""
        newest = alarm_rows.last_journal_seq(connection)
        if newest != self._seq:
            touched = None
            if 0 <= self._seq < newest:
                touched = view_rows.alarms_touched(connection, self._seq, TOUCHED_AT_ONCE)
            if touched is None or len(touched) == TOUCHED_AT_ONCE:
                self._alarms = {}
                self._take(alarm_rows.list_active(connection, limit=None))
                self._take(alarm_rows.load_of(connection, sorted(self._always)))
            else:
                self._take(view_rows.alarms_named(connection, touched))
            # one order for one state, however it was learnt: a restart must come to the same journal
            self._alarms = dict(sorted(self._alarms.items(), key=lambda item: (item[1].priority, item[0])))
            self._seq = newest
        return dict(self._alarms)

    def _take(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            if alarm.state is AlarmState.NORMAL and alarm.definition not in self._always:
                self._alarms.pop(alarm.alarm_id, None)
            else:
                self._alarms[alarm.alarm_id] = alarm
