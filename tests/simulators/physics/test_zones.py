"""States of zones: pressure, leak and packed gas agree, whoever asks for which hours; nothing is lost in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.ground import Ground
from simulators.physics import hydraulics, tables
from simulators.physics.errors import NotPhysicalError
from simulators.physics.leak import leak_scale
from simulators.physics.zones import Hole, ZonePhysics, ZoneStates

HOURS = np.arange(480_000, 480_048, dtype=np.int64)
NO_OFFSET = np.zeros((1, 2))
NOMINAL = np.array([12.0, 6.0])


def states_for(physics: ZonePhysics, use: float, leak: float = 0.0, place: float = 0.6) -> ZoneStates:
    holes = [Hole(0, place, np.full(1, leak))] if leak else []
    return physics.states(HOURS[:1], np.full((1, 2), use), holes, NO_OFFSET)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0, 300.0), st.floats(0.0, 300.0))
def test_pressure_falls_with_the_use(small_physics: ZonePhysics, a: float, b: float) -> None:
    less, more = states_for(small_physics, min(a, b)), states_for(small_physics, max(a, b))
    for name in ("mean_kpa", "lowest_kpa", "packed_m3"):
        assert (getattr(less, name) >= getattr(more, name) - 1e-9).all()


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0, 1e4), st.floats(0.0, 300.0), st.floats(0.0, 1.0))
def test_no_pressure_is_above_the_regulators_or_below_the_airs(
    small_physics: ZonePhysics, use: float, leak: float, place: float
) -> None:
    state = states_for(small_physics, use, leak, place)
    assert (state.lowest_kpa <= state.mean_kpa + 1e-9).all()
    assert (state.mean_kpa <= state.outlet_kpa + 1e-9).all()
    assert (state.lowest_kpa >= 0.0).all()
    assert ((state.served > 0.0) | (leak > 0.0)).all()
    assert (state.starved == (state.served < 1.0)).all()


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 30.0), st.floats(0.0, 1.0))
def test_the_leak_fits_its_own_pressure(small_physics: ZonePhysics, size: float, place: float) -> None:
    """At the regulator the pressure is the outlet's, so the orifice law can be checked from outside."""
    state = states_for(small_physics, 10.0, size, 0.0)
    wanted = size * leak_scale(state.outlet_kpa[:, 0], np.array([3.0]))
    assert state.leak_m3h[:, 0] == pytest.approx(wanted, rel=1e-9)
    elsewhere = states_for(small_physics, 10.0, size, place)
    assert elsewhere.leak_m3h[0, 0] <= state.leak_m3h[0, 0] * (1.0 + 1e-9)
    assert elsewhere.leak_m3h[0, 1] == 0.0


def test_a_leak_grows_with_the_pressure(small_physics: ZonePhysics) -> None:
    offsets = np.linspace(-1.0, 0.7, 48)[:, None] * np.ones(2)
    use = np.full((48, 2), 8.0)
    hour = np.full(48, HOURS[0])
    state = small_physics.states(hour, use, [Hole(0, 0.8, np.full(48, 2.0))], offsets)
    assert (np.diff(state.leak_m3h[:, 0]) > 0.0).all()
    assert state.leak_m3h[-1, 0] > 1.3 * state.leak_m3h[0, 0]


def test_any_hour_of_any_zone_is_the_same_alone(small_physics: ZonePhysics, small_ground: Ground) -> None:
    rng = np.random.default_rng(1)
    use, size = rng.uniform(0.0, 40.0, (48, 2)), rng.uniform(0.0, 3.0, 48)
    whole = small_physics.states(HOURS, use, [Hole(1, 0.4, size)], np.zeros((48, 2)))
    part = small_physics.states(HOURS[17:20], use[17:20], [Hole(1, 0.4, size[17:20])], np.zeros((3, 2)))
    second = ZonePhysics(11, small_ground.part(1, 1), NOMINAL[1:])
    alone = second.states(HOURS[17:20], use[17:20, 1:], [Hole(0, 0.4, size[17:20])], np.zeros((3, 1)))
    for name in ("outlet_kpa", "mean_kpa", "lowest_kpa", "leak_m3h", "packed_m3", "served"):
        assert getattr(part, name) == pytest.approx(getattr(whole, name)[17:20], rel=1e-9, abs=1e-12)
        assert getattr(alone, name)[:, 0] == pytest.approx(getattr(whole, name)[17:20, 1], rel=1e-6, abs=1e-9)


def test_what_pipes_cannot_carry_is_cut_and_flagged(small_physics: ZonePhysics) -> None:
    state = states_for(small_physics, 5000.0)
    assert state.starved.all()
    assert (state.lowest_kpa == pytest.approx(0.6, abs=1e-6)) or (state.lowest_kpa >= 0.6 - 1e-6).all()
    assert 0.0 < state.served[0, 0] < 0.5
    assert not states_for(small_physics, 20.0).starved.any()


