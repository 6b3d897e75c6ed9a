"""The examples of docs/influxdb.md can be used as they stand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np

from gateway.model.network import Network, Zone, ZoneKind
from gateway.model.reading import PointId, ReadingBatch
from gateway.store.interval_lines import interval_lines
from gateway.store.interval_rows import IntervalRow
from gateway.store.line_names import LineNames
from gateway.store.lines import LineFormat
from gateway.store.outputs import OUTPUTS

TEXT = (Path(__file__).parents[3] / "docs" / "influxdb.md").read_text(encoding="utf-8")
TABLES = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)]
LINES = re.findall(r"```text\n(.*?)\n```", TEXT, re.DOTALL)
NETWORK = Network({"R-001": Zone("R-001", "", ZoneKind.REGULATOR, "")}, {}, {}, {})


class InZone(Network):
    """Every asset lies in zone R-001."""

    def zone_of(self, asset: str) -> str:
        return "R-001"


def test_every_example_is_a_configuration() -> None:
    outputs, names = TABLES
    made = [OUTPUTS[one["kind"]].Config.model_validate(one) for one in outputs["output"]]
    assert [one.name for one in made] == ["city", "old-dashboards"]
    assert LineNames.model_validate(names["output"]["lines"]).measurement == "gas"


def test_the_lines_are_those_that_are_sent() -> None:
    reading, day = LINES
    network = InZone(NETWORK.zones, {}, {}, {})
    form = LineFormat(lambda _: [PointId("M-000123/register_measured_m3")], network)
    batch = ReadingBatch.build(np.zeros(1, np.uint32), [int(reading.split()[-1])], 0, [123.456])
    (body,) = form.bodies(batch, form.sort(batch))
    assert body.data.decode() == reading
    row = IntervalRow(
        meter="M-000123", gas_day="2026-01-01", begins=int(day.split()[-1]), ends=0, units=2345, decimals=3,
        status="measured", method="", rules="", left_at=None, right_at=None, step_units=None, who="", note="",
        computed_at=0, revision=1,
    )  # fmt: skip
    assert [line for _, line in interval_lines([row], "gas_day_volume", network)] == [day]
