"""Tables of tickets and of questioned readings that are saved as files."""

from __future__ import annotations

from collections.abc import Iterator

from api.pages.parts import questioned_html, service_words, ticket_words, words
from api.pages.parts.tables import Asked
from api.services import questioned
from api.services.export import Cell, Column, Table
from api.services.live import MOST_TICKETS, SHOW_ENDED
from api.services.views import load_tickets
from gateway.model.reading import to_us

_MOST_PAGES = 200


def tickets(asked: Asked) -> Table:
    """Return the tickets that the board shows, with the clock that counts now."""
    tr, zone, parts = asked.tr, asked.zone, asked.parts
    columns = [
        Column(tr("Ticket")), Column(tr("Class")), Column(tr("Kind")), Column(tr("Place")), Column(tr("Name")),
        Column(tr("State")), Column(tr("Raised"), zone), Column(tr("Departed"), zone), Column(tr("Arrived"), zone),
        Column(tr("Completed"), zone), Column(tr("Clock")), Column(tr("Due"), zone), Column(tr("Promise not kept")),
        Column(tr("Delivery")), Column(tr("In the ticketing system")),
    ]  # fmt: skip
    after = to_us(parts.clock.now() - SHOW_ENDED)
    rows = (
        (view.ticket_no, words.ticket_class(view.ticket_class, tr), ticket_words.ticket_type(view.type, tr), view.asset,
         view.asset_name, words.ticket_state(view.state, tr), view.raised_at, view.departed_at, view.arrived_at,
         view.completed_at, "" if clock is None else tr(service_words.CLOCKS.get(clock[0], clock[0])),
         None if clock is None else clock[1], view.not_kept, words.delivery(view.delivery, tr), view.external_id)
        for view in load_tickets(parts, parts.state, ended_after=after, limit=MOST_TICKETS)
        for clock in (view.clock(),)
    )  # fmt: skip
    return asked.table(tr("Tickets"), columns, rows)


def questioned_readings(asked: Asked) -> Table:
    """Return readings that a rule questioned and nobody decided on, of one rule or all, the newest first."""
    tr, zone, rule = asked.tr, asked.zone, asked.query.get("rule", "")
    columns = [
        Column(tr("Meter")), Column(tr("Zone")), Column(tr("Name")), Column(tr("Rule")), Column(tr("Questioned by")),
        Column(tr("Reading of"), zone), Column(tr("Gas day")),
    ]  # fmt: skip

    def rows() -> Iterator[tuple[Cell, ...]]:
        before = None
        for _ in range(_MOST_PAGES):
            found = questioned.cases(asked.parts, asked.user, [rule] if rule else [], before=before)
            for one in found:
                yield (
                    one.meter, one.zone, one.zone_name, one.rule, questioned_html.rule_name(one.rule, tr),
                    one.source_time, one.gas_day,
                )  # fmt: skip
            if len(found) < questioned.PAGE:
                return
            before = found[-1].id

    return asked.table(tr("Questioned"), columns, rows())
