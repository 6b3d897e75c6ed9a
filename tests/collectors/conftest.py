"""What the tests of several collectors share."""

from collections.abc import Callable
from functools import partial

import pytest

from collectors.mqtt import MqttCollector
from tests.collectors.mqtt_peers import make_source


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Callable[..., MqttCollector]:
    """Return a function that makes a collector of a broker's port, with a client id of the test's own."""
    return partial(make_source, request.node.name)
