"""A provider that lies: every ID token that does not hold is refused, whatever it says."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from api import oidc
from api.account_config import OidcConfig
from api.oidc import WITHIN_S, Provider
from api.pages.next_page import local_path
from api.roles import Role
from gateway.errors import RefusedError, TransientError

CLIENT, SECRET = "gasgate", "the secret of the client, 32 and more"


@dataclass
class Liar:
    """An OpenID provider whose every word a test may change."""

    port: int = 0
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one"}))
    metadata: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    body: bytes = b""
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> bytes:
        self.asked.append(path)
        if self.body:
            return self.body
        if path.startswith("/.well-known"):
            known = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("authorization", "token", "userinfo")}
            return json.dumps({
                "issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **known, **self.metadata
            }).encode()  # fmt: skip
        if path == "/jwks":
            return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()
        return json.dumps({"id_token": self.token, "access_token": "at", "token_type": "Bearer"}).encode()


@pytest.fixture
def liar() -> Iterator[Liar]:
    made = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = made.answer(self.path)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


class Wall:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def provider(liar: Liar, wall: Wall, tmp_path: Path) -> Provider:
    (tmp_path / "secret").write_text(SECRET)
    config = OidcConfig.model_validate({
        "issuer": liar.issuer, "client_id": CLIENT, "client_secret": {"file": str(tmp_path / "secret")},
        "roles": {"ops": "operator"},
    })  # fmt: skip
    return Provider(config, "https://gas.example.com", wall)


def claims(liar: Liar, wall: Wall, asked: str, /, **changed: Any) -> dict[str, Any]:
    known = {
        "iss": liar.issuer, "aud": CLIENT, "sub": "s-1", "iat": int(wall.now), "exp": int(wall.now) + 300,
        "nonce": asked, "preferred_username": "wang", "groups": ["ops"],
    }  # fmt: skip
    return {name: value for name, value in {**known, **changed}.items() if value is not None}


def begun(provider: Provider) -> tuple[str, str, str]:
    """Begin a log-in; return its cookie, state and nonce."""
    started = provider.begin("/loss")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(started.address).query).items()}
    return started.cookie, asked["state"], asked["nonce"]


def outcome(provider: Provider, liar: Liar, wall: Wall, **changed: Any) -> Any:
    cookie, state, nonce = begun(provider)
    liar.token = jwt.encode({"alg": "ES256", "kid": "one"}, claims(liar, wall, nonce, **changed), liar.key)
    return provider.finish(cookie, {"code": "c", "state": state})


def test_strangers_who_begin_many_log_ins_keep_nobody_out(
    provider: Provider, liar: Liar, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "_MOST_USED", 3)
    for _ in range(5):
        cookie, state, _ = begun(provider)
        with pytest.raises(RefusedError, match="access_denied"):
            provider.finish(cookie, {"error": "access_denied", "state": state})
    with pytest.raises(RefusedError, match="was used"):
        provider.finish(cookie, {"code": "c", "state": state})
    assert outcome(provider, liar, wall)[0].name == "wang"


def test_an_answer_in_the_name_of_another_provider_is_refused(provider: Provider) -> None:
    for issuer in ("https://evil.example", "签发者"):
        cookie, state, _ = begun(provider)
        with pytest.raises(RefusedError) as refused:
            provider.finish(cookie, {"code": "c", "state": state, "iss": issuer})
        assert refused.value.code == "oidc_failed"


def test_a_true_token_is_believed(provider: Provider, liar: Liar, wall: Wall) -> None:
    who, after = outcome(provider, liar, wall)
    assert (who.name, who.subject, who.role, after) == ("wang", "s-1", Role.OPERATOR, "/loss")
    assert outcome(provider, liar, wall, groups="ops")[0].role is Role.OPERATOR
    assert outcome(provider, liar, wall, groups=["canteen"])[0].role is None
    assert outcome(provider, liar, wall, groups={"ops": True})[0].role is None
    assert liar.asked.count("/jwks") == 1, "keys are kept"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://login.example.com"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another", CLIENT]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"preferred_username": "a\nb"},
        {"preferred_username": ["wang"]},
        {"preferred_username": "x" * 121},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    provider: Provider, liar: Liar, wall: Wall, changed: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError) as refused:
        outcome(provider, liar, wall, **changed)
    assert refused.value.code == "oidc_failed"


def test_a_token_that_nobody_or_the_wrong_key_signed_is_refused(provider: Provider, liar: Liar, wall: Wall) -> None:
    def unsigned(text: dict[str, Any]) -> str:
        parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, text))
        return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])

    def by_client_secret(text: dict[str, Any]) -> str:
        return jwt.encode({"alg": "HS256"}, text, OctKey.import_key(SECRET))

    def by_public_key(text: dict[str, Any]) -> str:
        return jwt.encode({"alg": "HS256", "kid": "one"}, text, OctKey.import_key(json.dumps(liar.key.as_dict())))

    def by_another(text: dict[str, Any]) -> str:
        return jwt.encode({"alg": "ES256", "kid": "one"}, text, ECKey.generate_key("P-256"))

    def own_key(text: dict[str, Any]) -> str:
        other = ECKey.generate_key("P-256", {"kid": "two"})
        return jwt.encode({"alg": "ES256", "jwk": other.as_dict(private=False)}, text, other)

    for make in (unsigned, by_client_secret, by_public_key, by_another, own_key, lambda _: "a.b.c", lambda _: ""):
        cookie, state, nonce = begun(provider)
        liar.token = make(claims(liar, wall, nonce))
        with pytest.raises(RefusedError) as refused:
            provider.finish(cookie, {"code": "c", "state": state})
        assert refused.value.code == "oidc_failed"
        assert SECRET not in str(refused.value)


def test_a_provider_may_change_its_keys(provider: Provider, liar: Liar, wall: Wall) -> None:
    assert outcome(provider, liar, wall)[0].name == "wang"
    wall.now += 120
    liar.key = ECKey.generate_key("P-256", {"kid": "one"})
    assert outcome(provider, liar, wall)[0].name == "wang"
    asked = liar.asked.count("/jwks")
    for _ in range(5):
        with pytest.raises(RefusedError):
            outcome(provider, liar, wall, aud="another")
    assert liar.asked.count("/jwks") == asked, "wrong tokens do not make us ask again and again"


def test_an_answer_is_good_for_ten_minutes_and_for_its_own_question(provider: Provider, liar: Liar, wall: Wall) -> None:
    cookie, state, nonce = begun(provider)
    other, other_state, _ = begun(provider)
    liar.token = jwt.encode({"alg": "ES256", "kid": "one"}, claims(liar, wall, nonce), liar.key)
    good = {"code": "c", "state": state}
    for answer, kept in (
        ({"code": "c"}, cookie),
        ({**good, "state": other_state}, cookie),
        (good, other),
        (good, ""),
        (good, cookie[:-1] + ("0" if cookie[-1] != "0" else "1")),
        (good, "." + cookie.partition(".")[2]),
        (good, "ünsinn.x"),
    ):
        with pytest.raises(RefusedError) as refused:
            provider.finish(kept, answer)
        assert refused.value.code == "oidc_state"
    wall.now += WITHIN_S + 1
    with pytest.raises(RefusedError, match="too long ago"):
        provider.finish(cookie, good)


@pytest.mark.parametrize(
    "answer", [{"error": "access_denied"}, {"code": ""}, {"code": "c", "iss": "https://login.example.com"}]
)
def test_a_no_or_an_answer_of_another_provider_is_refused(provider: Provider, answer: dict[str, str]) -> None:
    cookie, state, _ = begun(provider)
    with pytest.raises(RefusedError) as refused:
        provider.finish(cookie, {**answer, "state": state})
    assert refused.value.code == "oidc_failed"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://login.example.com"},
        {"authorization_endpoint": "http://login.example.com/auth"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
    ],
)
def test_a_provider_that_would_lead_elsewhere_is_not_followed(
    provider: Provider, liar: Liar, metadata: dict[str, Any]
) -> None:
    liar.metadata = metadata
    with pytest.raises(TransientError):
        provider.begin("/")


@pytest.mark.parametrize("body", [b"[]", b"<html>", b"{" * 1_100_000])
def test_an_answer_that_is_no_json_or_never_ends_is_refused(provider: Provider, liar: Liar, body: bytes) -> None:
    liar.body = body
    with pytest.raises(TransientError):
        provider.begin("/")


@pytest.mark.parametrize("path", ["/", "/loss", "/findings/3?a=b&c=1", "/tickets/T-20260115-000005"])
def test_a_log_in_leads_to_a_page_of_this_site(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\/evil.example", "javascript:alert(1)", "",
        "/\n/evil.example", "/\t/evil.example", "/login", "/api/v1/me", '/loss"><script>', "/" + "x" * 400, "loss",
    ],
)  # fmt: skip
def test_a_log_in_leads_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"
