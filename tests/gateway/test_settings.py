"""What every table of the configuration has in common."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from alarms.tickets.http import http_url
from collectors.modbus_config import parse_url
from collectors.mqtt_config import broker_address
from gateway.settings import Secret, Settings
from gateway.store.influx import WebAddress


class Table(Settings):
    token: Secret | None = None


def test_a_secret_in_the_configuration_is_refused_without_being_told() -> None:
    with pytest.raises(ValidationError) as caught:
        Table.model_validate({"token": "s3cret"})
    (problem,) = caught.value.errors()
    assert "must not stand in the configuration" in problem["msg"]
    assert "s3cret" not in problem["msg"]
    assert Table.model_validate({"token": {"env": "TOKEN"}}).token == Secret(env="TOKEN")


class Server(Settings):
    url: WebAddress


@pytest.mark.parametrize(
    ("read", "scheme"),
    [
        (broker_address, "mqtt"),
        (parse_url, "tcp"),
        (http_url, "http"),
        (lambda url: Server.model_validate({"url": url}), "https"),
    ],
)
@pytest.mark.parametrize("secret", ["s3cret", "s3/c@ret"])
def test_a_password_in_an_address_is_refused_without_being_told(
    read: Callable[[str], object], scheme: str, secret: str
) -> None:
    with pytest.raises(ValueError) as caught:
        read(f"{scheme}://desk:{secret}@host:1")
    said = caught.value.errors()[0]["msg"] if isinstance(caught.value, ValidationError) else str(caught.value)
    assert "s3" not in said
    assert "desk" not in said
    assert "://…@" in said or "without user" in said
