"""A process that keeps readings until it is killed: prints each value after its append returned.

Arguments: folder, first value, us of received time from one value to the next. Each value is one reading of point 1
whose source time is its number. Where the received time runs fast, days end all the time and are sealed meanwhile.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path

from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Delivery
from gateway.runtime.clock import ManualClock
from gateway.runtime.intake import Intake
from gateway.runtime.loader import Loader
from gateway.runtime.upkeep import Upkeep
from gateway.store.dead_rows import put_dead
from gateway.store.readings import DuckReadings
from gateway.store.rewriter import Rewriter
from gateway.store.spool import FileSpool
from gateway.store.state import State


async def main(folder: Path, first: int, pace_us: int) -> None:
    state = State.in_folder(folder)
    spool = FileSpool(folder / "spool", segment_bytes=20_000)
    store = DuckReadings(folder / "readings")
    spool.advance_to(await store.highest_seq())
    loader = Loader(
        spool, store, lambda rows: put_dead(state, rows), checkpoint=store.checkpoint, period_s=0.01, checkpoint_s=0.1
    )
    upkeep = Upkeep(Rewriter(store).step, ManualClock(2**61), period_s=0.05)
    intake = Intake(spool, ManualClock(0), loader.notify)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(loader.run())
        tasks.create_task(intake.run())
        tasks.create_task(upkeep.run())
        number = first
        while True:
            batch = ReadingBatch.build([1], [number], [number * pace_us], [float(number)])
            letter = DeadLetter("test", str(number), b"", "unreadable", number)
            await intake.put(Delivery("test", batch, (letter,), ack=partial(acknowledge, number)))
            number += 1


async def acknowledge(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
