"""Log-in, lock-out, sessions and tokens under attack: no race, no way around, no right that outlives its owner's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from api import auth, passwords
from api.auth import Authenticator
from api.deps import Parts
from api.lock_out import FAILURES, FAILURES_OF_ADDRESS, LOCKED_S, Browser, LockOut
from api.roles import Act, Role
from api.services import acts, people, tokens
from api.services.findings import inspect, send
from gateway.errors import RefusedError
from gateway.model.finding import InspectionResult
from gateway.runtime.clock import SystemClock
from gateway.store import credential_rows, user_rows
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

    monkeypatch.setattr(passwords, "fits", slow)
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


def test_a_locked_name_writes_nothing_and_the_counts_are_bounded(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Authenticator(state, SystemClock())
    for _ in range(FAILURES):
        refusal(desk.login, "boss", "wrong-password", "")
    with state.read() as connection:
        before = user_rows.count_audit(connection)
    for _ in range(50):
        assert refusal(desk.login, "boss", "wrong-password", "")[0] == 429
    with state.read() as connection:
        assert user_rows.count_audit(connection) == before
    monkeypatch.setattr(credential_rows, "MOST_FAILURES", 20)
    lock_out = LockOut(state, Wall())
    for number in range(30):
        lock_out.begin(str(number), f"203.0.113.{number}", Browser())
    with state.read() as connection:
        kept = credential_rows.failures(connection, [f"name:{number}" for number in range(30)])
    assert len(kept) <= 20
    assert "name:29" in kept


def test_a_stranger_who_fails_under_every_name_locks_out_nobody_at_a_known_browser(state: State) -> None:
    desk = Authenticator(state, SystemClock(), Wall())
    own = desk.login("boss", PASSWORD, "192.0.2.1").browser
    for name in ("boss", "eva"):
        for _ in range(FAILURES):
            assert refusal(desk.login, name, "wrong-password", "198.51.100.7")[0] == 401
        assert refusal(desk.login, name, PASSWORD, "198.51.100.8") == (429, "locked"), "also from elsewhere"
    assert desk.login("boss", PASSWORD, "192.0.2.1", own).browser == own
    assert refusal(desk.login, "eva", PASSWORD, "192.0.2.1", own) == (429, "locked"), "she was never at this browser"
    stolen_id = Browser(own.id, "x" * 32)
    assert refusal(desk.login, "boss", PASSWORD, "192.0.2.1", stolen_id) == (429, "locked"), "the secret counts"


def test_the_next_shift_makes_the_control_rooms_browser_known_to_itself_too(state: State) -> None:
    desk = Authenticator(state, SystemClock(), Wall())
    shared = desk.login("boss", PASSWORD, "192.0.2.1").browser
    assert desk.login("eva", PASSWORD, "192.0.2.1", shared).browser == shared
    for name in ("boss", "eva"):
        for _ in range(FAILURES):
            refusal(desk.login, name, "wrong-password", "198.51.100.7")
        assert desk.login(name, PASSWORD, "192.0.2.1", shared).user.name == name


def test_guesses_at_a_known_browser_are_counted_there(state: State) -> None:
    desk = Authenticator(state, SystemClock(), Wall())
    own = desk.login("boss", PASSWORD, "192.0.2.1").browser
    for _ in range(FAILURES):
        assert refusal(desk.login, "boss", "wrong-password", "192.0.2.1", own)[0] == 401
    assert refusal(desk.login, "boss", PASSWORD, "192.0.2.1", own) == (429, "locked")
    assert desk.login("boss", PASSWORD, "192.0.2.1").user.name == "boss", "elsewhere nobody failed"


def test_unlocking_opens_a_persons_own_browser_too(state: State) -> None:
    desk = Authenticator(state, SystemClock(), Wall())
    own = desk.login("boss", PASSWORD, "192.0.2.1").browser
    desk.login("eva", PASSWORD, "192.0.2.1", own)
    for name in ("boss", "eva"):
        for _ in range(FAILURES):
            refusal(desk.login, name, "wrong-password", "192.0.2.1", own)
    with state.write() as connection:
        assert desk.lock_out.unlock(connection, "boss")
        assert not desk.lock_out.unlock(connection, "nobody")
    assert desk.login("boss", PASSWORD, "192.0.2.1", own).user.name == "boss"
    assert refusal(desk.login, "eva", PASSWORD, "192.0.2.1", own) == (429, "locked")


def test_a_password_that_is_changed_while_it_is_checked_opens_nothing(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Authenticator(state, SystemClock(), Wall())

    def meanwhile(_hash: str, password: str) -> bool:
        with state.write() as connection:
            user_rows.set_user(connection, "boss", password_hash="another")
            credential_rows.end_sessions_of(connection, "boss")
        return password == PASSWORD

    monkeypatch.setattr(passwords, "fits", meanwhile)
    assert refusal(desk.login, "boss", PASSWORD, "192.0.2.1") == (401, "wrong_login")
    with state.read() as connection:
        assert credential_rows.list_sessions(connection, 0, "boss") == []


def test_an_address_that_tries_many_names_is_locked_and_own_success_does_not_reset_it(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "fits", lambda _hash, password: password == PASSWORD)
    desk = Authenticator(state, SystemClock(), Wall())
    for number in range(FAILURES_OF_ADDRESS - 1):
        assert refusal(desk.login, f"guess-{number}", "wrong-password", "198.51.100.7")[0] == 401
    desk.login("eva", PASSWORD, "198.51.100.7")
    assert refusal(desk.login, "one-more", "wrong-password", "198.51.100.7") == (401, "wrong_login")
    assert refusal(desk.login, "eva", PASSWORD, "198.51.100.7") == (429, "locked")
    assert desk.login("eva", PASSWORD, "192.0.2.1").user.name == "eva"


def test_what_somebody_typed_as_a_name_that_nobody_has_is_not_kept(state: State) -> None:
    desk = Authenticator(state, SystemClock(), Wall())
    assert refusal(desk.login, "my secret password", "eva", "192.0.2.1") == (401, "wrong_login")
    with state.read() as connection:
        (line,) = user_rows.list_audit(connection, None, 10)
    assert (line.act, line.who, line.subject) == ("login.failed", "", "")
    assert "secret" not in str(line)


def test_a_session_that_nobody_uses_ends_but_not_that_of_the_control_room(state: State) -> None:
    wall = Wall()
    desk = Authenticator(state, SystemClock(), wall)
    save(state, "olga", "operator")
    eva, olga = desk.login("eva", PASSWORD, "").session, desk.login("olga", PASSWORD, "").session
    for _ in range(3):
        wall.now += desk.rules.idle_s - 60
        assert desk.of_session(eva) is not None, "use makes it last"
    for _ in range(3):
        wall.now += desk.rules.idle_s / 2
        watching = desk.of_session(olga)
        assert watching is not None
    wall.now += 60
    assert desk.of_session(eva) is None
    wall.now = 1.7e9 + desk.rules.session_s - 1
    assert desk.of_session(olga) is not None
    wall.now += 2
    assert desk.of_session(olga) is None, "a shift is over at some time"


def test_looking_whether_a_session_is_good_does_not_make_it_last(state: State) -> None:
    wall = Wall()
    desk = Authenticator(state, SystemClock(), wall)
    user = desk.login("eva", PASSWORD, "").user
    for _ in range(60):
        wall.now += desk.rules.idle_s / 60
        still = desk.still(user)
    assert still is None


def test_a_flood_of_log_ins_leaves_threads_to_others(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(passwords, "fits", lambda _hash, _password: held.wait(60))
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
    people.save_person(state, "eva", "another one altogether", "engineer", "en", now_us=1)
    assert desk.of_session(stolen) is None
    assert desk.of_session(other) is not None


def test_every_log_in_has_a_session_of_its_own(state: State) -> None:
    desk = Authenticator(state, SystemClock())
    first, second = desk.login("eva", PASSWORD, "").session, desk.login("eva", PASSWORD, "").session
    assert first.split("_", 2)[1] != second.split("_", 2)[1]
    mixed = "_".join(("gs", first.split("_", 2)[1], second.split("_", 2)[2]))
    assert desk.of_session(mixed) is None
    assert desk.of_token(first) is None


def test_a_token_never_has_more_rights_than_its_owner_has_now(parts: Parts) -> None:
    desk = parts.auth
    boss = desk.login("admin", PASSWORD, "").user
    _, strong = tokens.make(parts, boss, "strong", Role.ADMINISTRATOR, days=1)
    _, weak = tokens.make(parts, boss, "weak", Role.VIEWER, days=1)
    save(parts.state, "admin", "operator")
    assert desk.of_token(strong) is None
    assert (found := desk.of_token(weak)) is not None
    assert found.role is Role.VIEWER
    save(parts.state, "admin", "operator", disabled=True)
    assert desk.of_token(weak) is None


def test_a_token_does_only_what_its_scope_names(parts: Parts) -> None:
    boss = parts.auth.login("admin", PASSWORD, "").user
    row, text = tokens.make(parts, boss, "reads", Role.ADMINISTRATOR, days=1, acts=[Act.READ])
    found = parts.auth.of_token(text)
    assert found is not None
    assert row.acts == ("read",)
    assert [act for act in Act if found.may(act)] == [Act.READ, Act.ACCOUNT_OWN]
    assert refusal(acts.acknowledge, parts, found, GAS, 1, "r-1") == (403, "forbidden")
    for scope in ([Act.USER_MANAGE], [Act.READ, Act.TOKEN_OWN], []):
        make = partial(tokens.make, days=1, acts=scope)
        assert refusal(make, parts, boss, "t", Role.ADMINISTRATOR) == (422, "bad_scope")
    beyond = partial(tokens.make, days=1, acts=[Act.ALARM_RESET])
    assert refusal(beyond, parts, boss, "t", Role.VIEWER) == (422, "bad_scope")
    assert refusal(partial(tokens.make, days=367), parts, boss, "t", Role.VIEWER) == (422, "bad_scope")


def test_a_token_that_was_lost_can_change_nobody(parts: Parts) -> None:
    boss = parts.auth.login("admin", PASSWORD, "").user
    lost = parts.auth.of_token(tokens.make(parts, boss, "all", Role.ADMINISTRATOR, days=1)[1])
    assert lost is not None
    for call, *arguments in (
        (partial(people.add, language="en"), "new", "a password of mine", Role.ADMINISTRATOR),
        (people.set_role, "viewer", Role.ADMINISTRATOR),
        (people.give_password, "viewer", "a password of mine"),
        (people.own_password, PASSWORD, "a password of mine"),
        (people.end_others,),
        (tokens.revoke, "abc"),
    ):
        assert refusal(call, parts, lost, *arguments) == (403, "session_only")


async def test_a_token_can_make_and_end_no_tokens(rest: Api) -> None:
    async with rest.as_user("admin") as client:
        made = (await client.post("/api/v1/tokens", json={"name": "t", "role": "viewer", "days": 1})).json()
    async with rest.nobody() as machine:
        machine.headers["authorization"] = f"Bearer {made['token']}"
        more = await machine.post("/api/v1/tokens", json={"name": "t2", "role": "viewer", "days": 1})
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
