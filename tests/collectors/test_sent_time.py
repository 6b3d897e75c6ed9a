"""The moment of sending in a message, from the payload to the clock of the meter."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.payload import Mapper, TopicMapping
from gateway.model.quantity import Quantity

S = 1_000_000
NOW = 1_770_000_000 * S


def mapping(**more: Any) -> TopicMapping:
    base = {
        "filter": "gas/{meter}/up",
        "each": "$.readings[*]",
        "time": {"path": "t", "as": "epoch_s"},
        "values": {"register_measured_m3": "v"},
        "sent": {"path": "$.sent", "as": "epoch_s"},
    }
    return TopicMapping.model_validate({**base, **more})


def rows(message: dict[str, Any], **more: Any) -> list[tuple[Quantity, int, float]]:
    body = {"readings": [{"t": NOW // S - 60, "v": 12.5}], **message}
    found = Mapper(mapping(**more), ["M-1"]).read("gas/M-1/up", json.dumps(body).encode(), NOW)
    return list(zip(found.quantities, found.source_time.tolist(), found.value.tolist(), strict=True))


def test_the_moment_of_sending_is_a_reading_of_its_own():
    register = (Quantity.REGISTER_MEASURED_M3, NOW - 60 * S, 12.5)
    assert rows({"sent": NOW // S - 400}) == [register, (Quantity.SENT, NOW - 400 * S, 1.0)]
    assert rows({"sent": NOW // S - 400}) == rows({"sent": NOW // S - 400}), "sent again it is the same reading"


@pytest.mark.parametrize("sent", [None, "soon", 0, -1, True, {"at": 1}, 10**20])
def test_a_message_without_a_readable_moment_is_as_good_as_another(sent):
    assert [quantity for quantity, _, _ in rows({"sent": sent})] == [Quantity.REGISTER_MEASURED_M3]
    assert [quantity for quantity, _, _ in rows({})] == [Quantity.REGISTER_MEASURED_M3]


def test_a_message_about_several_meters_has_no_sender():
    with pytest.raises(ValidationError, match="of the meter in the topic"):
        mapping(filter="gas/up", meter="m")
