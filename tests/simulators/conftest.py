"""A small prepared city that the tests of one run share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simulators.prepare import prepare


@pytest.fixture(scope="session")
def prepared_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prepared folder with ten days of history; nobody writes to it."""
    folder = tmp_path_factory.mktemp("city")
    prepare(folder, seed=3, days=10)
    return folder


@pytest.fixture
def own_city(prepared_city: Path, tmp_path: Path) -> Path:
    """Return a copy of the prepared folder without its history."""
    folder = tmp_path / "city"
    shutil.copytree(prepared_city, folder, ignore=shutil.ignore_patterns("history"))
    return folder
