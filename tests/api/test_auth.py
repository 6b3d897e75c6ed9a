"""Log-in, lock-out, sessions and tokens under attack: no race, no way around, no right that outlives its owner's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from api import auth
from api.auth import FAILURES, LOCKED_S, REMEMBERED_NAMES, Authenticator, LockOut, add_user
from api.deps import Parts
from api.roles import Role
from api.services import acts
from api.services.findings import inspect, send
from gateway.errors import RefusedError
from gateway.model.finding import InspectionResult
from gateway.runtime.clock import SystemClock
from gateway.store import user_rows
from gateway.store.state import State
from tests.api.conftest import Api
from tests.api.sample_state import CHEAP_HASH, PASSWORD

GAS = "GAS_CONC_HIHI@REG-002"


class Wall:
    """Real time that a test moves."""

    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State.in_folder(tmp_path)
    save(made, "boss", "administrator")
    save(made, "eva", "engineer")
    yield made
    made.close()


def save(state: State, name: str, role: str, *, disabled: bool = False) -> None:
    with state.write() as connection:
        user_rows.save_user(connection, user_rows.UserRow(name, CHEAP_HASH, role, "en", disabled), 1)


def refusal(call, *arguments) -> tuple[int, str]:
    with pytest.raises(RefusedError) as refused:
        call(*arguments)
    return refused.value.status, refused.value.code


def test_guesses_at_once_are_no_more_than_guesses_one_by_one(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_room", threading.BoundedSemaphore(64))
    checked: list[str] = []

    def slow(_hash: str, password: str) -> bool:
        checked.append(password)
        time.sleep(0.05)
        return False

    monkeypatch.setattr(auth, "_verify", slow)
    desk = Authenticator(state, SystemClock())
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda n: refusal(desk.login, "boss", f"guess-{n}", "")[0], range(30)))
    assert sorted(answers) == [401] * FAILURES + [429] * (30 - FAILURES)
    assert len(checked) == FAILURES


def test_a_lock_ends_by_itself_and_success_ends_the_count(state: State) -> None:
    wall = Wall()
    desk = Authenticator(state, SystemClock(), wall)
    for _ in range(FAILURES - 1):
        assert refusal(desk.login, "boss", "wrong-password", "") == (401, "wrong_login")
    desk.login("boss", PASSWORD, "")
    for _ in range(FAILURES):
        assert refusal(desk.login, "boss", "wrong-password", "") == (401, "wrong_login")
    assert refusal(desk.login, "boss", PASSWORD, "") == (429, "locked")
    wall.now += LOCKED_S - 1
    assert refusal(desk.login, "boss", PASSWORD, "") == (429, "locked"), "a refused try makes no lock longer or shorter"
    wall.now += 2
    assert desk.login("boss", PASSWORD, "").user.name == "boss"


def test_a_locked_name_writes_nothing_and_memory_is_bounded(state: State) -> None:
    desk = Authenticator(state, SystemClock())
    for _ in range(FAILURES):
        refusal(desk.login, "boss", "wrong-password", "")
    with state.read() as connection:
        before = user_rows.count_audit(connection)
    for _ in range(50):
        assert refusal(desk.login, "boss", "wrong-password", "")[0] == 429
    with state.read() as connection:
        assert user_rows.count_audit(connection) == before
    lock_out = LockOut(Wall())
    for number in range(REMEMBERED_NAMES + 50):
        lock_out.try_one(str(number))
    assert len(lock_out._failed) == REMEMBERED_NAMES


def test_a_flood_of_log_ins_leaves_threads_to_others(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(auth, "_verify", lambda _hash, _password: held.wait(5))
    desk = Authenticator(state, SystemClock())
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(refusal, desk.login, f"stranger-{n}", "password", "") for n in range(8)]
        while auth._room._value:
            time.sleep(0.01)
        assert refusal(desk.login, "boss", PASSWORD, "") == (503, "busy")
        held.set()
        assert {one.result() for one in waiting} == {(401, "wrong_login")}
    assert desk.login("boss", PASSWORD, "").user.name == "boss"


def test_a_new_password_ends_every_session_of_its_owner(state: State) -> None:
    desk = Authenticator(state, SystemClock())
    stolen, other = desk.login("eva", PASSWORD, "").session, desk.login("boss", PASSWORD, "").session
    add_user(state, "eva", "another password", "engineer", "en")
    assert desk.of_session(stolen) is None
    assert desk.of_session(other) is not None


def test_every_log_in_has_a_session_of_its_own(state: State) -> None:
    desk = Authenticator(state, SystemClock())
    first, second = desk.login("eva", PASSWORD, "").session, desk.login("eva", PASSWORD, "").session
    assert first.split("_", 2)[1] != second.split("_", 2)[1]
    mixed = "_".join(("gs", first.split("_", 2)[1], second.split("_", 2)[2]))
    assert desk.of_session(mixed) is None
    assert desk.of_token(first) is None


def test_a_token_never_has_more_rights_than_its_owner_has_now(state: State) -> None:
    desk = Authenticator(state, SystemClock())
    boss = desk.login("boss", PASSWORD, "").user
    _, strong = desk.make_token(boss, "strong", Role.ADMINISTRATOR, 1)
    _, weak = desk.make_token(boss, "weak", Role.VIEWER, 1)
    save(state, "boss", "operator")
    assert desk.of_token(strong) is None
    assert (found := desk.of_token(weak)) is not None
    assert found.role is Role.VIEWER
    save(state, "boss", "operator", disabled=True)
    assert desk.of_token(weak) is None


async def test_a_token_can_make_and_end_no_tokens(rest: Api) -> None:
    async with rest.as_user("admin") as client:
        made = (await client.post("/api/v1/tokens", json={"name": "t", "role": "viewer", "days": 1})).json()
    async with rest.nobody() as machine:
        machine.headers["authorization"] = f"Bearer {made['token']}"
        more = await machine.post("/api/v1/tokens", json={"name": "t2", "role": "viewer", "days": None})
        assert (more.status_code, more.json()["code"]) == (403, "session_only")
        ended = await machine.request("DELETE", f"/api/v1/tokens/{made['id']}", json={})
        assert (ended.status_code, ended.json()["code"]) == (403, "session_only")
        assert (await machine.get("/api/v1/me")).status_code == 200


async def test_a_session_that_came_with_the_browser_is_not_taken_over(rest: Api) -> None:
    planted = "gs_0123456789abcdef_" + "x" * 43
    async with rest.nobody() as client:
        client.cookies["gasgate_session"] = planted
        answer = await client.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD})
        assert planted not in answer.headers["set-cookie"]
        client.cookies.clear()
        client.cookies["gasgate_session"] = planted
        assert (await client.get("/api/v1/me")).status_code == 401


def test_what_a_page_offers_or_not_the_act_itself_asks_for_the_right(parts: Parts) -> None:
    """Pages call services directly, on events that any browser can send."""
    viewer, operator = (parts.auth.login(name, PASSWORD, "").user for name in ("viewer", "operator"))
    until = parts.clock.now() + timedelta(minutes=5)
    for call in (
        lambda user: acts.acknowledge(parts, user, GAS, 1, "r-1"),
        lambda user: acts.shelve(parts, user, GAS, until, "quiet", "r-2"),
        lambda user: acts.unshelve(parts, user, GAS, 1, "r-3"),
        lambda user: acts.reset(parts, user, GAS, "r-4"),
        lambda user: inspect(parts, user, 1, InspectionResult.HONEST),
        lambda user: send(parts, user, 1),
    ):
        assert refusal(call, viewer) == (403, "forbidden")
    assert refusal(inspect, parts, operator, 1, InspectionResult.HONEST) == (403, "forbidden")
    assert acts.one_alarm(parts, GAS).letter == "B"
    assert acts.acknowledge(parts, operator, GAS, 1, "r-5").letter == "C"


def test_a_page_left_open_acts_no_more_when_the_session_has_ended(parts: Parts) -> None:
    opened = parts.auth.login("operator", PASSWORD, "")
    parts.auth.logout(opened.session)
    assert refusal(acts.acknowledge, parts, opened.user, GAS, 1, "r-1") == (401, "login_required")
    lowered = parts.auth.login("operator", PASSWORD, "").user
    save(parts.state, "operator", "viewer")
    assert refusal(acts.acknowledge, parts, lowered, GAS, 1, "r-2") == (403, "forbidden")
    assert acts.one_alarm(parts, GAS).letter == "B"
