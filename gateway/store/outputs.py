"""The kinds of output that a configuration may name."""

from __future__ import annotations

from gateway.store.influx import InfluxV1, InfluxV2

OUTPUTS: dict[str, type[InfluxV1 | InfluxV2]] = {"influx_v1": InfluxV1, "influx_v2": InfluxV2}
"""Each takes (config, names of points, network) and is a `gateway.ports.Output`."""
