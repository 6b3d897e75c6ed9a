"""A rewriter that does in a thread what the real one does in a process; the rest is the same."""

import asyncio

import duckdb

from gateway.errors import TransientError
from gateway.store import rewrite
from gateway.store.rewrite import Done, Job
from gateway.store.rewriter import Rewriter


class Here(Rewriter):
    async def _process(self, job: Job) -> Done:
        try:
            return await asyncio.to_thread(rewrite.run, job)
        except duckdb.Error as error:
            raise TransientError(str(error)) from error


async def tidy(rewriter: Rewriter, now_us: int = 2**61) -> None:
    while await rewriter.step(now_us):
        pass
