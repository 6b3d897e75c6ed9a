from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.network import ZoneKind
from simulators.networks.streets import build_ground
from tests.simulators.networks.grounds import check_ground


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 3), st.floats(0.0, 1.0)
)
def test_every_customer_is_joined_to_the_regulator(seed: int, counts: list[int], per: int, share: float) -> None:
    ground = build_ground(seed, counts, per, flats_share=share)
    check_ground(ground, longer_than_m=0.5)
    assert len(ground.places) == sum(counts)
    assert ground == build_ground(seed, counts, per, flats_share=share)


def test_a_district_holds_its_zones_and_a_building_its_flats() -> None:
    ground = build_ground(4, [80, 80, 80], 2, flats_share=1.0)
    districts = [zone.parent_id for zone in ground.zones if zone.kind is ZoneKind.REGULATOR]
    assert districts == ["D-1", "D-1", "D-2"]
    buildings = {zone.zone_id for zone in ground.zones if zone.kind is ZoneKind.BUILDING}
    assert 6 < len(buildings) < 21
    assert {place.zone for place in ground.places if place.zone not in buildings} <= set(ground.regulator_zones)
    assert sum(place.zone in buildings for place in ground.places) >= 237


def test_a_part_is_what_the_whole_says() -> None:
    ground = build_ground(4, [9, 7, 8], 2, flats_share=0.7)
    part = ground.part(1, 2)
    check_ground(part, longer_than_m=0.5)
    assert part.places == ground.places[9:]
    assert (part.first_zone, part.first_place) == (1, 9)
    assert part.part(1, 1) == ground.part(2, 1)
    assert part.part(1, 1).first_place == 16
    assert [zone.zone_id for zone in part.zones if zone.kind is ZoneKind.DISTRICT] == ["D-1", "D-2"]
    assert {station.station_id for station in part.stations} == {"S-01", "S-02", "REG-002", "REG-003"}
    with pytest.raises(ValueError, match="no regulator zones"):
        ground.part(2, 2)


def test_a_zone_with_many_customers_gets_wide_pipes() -> None:
    small, large = build_ground(1, [80]), build_ground(1, [4000])
    assert max(pipe.dn_mm for pipe in small.pipes if pipe.zone == "R-001") == 200
    assert min(pipe.dn_mm for pipe in large.pipes if pipe.kind == "distribution") >= 400


@pytest.mark.parametrize(("counts", "per", "share"), [([], 2, 0.0), ([-1], 2, 0.0), ([5], 0, 0.0), ([5], 2, 1.5)])
def test_a_city_that_cannot_be_is_refused(counts: list[int], per: int, share: float) -> None:
    with pytest.raises(ValueError, match="a city needs zones"):
        build_ground(1, counts, per, flats_share=share)
