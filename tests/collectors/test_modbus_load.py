"""How much of a link's time its polls need."""

from typing import Any

import pytest

from collectors.modbus import load_of, make_unit
from collectors.modbus_config import LinkConfig, ModbusConfig
from collectors.modbus_load import ANSWER_S, line_cost, loads

POINT = """
name = "load"
description = "two points far apart, polled at two rates"
every_s = {every_s}
point = [
  {{ quantity = "flow_base_m3h", at = "holding:0", type = "uint16" }},
  {{ quantity = "temperature_c", at = "holding:100", type = "uint16", every_s = {slow_s} }},
]
golden = [{{ ask = "03 0000 0001", reply = "03 02 0001", gives = {{ flow_base_m3h = 1 }} }}]
"""


def link_of(profile: str, units: int, url: str = "tcp://127.0.0.1", **changes: Any) -> LinkConfig:
    unit = [{"unit": number + 1, "profile": profile, "asset": f"M-{number:06d}"} for number in range(units)]
    return LinkConfig.model_validate({"name": "a", "url": url, "unit": unit, **changes})


def load(link: LinkConfig) -> list[float]:
    return loads(link, [make_unit(unit, link) for unit in link.units])


@pytest.fixture
def profile(tmp_path: Any) -> str:
    path = tmp_path / "load.toml"
    path.write_text(POINT.format(every_s=1, slow_s=10), encoding="utf-8")
    return str(path)


def test_requests_of_all_rates_are_counted(profile: str) -> None:
    assert load(link_of(profile, 3)) == pytest.approx([3 * (1 + 0.1) * ANSWER_S])
    assert load(link_of(profile, 3, pause_s=0.1)) == pytest.approx([3 * 1.1 * (ANSWER_S + 0.1)])


def test_several_connections_share_the_load(profile: str) -> None:
    assert load(link_of(profile, 3, connections=2)) == pytest.approx([2 * 1.1 * ANSWER_S, 1.1 * ANSWER_S])


def test_rates_that_hardly_ever_meet(tmp_path: Any) -> None:
    path = tmp_path / "load.toml"
    path.write_text(POINT.format(every_s=1.001, slow_s=86399.9), encoding="utf-8")
    assert load(link_of(str(path), 1)) == pytest.approx([(1 / 1.001 + 1 / 86399.9) * ANSWER_S])


def test_a_serial_line_takes_as_long_as_its_characters(profile: str) -> None:
    link = link_of(profile, 1, "rtu:///dev/null", serial={"baud": 1200, "parity": "even"})
    # 8 bytes there, 7 back, seven characters of silence, 11 bits each
    one_s = 22 * 11 / 1200 + ANSWER_S
    assert load(link) == pytest.approx([1.1 * one_s], rel=1e-5)
    cost = line_cost(link)
    assert cost is not None
    assert cost.register_us == round(2 * 11 / 1200 * 1e6)
    assert line_cost(link_of(profile, 1)) is None


def test_a_line_without_time_left_is_named(profile: str) -> None:
    links = [link_of(profile, 30), link_of(profile, 40).model_copy(update={"name": "b"})]
    (warning,) = load_of(ModbusConfig.model_construct(name="site", links=tuple(links)))
    assert warning.startswith("source site, link b: its polls take about 88% of its time")
