"""A process that keeps readings until it is killed: prints each value after its append returned.

Arguments: folder, first value. Each value is one reading of point 1 whose source time is its number.
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
from gateway.store.dead_rows import put_dead
from gateway.store.readings import DuckReadings
from gateway.store.spool import FileSpool
from gateway.store.state import State


async def main(folder: Path, first: int) -> None:
    state = State.in_folder(folder)
    spool = FileSpool(folder / "spool", segment_bytes=20_000)
    store = DuckReadings(folder / "readings")
    spool.advance_to(await store.highest_seq())
    loader = Loader(
        spool, store, lambda rows: put_dead(state, rows), checkpoint=store.checkpoint, period_s=0.01, checkpoint_s=0.1
    )
    intake = Intake(spool, ManualClock(0), loader.notify)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(loader.run())
        tasks.create_task(intake.run())
        number = first
        while True:
            batch = ReadingBatch.build([1], [number], [number], [float(number)])
            letter = DeadLetter("test", str(number), b"", "unreadable", number)
            await intake.put(Delivery("test", batch, (letter,), ack=partial(acknowledge, number)))
            number += 1


async def acknowledge(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
