"""Keeps the files of a readings store in order: seals, merges, thins, checks, saves and deletes them, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from gateway.errors import TransientError
from gateway.store import dayfile, upkeep
from gateway.store.dayfile import METER, NETWORK, OPEN, DayFile, Name
from gateway.store.journal import PART
from gateway.store.readings import DuckReadings
from gateway.store.rewrite import Done, Job
from gateway.store.shelf import DAMAGED, KEPT, QUARANTINE
from gateway.store.upkeep import Retention, Task

_LOG = logging.getLogger(__name__)
_SPARE_BYTES = 1 << 30
_TRIES = 3
_QUARANTINE_S = 30 * 86_400.0
"""how long a damaged file stays for people to look at"""


@dataclass(slots=True)
class Counts:
    """What was done since the start."""

    rewritten: int = 0
    deleted: int = 0
    checked: int = 0
    saved: int = 0


class Rewriter:
    """One task calls `step` now and then; heavy work runs in a process of its own at the lowest priority."""

    def __init__(
        self,
        store: DuckReadings,
        retention: Retention | None = None,
        *,
        check_every_s: float = 3600.0,
        memory: str = "512MB",
        real: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one; a sealed file is read again every `check_every_s` real seconds, one after the other."""
        self.counts = Counts()
        self.retention = retention or Retention()
        self._store = store
        self._check_every_s, self._memory, self._real = check_every_s, memory, real
        self._checked: dict[str, float] = {}
        self._tried: dict[str, int] = {}
        self._checked_at = real()

    async def step(self, now_us: int) -> bool:
        """Do the most urgent thing; return False if there was none.

        The moment is the clock's; where it runs ahead of what was received, the readings' own counts: a clock that
        is wrong deletes nothing. Raises TransientError, after which the files are as before.
        """
        now_us = min(now_us, self._store.newest_received_us)
        waiting = await asyncio.to_thread(self._store.shelf.waiting)
        if waiting:
            await self._save(waiting[0])
            return True
        gone = upkeep.expired(self._store.shelf.files, now_us, self.retention)
        if gone:
            await self._delete(gone[0])
            return True
        task = upkeep.next_task(self._store.shelf.files, now_us, self.retention)
        if task is not None:
            await self._rewrite(task)
            return True
        if self._real() - self._checked_at >= self._check_every_s:
            self._checked_at = self._real()
            await self.check_one()
        return False

    async def check_one(self) -> bool:
        """Read the sealed file again that was not read for longest; set it aside if it is damaged."""
        files = [one for one in self._store.shelf.files if one.hash]
        if not files:
            return False
        one = min(files, key=lambda one: self._checked.get(one.path.name, -1.0))
        self._checked[one.path.name] = self._real()
        done = await self._run(self._job("check", [one.path.name], {}))
        self.counts.checked += 1
        if done.problem:
            await self._store.set_aside(one, done.problem)
        return bool(done.problem)

    async def _rewrite(self, task: Task) -> None:
        started = self._real()
        names = self._names(task.families, task.span)
        outputs = {family: name.file + PART for family, name in names.items()}
        points = await self._prepare(task, list(task.files)) if NETWORK in outputs and len(outputs) > 1 else ""
        lost = [one.lost for one in task.files]
        job = self._job(task.kind, [one.path.name for one in task.files], outputs)
        job = msgspec.structs.replace(job, network_points=points, lost=-1 if -1 in lost else sum(lost))
        try:
            done = await self._run(job)
        except TransientError:
            await self._blame(task.files)
            raise
        await self._store.write(lambda: self._swap(done, names, list(task.files)))
        self.counts.rewritten += 1
        rows = sum(one.rows for one in done.made.values())
        _LOG.info("%s %s: %d rows from %d files in %.1f s", task.kind, task.span, rows, len(task.files),
                  self._real() - started)  # fmt: skip

    async def _blame(self, files: tuple[DayFile, ...]) -> None:
        """Set aside which of these cannot be read, so that it stands in the way of nothing else."""
        for one in files:
            done = await self._run(self._job("check", [one.path.name], {}))
            if done.problem:
                await self._store.set_aside(one, done.problem)

    async def _prepare(self, task: Task, files: list[DayFile]) -> str:
        """Let no load add to the files any more; write down which of their points are the network's."""

        def freeze() -> None:
            with self._store.shelf.cursor() as connection:
                for one in files:
                    one.frozen = True
                    if not one.sealed:
                        connection.execute(f"CHECKPOINT {one.alias}")

        def points() -> str:
            with self._store.shelf.borrow(lambda one: one in files) as (connection, held):
                query = f"SELECT DISTINCT point FROM ({dayfile.every(held, 'reading', 'point')})"  # noqa: S608
                found = np.sort(np.ma.filled(connection.execute(query).fetchnumpy()["point"], 0)).astype(np.uint32)
            return self._write_points(found, task.span)

        await self._store.write(freeze)
        return await self._store.read(points)

    def _write_points(self, found: np.ndarray[tuple[int], np.dtype[np.uint32]], span: str) -> str:
        name = f"network-points-{span}{PART}"
        found[self._store.families.network(found)].astype("<u4").tofile(self._store.folder / name)
        return name

    def _swap(self, done: Done, names: dict[str, Name], gone: list[DayFile]) -> None:
        made = {names[family].file + PART: names[family] for family in done.made}
        for one in self._store.shelf.swap(made, gone):
            self._checked[one.path.name] = self._real()
        self._store.files_changed()
        for left in self._store.folder.glob(f"network-points-*{PART}"):
            left.unlink()

    async def _save(self, path: Path) -> None:
        """Bring back what is readable of a damaged file; then the spool may fill in what it still holds."""
        name = dayfile.parse(path.name.split(".duckdb", 1)[0] + ".duckdb")
        assert name is not None
        covered = self._store.refill.covers(self._newest_before(name))
        both = name.family in {OPEN, dayfile.FIRST_RELEASE}
        names = self._names((METER, NETWORK) if both else (name.family,), name.span)
        outputs = {family: new.file + PART for family, new in names.items()}
        job = self._job("salvage", [f"{QUARANTINE}/{path.name}"], outputs)
        points = (
            await self._store.read(lambda: self._write_points(self._store.known_points(), name.span)) if both else ""
        )
        self._tried[path.name] = self._tried.get(path.name, 0) + 1
        if self._tried[path.name] > _TRIES:
            done = Done({}, "saving it failed again and again")
        else:
            done = await self._run(msgspec.structs.replace(job, network_points=points, covered=covered))

        def finish() -> None:
            self._swap(done, names, [])
            path.rename(path.with_name(path.name.removesuffix(DAMAGED) + KEPT))
            self._forget_old()
            self._store.begin_refill()

        await self._store.write(finish)
        self.counts.saved += 1
        rows = sum(one.rows for one in done.made.values())
        _LOG.warning("%s: %d rows were saved; %s", path.name, rows, done.problem or "nothing was lost")

    def _newest_before(self, name: Name) -> int:
        """Return the newest load in files of earlier spans: what is in a file of this span came after it."""
        start = Name(name.span, OPEN, 0).start_us
        return max((one.touched for one in self._store.shelf.files if one.name.end_us <= start), default=0)

    def _forget_old(self) -> None:
        for path in (self._store.folder / QUARANTINE).glob("*" + KEPT):
            if time.time() - path.stat().st_mtime > _QUARANTINE_S:
                path.unlink()

    async def _delete(self, one: DayFile) -> None:
        await self._store.write(lambda: self._swap(Done({}), {}, [one]))
        self.counts.deleted += 1
        _LOG.info("%s with %d rows is past its time and was deleted", one.path.name, one.count)

    def _names(self, families: tuple[str, ...], span: str) -> dict[str, Name]:
        return {family: self._store.shelf.new_name(family, span, at) for at, family in enumerate(families)}

    def _job(self, kind: str, inputs: list[str], outputs: dict[str, str]) -> Job:
        return Job(kind, str(self._store.folder), tuple(inputs), outputs, memory=self._memory)

    async def _run(self, job: Job) -> Done:
        """Have a job done. Raises TransientError; then nothing of it is left."""
        try:
            await asyncio.to_thread(self._need_room, job)
            return await self._process(job)
        except OSError as error:
            raise TransientError(f"readings store: {job.kind}: {error.strerror}") from error
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._sweep, job))
            raise

    def _need_room(self, job: Job) -> None:
        wanted = 2 * sum((self._store.folder / name).stat().st_size for name in job.inputs) if job.outputs else 0
        if wanted and shutil.disk_usage(self._store.folder).free < wanted + _SPARE_BYTES:
            raise TransientError(f"readings store: the disk has no room to {job.kind} {', '.join(job.inputs)}")

    def _sweep(self, job: Job) -> None:
        for pattern in (*job.outputs.values(), *(f"{left}-*{PART}" for left in ("copy", "good", "network-points"))):
            for path in self._store.folder.glob(f"{pattern}*"):
                path.unlink(missing_ok=True)

    async def _process(self, job: Job) -> Done:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.store.rewrite",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            said, complaint = await asyncio.gather(process.stdout.read(), process.stderr.read())
            if await process.wait() != os.EX_OK:
                text = complaint.decode(errors="replace").strip().rpartition("\n")[2]
                raise TransientError(f"readings store: {job.kind} of {', '.join(job.inputs)}: {text or 'was killed'}")
        finally:
            process.stdin.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return msgspec.json.decode(said, type=Done)
