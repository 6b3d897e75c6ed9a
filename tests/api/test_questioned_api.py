"""Questioned readings over REST: two people who decide at once, and a rule of which nothing is asked."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from typing import Any

import pytest

from api.deps import Parts
from gateway.store import edit_rows, user_rows
from gateway.store.intervals import IntervalStore
from gateway.store.user_rows import AuditFilter
from tests.api import sample_questioned
from tests.api.conftest import Api
from tests.api.sample_loss import LAST_DAY
from tests.api.sample_questioned import SPIKE


async def test_of_two_who_decide_at_once_one_changes_nothing(
    rest: Api, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_questioned.add(parts, LAST_DAY)
    async with rest.as_user("auditor") as client:
        listed = (await client.get("/api/v1/questioned-readings")).json()["cases"]
        case = next(one for one in listed if one["meter"] == SPIKE)
        # both have found the case open before either writes
        both, plain = threading.Barrier(2, timeout=60), IntervalStore.of_meter

        def together(store: IntervalStore, meter: str, first: date, last: date) -> Any:
            both.wait()
            return plain(store, meter, first, last)

        monkeypatch.setattr(IntervalStore, "of_meter", together)
        answers = await asyncio.gather(*(
            client.post(
                f"/api/v1/questioned-readings/{case['id']}/decision",
                json={"accept": False, "reason": f"read by hand: {volume}", "volume_m3": volume},
            )
            for volume in (1, 2)
        ))  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [200, 404]
        told = next(answer.json()["reason"] for answer in answers if answer.status_code == 200)
        left = (await client.get("/api/v1/questioned-readings")).json()["cases"]
    assert case["id"] not in [one["id"] for one in left]
    with parts.state.read() as connection:
        edits = list(edit_rows.edits(connection, [SPIKE]).values())
        written = user_rows.count_audit(connection, AuditFilter(act="interval_edited"))
    assert [edit.reason for edit in edits] == [told]
    assert written == 1


async def test_a_rule_of_which_nothing_is_asked_lists_nothing(rest: Api, parts: Parts) -> None:
    sample_questioned.add(parts, LAST_DAY)
    async with rest.as_user("auditor") as client:
        for rule, some in (("", True), ("V08", True), ("V11", False), ("V99", False)):
            found = (await client.get("/api/v1/questioned-readings", params={"rule": rule})).json()["cases"]
            assert bool(found) is some, rule
            assert {one["rule"] for one in found} <= ({rule} if rule else {one["rule"] for one in found})
