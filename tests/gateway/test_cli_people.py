"""The commands for people: what works while the gateway runs, and when nobody can sign in any more."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.lock_out import FAILURES, Browser, LockOut
from api.passwords import fits
from gateway import cli
from gateway.store import user_rows
from gateway.store.state import State
from gateway.store.user_rows import UserRow

CONFIG = """
[site]
id = "hq"
[data]
folder = "data"
[network]
folder = "network"
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    file = tmp_path / "gasgate.toml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def call(site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    def run(command: str, *arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        monkeypatch.setattr(sys, "argv", ["gasgate", "user", command, str(site), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def person(site: Path, name: str) -> UserRow:
    state = State.in_folder(site.parent / "data")
    try:
        with state.read() as connection:
            found = user_rows.find_user(connection, name)
    finally:
        state.close()
    assert found is not None
    return found


def test_a_person_is_kept_out_let_in_and_given_a_password(site: Path, call: Call) -> None:
    assert call("add", "wang", "--role", "operator", typed="a long sentence\n")[0] == 0
    assert call("disable", "wang")[:2] == (0, "wang may no longer sign in\n")
    assert person(site, "wang").disabled
    assert call("list")[1].split("  ")[-1] == "(disabled)\n"
    assert call("enable", "wang")[:2] == (0, "wang may sign in again\n")
    assert call("password", "wang", typed="another sentence\n")[:2] == (0, "wang has a new password\n")
    now = person(site, "wang")
    assert (now.disabled, now.role, now.must_change) == (False, "operator", False)
    assert fits(now.password_hash, "another sentence")
    state = State.in_folder(site.parent / "data")
    with state.read() as connection:
        lines = user_rows.list_audit(connection, None, 10)
    state.close()
    assert [line.act for line in lines] == ["user.password", "user.enable", "user.disable", "user.save"]
    assert all(line.origin.startswith("command line, ") for line in lines)
    assert "sentence" not in str(lines)


def test_a_lock_is_ended_from_the_command_line(site: Path, call: Call) -> None:
    call("add", "wang", typed="a long sentence\n")
    state = State.in_folder(site.parent / "data")
    try:
        desk = LockOut(state, lambda: 1.7e9)
        for _ in range(FAILURES):
            assert desk.begin("wang", "192.0.2.1", Browser()).wait_s == 0
        assert desk.begin("wang", "192.0.2.1", Browser()).wait_s > 0
        assert call("unlock", "wang")[:2] == (0, "wang may try again\n")
        assert desk.begin("wang", "192.0.2.1", Browser()).wait_s == 0
    finally:
        state.close()


@pytest.mark.parametrize("command", ["disable", "enable", "unlock", "password"])
def test_nobody_of_that_name_is_said(site: Path, call: Call, command: str) -> None:
    code, _, err = call(command, "nobody", typed="a long sentence\n")
    assert code == 2
    assert "nobody: there is nobody of this name" in err


def test_a_weak_password_changes_nothing(site: Path, call: Call) -> None:
    call("add", "wang", typed="a long sentence\n")
    for weak in ("short", "password123", "aaaaaaaaaaaa"):
        code, _, err = call("password", "wang", typed=f"{weak}\n")
        assert code == 2
        assert weak not in err
    assert fits(person(site, "wang").password_hash, "a long sentence")
