"""Ten thousand malformed requests from a seed: every one is answered, none with a server error."""

from __future__ import annotations

import json
import random
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.app import make_rest
from api.deps import Parts
from gateway.store import view_rows
from tests.api.conftest import Api
from tests.api.sample_state import PASSWORD

REQUESTS = 10_000
SKIPPED = {"/api/v1/logout", "/api/v1/live", "/api/v1/login"}
"""what would end the session, never end, or cost a password check each; log-in has a test of its own below"""
TEXTS = [
    "",
    " ",
    "\x00",
    "\ud800",
    "9" * 400,
    "-1",
    "1e400",
    "NaN",
    "'; DROP TABLE alarm; --",
    "GAS_CONC_HIHI@REG-002",
    "@",
    "../../etc/passwd",
    "%00%ff",
    "{",
    "é" * 300,
    "气",
    "\u202e",
    "2026-01-14",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-01-14T20:00:00",
    "x" * 3000,
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    2**53 + 1,
    2**64,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"a": {"a": {}}},
    *TEXTS,
]
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "multipart/form-data",
    "",
    "a" * 200,
]
RAW = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff\xfe\x00",
    b'{"a":' * 5000,
    b'{"occurrence_no":1' + b"0" * 5000 + b"}",
    b"x" * 70_000,
]


class Maker:
    """Makes requests out of the API's own description, each broken somewhere."""

    def __init__(self, described: dict[str, Any], seed: int) -> None:
        self._dice = random.Random(seed)
        self._schemas = described["components"]["schemas"]
        self._operations = [
            (method, path, operation)
            for path, methods in sorted(described["paths"].items())
            for method, operation in sorted(methods.items())
            if path not in SKIPPED
        ]

    def request(self) -> dict[str, Any]:
        method, path, operation = self._dice.choice(self._operations)
        if self._dice.random() < 0.05:
            method = self._dice.choice(["put", "patch", "delete", "head", "options", "get", "post"])
        query = []
        for parameter in operation.get("parameters", []):
            text = self._text()
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", _quoted(text) or "-")
            elif self._dice.random() < 0.7:
                query.append(f"{parameter['name']}={_quoted(text)}")
        headers = {"content-type": self._dice.choice(TYPES) if self._dice.random() < 0.2 else TYPES[0]}
        if self._dice.random() < 0.1:
            headers["authorization"] = self._dice.choice(
                ["Bearer", "Bearer gg_1_x", "Basic eDp5", "Bearer gg_\u00e9_x"]
            )
        return {
            "method": method.upper(),
            "url": path + ("?" + "&".join(query) if query else ""),
            "content": self._body(operation),
            "headers": {name: value.encode("latin1") for name, value in headers.items()},
        }

    def _text(self) -> str:
        return self._dice.choice(TEXTS)

    def _body(self, operation: dict[str, Any]) -> bytes:
        if "requestBody" not in operation or self._dice.random() < 0.2:
            return self._dice.choice(RAW)
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        names = self._schemas[reference.rpartition("/")[2]]["properties"]
        body = {name: self._good(name) for name in names}
        for name in self._dice.sample(sorted(names), self._dice.randint(0, len(names))):
            body[name] = self._dice.choice(VALUES)
        if self._dice.random() < 0.2:
            body.pop(self._dice.choice(sorted(body)))
        if self._dice.random() < 0.1:
            body[self._text()] = self._dice.choice(VALUES)
        return json.dumps(body).encode()

    def _good(self, name: str) -> Any:
        known = {"occurrence_no": 1, "minutes": 5, "reason": "why", "role": "viewer", "days": 1, "status": "honest"}
        return known.get(name, f"n{self._dice.randrange(10**9)}" if name == "request_id" else "text")


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_ten_thousand_malformed_requests_are_answered(rest: Api, parts: Parts) -> None:
    statuses: dict[int, int] = {}
    async with rest.as_user("admin") as client:
        maker = Maker((await client.get("/api/v1/openapi.json")).json(), 20261122)
        cookie = f"gasgate_session={client.cookies['gasgate_session']}"
        begun = time.monotonic()
        for number in range(REQUESTS):
            made = maker.request()
            made["headers"]["cookie"] = cookie.encode()
            answer = await client.send(client.build_request(**made))
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, (number, made, answer.text)
        assert (await client.get("/api/v1/me")).status_code == 200
        assert time.monotonic() - begun < 120
    assert {200, 404, 422} <= set(statuses), statuses
    with parts.state.read() as connection:
        assert view_rows.alarm_counts(connection), "the alarms are still there"


async def test_a_malformed_log_in_is_refused_without_a_word_of_it(rest: Api) -> None:
    secret = "hunter2-very-secret"
    bodies: list[Any] = [
        {"name": secret, "password": 5},
        {"name": ["x"], "password": secret},
        {"name": "x\x00", "password": secret},
        {"name": "x", "password": secret * 200},
        {"name": "x", "password": secret, "more": secret},
        secret,
        [secret],
    ]
    async with rest.nobody() as client:
        for body in bodies:
            answer = await client.post("/api/v1/login", json=body)
            assert answer.status_code == 422, body
            assert secret not in answer.text
        form = await client.post("/api/v1/login", data={"name": "viewer", "password": PASSWORD})
        assert form.status_code in {415, 422}
        assert "set-cookie" not in form.headers
        raw = await client.post("/api/v1/login", content=b"\xff", headers={"content-type": "application/json"})
        assert raw.status_code in {400, 422}


async def test_odd_lengths_and_endless_bodies_are_cut_off(rest: Api) -> None:
    async def endless() -> Any:
        for _ in range(200):
            yield b"x" * 1024

    async with rest.nobody() as client:
        for length in ("-1", "x", "9" * 30, "\u00b2"):
            headers = {b"content-length": length.encode("utf-8"), b"content-type": b"application/json"}
            request = httpx.Request("POST", "http://gasgate.test/api/v1/login", content=b"{}", headers=headers)
            assert (await client.send(request)).status_code == 413, length
        for path in ("/api/v1/login", "/api/v1/ticket-events"):
            answer = await client.post(path, content=endless(), headers={"content-type": "application/json"})
            assert answer.status_code in {400, 413}, path


async def test_whoever_hangs_up_before_the_body_is_there_is_no_fault_of_the_server(parts: Parts) -> None:
    app, said = make_rest(parts), list[Any]()

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"application/cloudevents+json"), (b"content-length", b"400")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    path = {"path": "/api/v1/ticket-events", "raw_path": b"/api/v1/ticket-events", "root_path": "", "query_string": b""}
    async with app.router.lifespan_context(app):
        await app({**scope, **path, "headers": headers, "client": ("127.0.0.1", 9), "server": ("x", 80)}, receive, send)
    assert said[0]["status"] == 400
