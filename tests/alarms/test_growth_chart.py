import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import growth_chart


def test_each_point_stands_at_its_place_on_both_logarithmic_axes():
    chart = growth_chart([(1000.0, 0.1), (10_000.0, 1.0), (100_000.0, 100.0)], "meters", "seconds")
    circles = [one for one in ET.fromstring(chart) if one.tag.endswith("circle")]
    x, y = ([float(one.attrib[name]) for one in circles] for name in ("cx", "cy"))
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    assert y[1] - y[2] == pytest.approx(2 * (y[0] - y[1]), abs=0.2)
    assert {"1,000", "100,000", "0.1", "100", "meters", "seconds"} <= set(re.findall(r">([^<>\n]+)</text>", chart))
