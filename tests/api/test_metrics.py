"""What monitoring reads at /metrics, as its own parser understands it."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.deps import Parts
from api.services.metrics import reason_class
from gateway.ports import DeadLetter
from gateway.store import health_rows
from gateway.store.dead_rows import put_dead
from tests.api.conftest import Api
from tests.api.sample_store import SampleStore


async def figures(rest: Api) -> dict[tuple[str, ...], float]:
    async with rest.as_user("viewer") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            assert re.fullmatch(r"gasgate_[a-z_]+", sample.name)
            assert set(sample.labels) <= {"source", "class", "reason"}
            key = (
                sample.name,
                *(sample.labels[name] for name in ("source", "class", "reason") if name in sample.labels),
            )
            assert key not in found, "a doubled figure makes the whole scrape fail"
            found[key] = sample.value
    return found


async def test_metrics_name_readings_lags_links_alarms_outbox_and_roles(rest: Api, parts: Parts) -> None:
    health_rows.beat(parts.state, "alarm", ok=False, detail={"seq": 1200})
    seen = await figures(rest)
    assert seen["gasgate_readings_total", "remote-meters", "stored"] == 41190
    assert seen["gasgate_readings_total", "remote-meters", "duplicate"] == 36
    assert seen["gasgate_readings_total", "remote-meters", "dead_lettered"] == 4
    assert seen["gasgate_readings_total", "stations", "refused"] == 0
    assert seen["gasgate_readings_in_flight", "stations"] == 0
    assert seen["gasgate_loader_lag_records",] == 0
    assert seen["gasgate_judging_lag_records",] == 4
    assert seen["gasgate_spool_bytes",] == 8_400_000
    assert (seen["gasgate_stream_up", "influxdb"], seen["gasgate_stream_lag_records", "influxdb"]) == (1, 0)
    assert seen["gasgate_stream_readings_total", "influxdb", "written"] == 50310
    assert seen["gasgate_links", "stations", "down"] == 1
    assert seen["gasgate_links", "correctors", "unknown"] == 1
    assert seen["gasgate_links", "correctors", "up"] == seen["gasgate_links", "correctors", "down"] == 0
    assert seen["gasgate_alarms_unacknowledged", "P1"] >= 1
    assert seen["gasgate_alarms", "P1"] >= seen["gasgate_alarms_unacknowledged", "P1"]
    assert seen["gasgate_outbox", "retry"] == 3
    assert (seen["gasgate_role_up", "alarm"], seen["gasgate_role_up", "keep"]) == (0, 1)
    assert seen["gasgate_store_up",] == 1


async def test_dead_letters_are_counted_by_kind_of_reason_and_never_by_meter(rest: Api, parts: Parts) -> None:
    before = sum(value for key, value in (await figures(rest)).items() if key[0] == "gasgate_dead_letters")
    letters = [(9_000 + n, 0, DeadLetter("new", "t", b"", f"unknown meter M-{n:06d}", 1)) for n in range(300)]
    put_dead(parts.state, letters)
    seen = await figures(rest)
    assert seen["gasgate_dead_letters", "new", "unknown_meter"] == 300
    assert sum(value for key, value in seen.items() if key[0] == "gasgate_dead_letters") == before + 300


async def test_what_role_keep_does_not_say_is_missing_and_not_zero(rest: Api, parts: Parts) -> None:
    assert isinstance(parts.store, SampleStore)
    parts.store.down = True
    await rest.transport.app.state.pulse.refresh()  # type: ignore[attr-defined]
    seen = await figures(rest)
    assert seen["gasgate_store_up",] == 0
    assert not [key for key in seen if key[0].startswith(("gasgate_readings", "gasgate_links", "gasgate_loader"))]
    assert seen["gasgate_role_up", "keep"] == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("unknown meter M-000123", "unknown_meter"),
        ("not JSON: line 1", "not_json"),
        ("no readings", "no_readings"),
        ("M-000123 is odd", "other"),
        ("", "other"),
        ("é", "other"),
    ],
)
def test_a_reasons_class_is_its_fixed_words(reason: str, expected: str) -> None:
    assert reason_class(reason) == expected
