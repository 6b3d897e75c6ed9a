"""The commands that examine an analysis, as a person meets them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gateway import cli
from tests.gateway.scoring.examined_city import event, finding, write_city


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["gasgate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_an_answer_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    city = write_city(tmp_path / "city", [event(1, "leak", 50, size_pct=3.0, size_m3_per_day=2.0)])
    answer, figures = tmp_path / "f.json", tmp_path / "figures.json"
    answer.write_text(json.dumps({"findings": [finding("leak", "R-2", 50.5)], "loss": []}))
    assert call(monkeypatch, "score", city, answer, "--json", figures) == 0
    told = capsys.readouterr().out
    assert "\nQ 100.0 of 100\n" in told
    assert "\n2-5 %                                  1  1.00  1.00  1.00  1.00\n" in told
    assert "found within 24 h of that: 1 of 1, in prompt zones 0 of 0" in told
    assert json.loads(figures.read_text())["kinds"]["leak"]["delay_median_d"] == 0.5


def test_what_cannot_be_scored_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "score", tmp_path / "no", tmp_path / "none.json") == 2
    assert f"error {tmp_path / 'no' / 'truth.json'}: cannot read: No such file" in capsys.readouterr().err
    assert call(monkeypatch, "causality", tmp_path / "no") == 2
    assert "is this the folder of a dataset?" in capsys.readouterr().err
