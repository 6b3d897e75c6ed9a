"""Commands against real devices on sockets: each is written once, and what became of it is known or called unknown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import RefusedError
from gateway.model.command import CommandState, DeviceCommand
from gateway.runtime.runner import PollRunner
from gateway.store import command_rows
from gateway.store.state_copies import copy_state, restore_from
from tests.collectors.command_site import CommandSite, one_unit, running, site_at
from tests.collectors.sites import METERS, MemoryRegistry, link, modbus
from tests.collectors.valves import Asked, Valves, serving, write_profile

CLOSE = bytes.fromhex("050000FF00")


def agree(site: CommandSite, command: DeviceCommand, who: str) -> None:
    with site.state.write() as connection:
        command_rows.decide(connection, command.id, who, agree=True, reason="", at_us=1, wall=time.time())


async def test_a_valve_is_closed_read_back_and_written_down(tmp_path: Path) -> None:
    seen: list[str] = []
    async with serving(Valves()) as valves, site_at(tmp_path, valves.port, write_profile(tmp_path)) as site:

        def watch(_asked: Asked) -> str:
            seen.append(site.state_on_disk())
            return "done"

        valves.manner = watch
        over = await site.until_over(await site.ask("S-01"))
        assert (over.state, over.read_value) == (CommandState.CONFIRMED, 0.0)
        assert seen == ["sent"], "the intent was not on disk when the first byte came"
        assert [one.pdu for one in valves.writes] == [CLOSE]
        assert site.acts() == ["requested", "sent", "answered", "confirmed"]
        requested, sent, answered, confirmed = (row.detail for row in site.audit())
        assert (requested["requested_by"], requested["reason"]) == ("wang", "smell of gas")
        assert sent["request_frame"] == "01050000FF00"
        assert answered["reply_frame"] == "01050000FF00"
        assert confirmed["read_frames"] == "010400080001 0104020000"
        delivery = await site.until_kept()
        assert delivery.batch.value.tolist() == [0.0]


async def test_several_registers_are_written_at_once_after_a_second_person_agreed(tmp_path: Path) -> None:
    async with serving(Valves()) as valves, site_at(tmp_path, valves.port, write_profile(tmp_path)) as site:
        command = await site.ask("S-01", "valve_close_checked")
        await asyncio.sleep(0.5)
        assert site.now(command).state is CommandState.REQUESTED
        with pytest.raises(RefusedError, match="another one"):
            agree(site, command, "wang")
        agree(site, command, "li")
        over = await site.until_over(command)
        assert (over.state, over.decided_by) == (CommandState.CONFIRMED, "li")
        assert [one.pdu.hex() for one in valves.writes] == ["10003c0002045a5a0001"]
        assert site.acts() == ["requested", "approved", "sent", "answered", "confirmed"]


@pytest.mark.parametrize(
    ("manner", "state", "acts"),
    [
        ("silent", CommandState.MISMATCH, ["unknown", "mismatch"]),
        ("lost", CommandState.CONFIRMED, ["unknown", "confirmed"]),
        (2, CommandState.REFUSED, ["refused"]),
        (6, CommandState.REFUSED, ["refused"]),
        (4, CommandState.MISMATCH, ["unknown", "mismatch"]),
        (5, CommandState.CONFIRMED, ["answered", "confirmed"]),
        (11, CommandState.MISMATCH, ["unknown", "mismatch"]),
    ],
)
async def test_whatever_the_device_does_it_is_written_to_once(
    tmp_path: Path, manner: str | int, state: CommandState, acts: list[str]
) -> None:
    valves = Valves(manner=lambda _asked: manner)
    async with serving(valves), site_at(tmp_path, valves.port, write_profile(tmp_path)) as site:
        over = await site.until_over(await site.ask("S-01"))
        await asyncio.sleep(0.1)
        assert over.state is state
        assert site.acts() == ["requested", "sent", *acts]
        assert len(valves.writes) == 1


async def test_a_valve_that_does_not_move_is_a_mismatch_that_people_can_find(tmp_path: Path) -> None:
    async with serving(Valves(jammed=True)) as valves, site_at(tmp_path, valves.port, write_profile(tmp_path)) as site:
        over = await site.until_over(await site.ask("S-01"))
        assert (over.state, over.read_value, over.detail) == (
            CommandState.MISMATCH, 1.0, "valve is 1 and should be 0"
        )  # fmt: skip
        with site.state.read() as connection:
            assert command_rows.assets_that_differ(connection) == ["S-01"]
        valves.jammed = False
        await site.until_over(await site.ask("S-01"))
        with site.state.read() as connection:
            assert command_rows.assets_that_differ(connection) == []


async def test_a_slow_valve_is_looked_at_after_its_settling_time(tmp_path: Path) -> None:
    async with serving(Valves(moves_s=0.4)) as valves:
        profile = write_profile(tmp_path, settle_s=0.5)
        async with site_at(tmp_path, valves.port, profile) as site:
            over = await site.until_over(await site.ask("S-01"))
            assert over.state is CommandState.CONFIRMED


async def test_what_is_too_old_is_never_sent(tmp_path: Path) -> None:
    async with serving(Valves()) as valves, site_at(tmp_path, valves.port, write_profile(tmp_path)) as site:
        for name, age_s in (("valve_close", 61), ("valve_close_checked", 301), ("valve_close", -10)):
            over = await site.until_over(await site.ask("S-01", name, age_s=age_s))
            assert over.state is CommandState.EXPIRED
        assert valves.writes == []


async def test_without_a_connection_it_is_tried_until_it_is_too_old(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    async with site_at(tmp_path, port, write_profile(tmp_path)) as site:
        over = await site.until_over(await site.ask("S-01", age_s=59.4))
        assert (over.state, over.detail[:10]) == (CommandState.EXPIRED, "never sent")
        command = await site.ask("S-01")
        await asyncio.sleep(0.5)
        async with serving(Valves(port=port)) as valves:
            over = await site.until_over(command)
            assert over.state is CommandState.CONFIRMED
            assert len(valves.writes) == 1


@pytest.mark.parametrize(("serial", "state"), [("AB123456", "confirmed"), ("AB999999", "refused")])
async def test_only_the_device_with_the_right_serial_number_is_told(tmp_path: Path, serial: str, state: str) -> None:
    valves = Valves()
    async with serving(valves), site_at(tmp_path, valves.port, write_profile(tmp_path), identity=serial) as site:
        over = await site.until_over(await site.ask("S-01"))
        assert over.state == state
        assert len(valves.writes) == (state == "confirmed")


async def test_what_the_profile_no_longer_offers_is_refused(tmp_path: Path) -> None:
    async with serving(Valves()) as valves:
        async with site_at(tmp_path, valves.port, write_profile(tmp_path)) as site:
            command = await site.ask("S-01", "valve_close_checked")
        async with site_at(tmp_path, valves.port, write_profile(tmp_path, settle_s=0.1)) as site:
            agree(site, command, "li")
            over = await site.until_over(command)
            assert (over.state, valves.writes) == (CommandState.REFUSED, [])


async def test_what_a_restored_copy_still_asks_for_is_looked_at_and_not_sent_again(tmp_path: Path) -> None:
    folder, profile = tmp_path / "site", write_profile(tmp_path)
    async with serving(Valves()) as valves:
        registry, collector = one_unit(valves.port, profile)
        await collector.open()
        asking = CommandSite(folder, [collector.commander], registry)
        command = await asking.ask("S-01")
        copy = copy_state(folder, keep=3)
        async with running(asking):
            assert (await asking.until_over(command)).state is CommandState.CONFIRMED
        restore_from(folder, copy)
        async with running(CommandSite(folder, [collector.commander], registry)) as site:
            over = await site.until_over(command)
        assert over.state is CommandState.CONFIRMED
        assert site.acts() == ["requested", "unknown", "confirmed"]
        assert len(valves.writes) == 1
        await collector.close()


async def test_a_command_waits_for_the_one_request_in_flight_only(tmp_path: Path) -> None:
    """30 units on one link, unit 7 dead, all polled each second, and a crowd of reads always waiting."""
    valves = Valves(dead=frozenset({7}), answer_s=0.02)
    async with serving(valves):
        profile = write_profile(tmp_path)
        registry = MemoryRegistry()
        units = [{"unit": n + 1, "profile": profile, "asset": METERS[n]} for n in range(30)]
        collector = modbus(registry, link(valves.port, *units, timeout_s=0.25))

        async def put(_delivery: object) -> None:
            """Throw readings away."""

        site = CommandSite(tmp_path, [collector.commander], registry)
        polls = asyncio.create_task(PollRunner(collector, put, site.clock).run())
        await asyncio.sleep(1.0)
        taken: list[int] = []
        place = next(iter(collector.commander.units()))
        crowd = [asyncio.create_task(_read_for_ever(collector, n)) for n in range(20)]
        ask = place.link.ask

        async def noting(question, *args, **more):
            if not question.is_read:
                taken.append(len(valves.log))
            return await ask(question, *args, **more)

        place.link.ask = noting  # type: ignore[method-assign]
        async with running(site):
            commands = [await site.until_over(await site.ask(meter, who=meter)) for meter in METERS[:4]]
        for task in (polls, *crowd):
            task.cancel()
        await asyncio.gather(polls, *crowd, return_exceptions=True)
    assert {one.state for one in commands} == {CommandState.CONFIRMED}
    places = [place for place, one in enumerate(valves.log) if one.is_write]
    between = [place - had for place, had in zip(places, taken, strict=True)]
    assert len(places) == 4
    assert max(between) <= 1, f"requests that went before the command although they came after it: {between}"


async def _read_for_ever(collector, number: int) -> None:
    jobs = list(collector.jobs())
    while True:
        poll = collector._polls[jobs[number % len(jobs)].key]
        request = poll.unit.plan.plan_rows((0,))[0]
        try:
            await poll.read(request)
        except Exception:  # noqa: BLE001 - the dead unit
            await asyncio.sleep(0.01)


async def test_bounds_hold_per_asset_and_per_person(tmp_path: Path, free_port: Callable[[], int]) -> None:
    profile = write_profile(tmp_path)
    registry = MemoryRegistry()
    units = [{"unit": n + 1, "profile": profile, "asset": METERS[n]} for n in range(30)]
    collector = modbus(registry, link(free_port(), *units))
    site = CommandSite(tmp_path, [collector.commander], registry)
    first = await site.ask(METERS[0], key="k")
    assert (await site.ask(METERS[0], key="k")).id == first.id
    codes = []
    for meter, key in ((METERS[1], "k"), (METERS[0], "other")):
        with pytest.raises(RefusedError) as refused:
            await site.ask(meter, key=key)
        codes.append(refused.value.code)
    for number in range(1, 30):
        try:
            await site.ask(METERS[number])
        except RefusedError as error:
            codes.append(error.code)
            break
    assert codes == ["key_used", "asset_busy", "too_many_open"]
    assert number == command_rows.MOST_OPEN_OF_ONE
    with site.state.write() as connection:
        for command in command_rows.list_open(connection):
            command_rows.move(connection, command.id, (command.state,), CommandState.REFUSED, 1)
    for number in range(5, 10):
        command = await site.ask(METERS[number])
        with site.state.write() as connection:
            command_rows.move(connection, command.id, (command.state,), CommandState.REFUSED, 1)
    with pytest.raises(RefusedError) as refused:
        await site.ask(METERS[20])
    assert refused.value.code == "too_fast"
    assert (await site.ask(METERS[20], who="li")).wish.who == "li"
    site.state.close()
