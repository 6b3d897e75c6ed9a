"""What every plan of a city must keep, whatever drew it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.network import ZoneKind
from simulators.ground import Ground, Pipe, regulator_index
from simulators.networks.graph import neighbours, reached

LEVELS = (ZoneKind.CITY, ZoneKind.DISTRICT, ZoneKind.REGULATOR, ZoneKind.BUILDING)


def check_ground(ground: Ground, *, longer_than_m: float = 0.0) -> None:
    """Fail unless every customer is joined to the regulator of its zone by pipes of that zone and its buildings."""
    index = regulator_index(ground)
    columns = [index[place.zone] for place in ground.places]
    assert columns == sorted(columns)
    names = [zone.zone_id for zone in ground.zones]
    assert len(set(names)) == len(names)
    assert len({pipe.pipe_id for pipe in ground.pipes}) == len(ground.pipes)
    assert len({zone.name for zone in ground.zones}) == len(names)
    kinds = {zone.zone_id: zone.kind for zone in ground.zones}
    for zone in ground.zones:
        if zone.parent_id:
            assert LEVELS.index(kinds[zone.parent_id]) == LEVELS.index(zone.kind) - 1
        own = sum(pipe.volume_m3 for pipe in ground.pipes if pipe.zone == zone.zone_id)
        if zone.pipe_volume_m3 is not None:
            assert abs(zone.pipe_volume_m3 - own) < 0.01
    for column, zone_id in enumerate(ground.regulator_zones):
        regulator = ground.regulator_of(zone_id)
        pipes = list(pipes_below(ground, column))
        joined = neighbours(pipes)
        seen = reached(joined, (regulator.x_m, regulator.y_m))
        assert seen == set(joined)
        places = {(p.x_m, p.y_m) for p in ground.places if index[p.zone] == column}
        assert places <= seen
    assert all(pipe.length_m > longer_than_m for pipe in ground.pipes if pipe.kind != "main")


def pipes_below(ground: Ground, column: int) -> Iterator[Pipe]:
    """Yield the pipes that the regulator at a position feeds."""
    index = regulator_index(ground)
    return (pipe for pipe in ground.pipes if index.get(pipe.zone) == column)