def test_a_burst_main_takes_what_there_is(small_physics: ZonePhysics) -> None:
    sizes = np.geomspace(1.0, 2000.0, 48)
    state = small_physics.states(np.full(48, HOURS[0]), np.full((48, 2), 8.0), [Hole(0, 1.0, sizes)], np.zeros((48, 2)))
    assert (np.diff(state.leak_m3h[:, 0]) > -1e-6).all()
    assert (np.diff(state.lowest_kpa[:, 0]) <= 1e-6).all()
    assert state.lowest_kpa[-1, 0] < 0.05
    assert state.leak_m3h[-1, 0] < 200.0  # a tenth of what the hole would let out at the set pressure
    assert state.lowest_kpa[:, 1].min() > 2.5


def test_a_frozen_regulator_starves_its_zone(small_physics: ZonePhysics) -> None:
    state = small_physics.states(HOURS[:1], np.full((1, 2), 8.0), [Hole(0, 0.5, np.ones(1))], np.array([[-9.0, 0.0]]))
    assert state.outlet_kpa[0, 0] == 0.0
    assert (state.served[0, 0], state.leak_m3h[0, 0]) == (0.0, 0.0)
    assert state.starved.tolist() == [[True, False]]


@pytest.mark.parametrize("set_kpa", [0.0, -3.0, float("nan"), 5000.0])
def test_a_regulator_that_holds_no_pressure_is_refused(small_ground: Ground, set_kpa: float) -> None:
    stations = tuple(replace(station, set_pressure_gauge_kpa=set_kpa) for station in small_ground.stations)
    with pytest.raises(NotPhysicalError, match="zone R-001: its regulator is set to"):
        ZonePhysics(1, replace(small_ground, stations=stations), NOMINAL)


def test_no_hours_give_no_states(small_physics: ZonePhysics) -> None:
    state = small_physics.states(HOURS[:0], np.zeros((0, 2)), [Hole(0, 0.5, np.zeros(0))], np.zeros((0, 2)))
    assert state.packed_m3.shape == (0, 2)


@pytest.mark.parametrize("use", [-0.1, np.nan, np.inf])
def test_what_is_no_use_is_refused_by_zone_and_hour(small_physics: ZonePhysics, use: float) -> None:
    with pytest.raises(NotPhysicalError, match="zone R-001: its use in hour 480000"):
        states_for(small_physics, use)


def test_what_is_no_hole_is_refused(small_physics: ZonePhysics) -> None:
    with pytest.raises(NotPhysicalError, match="R-001: a hole's flow is negative"):
        states_for(small_physics, 1.0, -1.0)
    with pytest.raises(NotPhysicalError, match="R-001: a hole of 1000000000 m3/h is wider than any pipe"):
        states_for(small_physics, 1.0, 1e9)
    with pytest.raises(ValueError, match="no place"):
        states_for(small_physics, 1.0, 1.0, 1.5)
    with pytest.raises(ValueError, match="shape"):
        small_physics.states(HOURS, np.zeros((2, 2)), [], NO_OFFSET)


def test_stored_tables_need_no_solver(
    small_ground: Ground, small_physics: ZonePhysics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deep" / "tables.npz"
    ZonePhysics(11, small_ground, NOMINAL, tables=file)
    monkeypatch.setattr(tables, "_MADE", {})
    monkeypatch.setattr(hydraulics, "solve", lambda *_, **__: pytest.fail("solved again"))
    again = ZonePhysics(11, small_ground, NOMINAL, tables=file)
    assert states_for(again, 30.0, 2.0).leak_m3h == pytest.approx(states_for(small_physics, 30.0, 2.0).leak_m3h)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x00" * 500])
def test_a_damaged_file_of_tables_is_made_again(small_ground: Ground, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tables.npz"
    file.write_bytes(content)
    one = small_ground.part(1, 1)
    ZonePhysics(11, one, NOMINAL[1:], tables=file)
    assert len(tables._read(file)) == 1


def test_zones_of_one_shape_share_a_table(small_ground: Ground) -> None:
    moved = [replace(pipe, zone="R-9", line=tuple((x + 5000.0, y) for x, y in pipe.line)) for pipe in small_ground.pipes
             if pipe.zone == "R-002"]  # fmt: skip
    regulator = small_ground.regulator_of("R-002")
    twin = replace(
        small_ground.part(1, 1),
        zones=(*small_ground.part(1, 1).zones, replace(small_ground.zones[-1], zone_id="R-9", parent_id="CITY")),
        stations=(regulator, replace(regulator, zone_id="R-9", station_id="REG-9", x_m=regulator.x_m + 5000.0)),
        places=(*small_ground.part(1, 1).places, *(replace(place, zone="R-9", x_m=place.x_m + 5000.0)
                for place in small_ground.places if place.zone == "R-002")),
        pipes=(*small_ground.part(1, 1).pipes, *moved),
        regulator_zones=("R-002", "R-9"),
        shapes=("a", "a"),
    )  # fmt: skip
    physics = ZonePhysics(11, twin, np.array([6.0, 6.0]))
    assert physics.responses[0] is physics.responses[1]
