"""Requests that Schemathesis makes from the API's own description, right and wrong ones: none gets a server error."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.api.conftest import Api

THOROUGH = os.environ.get("GASGATE_THOROUGH") == "1"
EXAMPLES, REQUESTS = (80, 10_000) if THOROUGH else (3, 300)
"""of each request and each way, and how many that makes at least; CI has time for few"""
SKIPPED = {"/api/v1/logout", "/api/v1/live", "/api/v1/login"}
"""what would end the session, never end, or cost a password check each"""


@pytest.mark.slow
@pytest.mark.timeout(180 + REQUESTS)
@pytest.mark.filterwarnings("ignore")
async def test_no_request_that_the_description_allows_or_forbids_breaks_the_server(rest: Api) -> None:
    seen: Counter[int] = Counter()
    async with rest.as_user("admin") as client:
        description = (await client.get("/api/v1/openapi.json")).json()
        for made in _requests(description):
            answer = await client.request(**made)
            seen[answer.status_code] += 1
            assert answer.status_code < 500, (made, answer.text)
        assert (await client.get("/api/v1/me")).status_code == 200
    assert {200, 404, 422} <= set(seen), seen
    assert sum(seen.values()) > REQUESTS, seen


def _requests(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import schemathesis
        from schemathesis.generation import GenerationMode

    for result in schemathesis.openapi.from_dict(description).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.path not in SKIPPED:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                yield from _of(operation, operation.as_strategy(generation_mode=mode))


def _of(operation: Any, strategy: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    @given(case=strategy)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def note(case: Any) -> None:
        made.append(case.as_transport_kwargs(base_url="http://gasgate.test"))

    with contextlib.suppress(Unsatisfiable):  # a request without anything in it cannot be wrong
        note()
    return made
