import asyncio

from collectors.turns import Turns


async def test_an_urgent_one_waits_for_the_turn_under_way_only() -> None:
    turns, order = Turns(), []
    await turns.take()

    async def use(name: str, *, urgent: bool = False) -> None:
        await turns.take(urgent=urgent)
        order.append(name)
        await asyncio.sleep(0)
        turns.give()

    tasks = [asyncio.create_task(use(name)) for name in ("a", "b")]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(use(name, urgent=True)) for name in ("first", "second")]
    await asyncio.sleep(0)
    assert order == []
    turns.give()
    await asyncio.gather(*tasks)
    assert order == ["first", "second", "a", "b"]


async def test_whoever_gives_up_waiting_holds_nobody_up() -> None:
    turns = Turns()
    await turns.take()
    gone = [asyncio.create_task(turns.take(urgent=urgent)) for urgent in (False, True)]
    next_one = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    gone[0].cancel()
    await asyncio.sleep(0)
    # the turn comes to the second one and is lost in the same moment
    turns.give()
    gone[1].cancel()
    await asyncio.wait_for(next_one, 30)
    assert all(task.cancelled() for task in gone)
    turns.give()
    await asyncio.wait_for(turns.take(), 30)


async def test_who_is_cancelled_just_before_the_turn_is_given_gets_none() -> None:
    turns = Turns()
    await turns.take()
    gone = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    gone.cancel()
    turns.give()
    await asyncio.gather(gone, return_exceptions=True)
    await asyncio.wait_for(turns.take(), 30)
