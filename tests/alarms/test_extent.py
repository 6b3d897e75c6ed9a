"""How much hangs on a ticket: customers by the network, its size by the company's rules, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from alarms.extent import Extent, SizeRule, covers, extent_of, larger
from alarms.route import TicketPolicy
from alarms.service.desk import ServiceDesk
from alarms.service.policy import read_promises, read_sizes, shipped_sizes
from alarms.tickets.desk import TicketDesk
from gateway.errors import ConfigError, RefusedError
from gateway.model.affected import Affected
from gateway.model.meters import MeterTable
from gateway.model.network import Network
from gateway.model.ticket import Ticket, TicketClass
from gateway.store import outbox_rows, promise_rows, ticket_rows
from tests.alarms.alarm_fixtures import START, home, make_desk, small_network

LARGE = SizeRule(size="large", ticket_class=TicketClass.EMERGENCY, customers=3)
MAJOR = SizeRule(size="major", ticket_class=TicketClass.EMERGENCY, sensitive=1, types=("supply_loss",))


def city() -> Network:
    network = small_network()
    school = replace(home("M-000004", "R-002"), customer_class="public")
    return replace(network, meters={**network.meters, school.meter_id: school})


def desk_of(folder: Path, rules: tuple[SizeRule, ...] = (LARGE,)) -> AlarmDesk:
    made = make_desk(folder)
    policy = replace(
        made.policy, sizes=rules, desk_name="Desk", desk_phone="110", public_url="https://gas.example.com/"
    )
    return AlarmDesk(made.state, made.definitions, small_network(), made.clock, policy)


def only(desk: AlarmDesk) -> Ticket:
    with desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
    return ticket


def clocks(desk: AlarmDesk, ticket_no: str) -> dict[str, str]:
    with desk.state.read() as connection:
        return {row.clock: row.promise["id"] for row in promise_rows.clocks_of(connection, ticket_no)}


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ("M-000001", Affected(1, 0)),
        ("M-000004", Affected(1, 1)),
        ("B-1", Affected(2, 0)),
        ("REG-001", Affected(3, 0)),
        ("REG-002", Affected(1, 1)),
        ("S-01", Affected(4, 1)),
        ("D-1", Affected(4, 1)),
        ("T-20260115-000001", Affected(0, 0)),
    ],
)
def test_customers_behind_an_asset_are_counted_alike_from_meters_and_columns(asset: str, expected: Affected) -> None:
    network = city()
    assert network.affected(asset) == expected
    assert replace(network, meters=MeterTable.of(network.meters)).affected(asset) == expected


def test_the_gravest_rule_that_fits_counts() -> None:
    rules = (LARGE, MAJOR)

    def size(asset: str, kind: str, ticket_class: TicketClass = TicketClass.EMERGENCY) -> str:
        return extent_of(asset, ticket_class, kind, city(), rules).size

    assert size("S-01", "supply_loss") == "major"
    assert size("S-01", "leak") == "large"
    assert size("REG-002", "supply_loss") == "major"
    assert size("REG-002", "leak") == ""
    assert size("S-01", "supply_loss", TicketClass.URGENT) == ""
    assert extent_of("M-000004", TicketClass.CHECK, "theft", city(), rules).customer == "public"


def test_a_row_for_large_faults_binds_major_ones_and_no_ordinary_ones() -> None:
    assert [covers("large", size) for size in ("", "large", "major")] == [False, True, True]
    assert [covers("major", size) for size in ("", "large", "major")] == [False, False, True]
    assert covers("business", "business")
    assert not covers("business", "major")


def test_a_ticket_carries_its_extent_and_says_it_with_contact_and_links(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    desk.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START, 25.0))])
    ticket = only(desk)
    assert (ticket.size, ticket.customers, ticket.sensitive) == ("large", 3, 0)
    with desk.state.read() as connection:
        (row,) = outbox_rows.outbox_of(connection, ticket.ticket_no)
    body = row.command.body
    assert body["size"] == "large"
    assert (body["asset"]["customers"], body["asset"]["sensitive"]) == (3, 0)
    assert body["contact"] == {"name": "Desk", "phone": "110"}
    assert body["links"] == {
        "ticket": f"https://gas.example.com/tickets/{ticket.ticket_no}",
        "alarm": "https://gas.example.com/?alarm=GAS_CONC_HIHI%40REG-001",
    }
    assert (body["sla"]["fix_within_s"], body["sla"]["stay_after_restore_s"]) == (3600, 1800)
    desk.state.close()


def test_the_size_decides_which_clocks_a_ticket_has_and_a_person_may_correct_it(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    desk.commit([Edge("OVERPRESS_HIHI@REG-002", ConditionRises(START, 25.0))])
    service = ServiceDesk(desk.state, desk.policy.promises, desk.policy.calendar, desk.network, desk.clock)
    tickets = TicketDesk(desk.state, desk.definitions, desk.network, desk.clock, desk.policy)
    number = only(desk).ticket_no
    service.sweep()
    before = clocks(desk, number)
    assert before["fix"] == "emergency_fix"
    assert "recheck" not in before

    tickets.resize(number, "major", who="li", reason="a school", supervisor=False, request_id="r1")
    service.sweep()
    after = clocks(desk, number)
    assert after == before | {"fix": "emergency_fix_large", "recheck": "emergency_recheck"}

    with pytest.raises(RefusedError, match="supervisor"):
        tickets.resize(number, "", who="li", reason="no school", supervisor=False, request_id="r2")
    tickets.resize(number, "", who="wang", reason="no school", supervisor=True, request_id="r3")
    service.sweep()
    assert clocks(desk, number) == before
    with desk.state.read() as connection:
        sent = [row.command.body.get("size") for row in outbox_rows.outbox_of(connection, number)]
        dropped = [row for row in promise_rows.changes_of(connection, number) if row.reason == "size"]
    assert sent == ["", "major", ""]
    assert [row.clock for row in dropped] == ["recheck"]
    desk.state.close()


def test_what_joins_makes_a_ticket_larger_never_smaller(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, ())
    desk.commit([Edge("GAS_CONC_HI@REG-001", ConditionRises(START, 12.0))])
    ticket = only(desk)
    assert larger(ticket, Extent("large", "", 900, 4)).customers == 900
    assert larger(replace(ticket, size="major", customers=10), Extent("large", "", 900, 4)).size == "major"
    assert larger(replace(ticket, customers=10), Extent("", "", 3, 4)).customers == 10
    graver = larger(replace(ticket, size="", customers=500), Extent("major", "", 100, 9))
    assert (graver.size, graver.customers, graver.sensitive) == ("major", 500, 9)
    desk.state.close()


def test_a_site_may_have_its_own_rules(tmp_path: Path) -> None:
    row = '[[promise]]\nid = "a"\nclock = "depart"\nticket_class = "EMERGENCY"\nstart = "raised"\nstop = "departed"\n'
    row += 'limit = 3\nunit = "minutes"\nsource = "x"\n'
    path = tmp_path / "promises.toml"
    path.write_text(row, encoding="utf-8")
    assert read_sizes(path) == shipped_sizes()
    path.write_text(row + '[[size]]\nsize = "large"\nticket_class = "EMERGENCY"\ncustomers = 50\n', encoding="utf-8")
    assert [rule.customers for rule in read_sizes(path)] == [50]
    assert [one.id for one in read_promises(path)] == ["a"]
    path.write_text(row + '[[size]]\nsize = "large"\nticket_class = "EMERGENCY"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="names nothing"):
        read_sizes(path)
    assert TicketPolicy().sizes == shipped_sizes()
