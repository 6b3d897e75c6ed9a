"""The table of what a mechanism is worth, on a city too small to say much."""

import pytest

from benchmarks import detection
from benchmarks.exam_cities import City
from benchmarks.without import PARTS


@pytest.mark.slow
def test_a_part_is_switched_off_in_its_turn_and_told_with_what_the_loss_becomes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detection, "cities_of", lambda _: [City("exam", 5, 1, 20, 20)])
    monkeypatch.setattr(detection, "PARTS", {"temperature": PARTS["temperature"]})
    figures = detection.run(quick=False, keep=tmp_path, ablation=True)
    head, *lines = (line.split() for line in capsys.readouterr().out.splitlines()[-3:])
    assert head[:2] == ["switched", "off"]
    assert [line[0] for line in lines] == ["nothing", "temperature"]
    errors = [figures[f"without_{part}_loss error"] for part in ("nothing", "temperature")]
    assert errors[0] != errors[1]
    assert [line[-2] for line in lines] == [f"{error:.3f}" for error in errors]
