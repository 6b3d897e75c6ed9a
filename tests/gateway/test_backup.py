"""Backup of a site that is in use, and putting it back."""

from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.backup import back_up, put_back
from gateway.cli import app
from gateway.config import load
from gateway.errors import GatewayError
from gateway.roles.common import open_state, ticket_policy
from gateway.store import user_rows
from gateway.store.intervals import IntervalStore
from tests.gateway.store.test_intervals import DAY, METERS, add, columns

SITE = """
[site]
id = "hq"
[data]
folder = "data"
epoch = 3
state_reserve_mib = 0
[network]
folder = "network"
"""


@pytest.fixture
def site(tmp_path) -> Any:
    file = tmp_path / "gasgate.toml"
    file.write_text(SITE, encoding="utf-8")
    return load(file)


def note(site, text) -> None:
    state = open_state(site)
    with state.write() as connection:
        user_rows.add_audit(connection, 1, "wang", text, subject="")
    state.close()


def notes(site) -> Any:
    state = open_state(site)
    with state.read() as connection:
        found = [row.act for row in user_rows.list_audit(connection, None, 10)]
    state.close()
    return found


def epoch(site) -> int:
    state = open_state(site)
    found = ticket_policy(site, state).epoch
    state.close()
    return int(found)


def test_what_was_backed_up_comes_back_with_other_ticket_keys(site, tmp_path):
    note(site, "before")
    store = IntervalStore(site.data.folder / "intervals")
    add(store, columns())
    in_use = open_state(site)
    size, files = back_up(site, tmp_path / "out")
    assert (size > 10_000, files) == (True, 2)
    assert [folder.stat().st_mode & 0o027 for folder in (tmp_path / "out", site.data.folder)] == [0, 0]
    with pytest.raises(GatewayError, match="in use"):
        put_back(site, tmp_path / "out")
    in_use.close()
    note(site, "after")
    assert epoch(site) == 3
    (lost,) = (site.data.folder / "intervals" / f"gas_day={DAY}").iterdir()
    lost.unlink()
    put_back(site, tmp_path / "out")
    assert notes(site) == ["before"]
    assert len(store.of_meter(METERS[0], DAY, DAY)) == 1
    first = epoch(site)
    assert first > 1_700_000_000, "the moment of the restoration, not a number that somebody must raise"
    put_back(site, tmp_path / "out")
    assert epoch(site) >= first
    store.close()


def test_what_is_no_backup_changes_nothing(site, tmp_path):
    note(site, "kept")
    for name in ("nothing", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "broken":
            (folder / "state.db").write_bytes(b"x" * 9000)
        with pytest.raises(GatewayError, match="no whole state database"):
            put_back(site, folder)
    assert notes(site) == ["kept"]
    with pytest.raises(GatewayError, match="not empty"):
        back_up(site, tmp_path / "broken")


def test_the_commands(site, tmp_path):
    note(site, "kept")
    config, out = str(tmp_path / "gasgate.toml"), str(tmp_path / "out")
    told = CliRunner().invoke(app, ["backup", config, out])
    assert (told.exit_code, "1 files" in told.output) == (0, True), told.output
    told = CliRunner().invoke(app, ["restore", config, out])
    assert told.exit_code == 0, told.output
    assert "restored from a copy" in told.output
