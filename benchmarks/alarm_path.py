"""From a raised alarm to the operator's eye and to the ticketing system.

Meters on a real broker report gas one after the other. `alarm_to_page` runs from the commit in which the alarm was
raised to the frame in which Chromium shows its row; `alarm_to_ticket` from the same commit to the ticket desk's answer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import broker, p99, page_of, running
from gateway.model.reading import to_us
from gateway.store import alarm_rows, outbox_rows, ticket_rows
from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, meter

LEAK = 64
ALARMS_PER_S = 2.5

WATCH = """
window.seen = {};
const look = () => {
  const now = Date.now();
  for (const text of document.body.innerText.match(/M-\\d{6}/g) || [])
    if (!(text in window.seen)) window.seen[text] = now;
};
new MutationObserver(() => requestAnimationFrame(look))
  .observe(document.body, {childList: true, subtree: true, characterData: true});
"""


def run(*, quick: bool) -> dict[str, float]:
    """Raise 45 alarms (quick) or 400 and return the figures."""
    count = 45 if quick else 400
    with tempfile.TemporaryDirectory(prefix="gasgate-alarm-path-") as folder, broker(Path(folder)) as port:
        site = SmallSite(Path(folder) / "site", port, meters=count, mqtt_version="3.1.1")
        with running(site, "keep", "alarm", "analyse", "web") as state, page_of(site) as page:
            page.evaluate(WATCH)
            published = _publish(site, count, page.wait_for_timeout)
            page.wait_for_timeout(3000)
            seen: dict[str, int] = page.evaluate("window.seen")
            return _figures(state, count, published, seen)


def _publish(site: SmallSite, count: int, pause: Callable[[float], None]) -> dict[str, float]:
    publisher = Publisher(site.broker_port, "alarm-path")
    published: dict[str, float] = {}
    for number in range(count):
        now = time.time()
        published[meter(number)] = now
        publisher.publish(site.topic(number), message(number, [(int(now * 1000), number, LEAK)]))
        pause(1000 / ALARMS_PER_S)
    publisher.drain()
    publisher.close()
    return published


def _figures(state: State, count: int, published: dict[str, float], seen: dict[str, int]) -> dict[str, float]:
    to_raised, to_page = [], []
    with state.read() as connection:
        for alarm in alarm_rows.list_active(connection, limit=count + 100):
            if alarm.definition != "HOME_GAS_SENSOR" or alarm.raised_at is None:
                continue
            raised_ms = to_us(alarm.raised_at) / 1000
            to_raised.append(raised_ms - published[alarm.asset] * 1000)
            if alarm.asset in seen:
                to_page.append(seen[alarm.asset] - raised_ms)
        tickets = ticket_rows.list_tickets(connection, limit=10_000)
        commands = [row for ticket in tickets for row in outbox_rows.outbox_of(connection, ticket.ticket_no)]
    confirmed = [
        (row.wall_confirmed_at - row.wall_created_at) * 1000 for row in commands if row.wall_confirmed_at is not None
    ]
    return {
        "alarms": float(count),
        "alarms_raised": float(len(to_raised)),
        "alarms_shown": float(len(to_page)),
        "published_to_raised_p99_ms": p99(to_raised),
        "alarm_to_page_p50_ms": float(sorted(to_page)[len(to_page) // 2]) if to_page else float("nan"),
        "alarm_to_page_p99_ms": p99(to_page),
        "ticket_commands": float(len(commands)),
        "ticket_commands_confirmed": float(len(confirmed)),
        "alarm_to_ticket_p99_ms": p99(confirmed),
    }
