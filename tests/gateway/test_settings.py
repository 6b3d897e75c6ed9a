"""What every table of the configuration has in common."""

import pytest
from pydantic import ValidationError

from gateway.settings import Secret, Settings


class Table(Settings):
    token: Secret | None = None


def test_a_secret_in_the_configuration_is_refused_without_being_told() -> None:
    with pytest.raises(ValidationError) as caught:
        Table.model_validate({"token": "s3cret"})
    (problem,) = caught.value.errors()
    assert "must not stand in the configuration" in problem["msg"]
    assert "s3cret" not in problem["msg"]
    assert Table.model_validate({"token": {"env": "TOKEN"}}).token == Secret(env="TOKEN")
