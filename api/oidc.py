"""Log-in by an OpenID Connect provider: authorization code flow with PKCE, state, nonce, and a checked ID token.

OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3; Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (issuer of the answer).
What a browser must bring back is in a signed cookie of its own, so that nobody else's browser can end a log-in, and
strangers who begin log-ins leave nothing in memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.account_config import OidcConfig, guarded_address
from api.roles import Role
from gateway.errors import RefusedError, TransientError

WITHIN_S = 600
"""time to log in at the provider"""
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""signatures of ID tokens; none of those that the client's own secret, or nothing, could make"""
LEEWAY_S = 60
_KEPT_S = 3600.0
_KEYS_AGAIN_S = 60.0
_LARGEST = 1_000_000
_MOST_USED = 10_000
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody for whom the provider vouches."""

    issuer: str
    subject: str
    name: str
    role: Role | None
    """None: no value of the role claim stands for a role"""


@dataclass(frozen=True, slots=True)
class Begun:
    """A log-in that was begun: where the browser is sent, and what it must bring back."""

    address: str
    cookie: str = field(repr=False)


class Provider:
    """One provider. Blocks while it is asked; safe from several threads."""

    def __init__(self, config: OidcConfig, public_url: str, wall: Callable[[], float] = time.time) -> None:
        """Nothing is asked yet. Raises ConfigError if the secret or the authorities' file cannot be read."""
        self.config = config
        self.redirect_uri = f"{public_url.rstrip('/')}/login/oidc/callback"
        self._secret = config.client_secret.read()
        self._wall = wall
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._used: OrderedDict[str, float] = OrderedDict()
        ca_file = config.ca_file
        self._verify = True if ca_file is None else ssl.create_default_context(cafile=str(ca_file))

    def begin(self, after: str) -> Begun:
        """Begin a log-in that ends on the page `after`. Raises TransientError while the provider is away."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = prepare_grant_uri(
            self._endpoint("authorization_endpoint"),
            client_id=self.config.client_id,
            response_type="code",
            redirect_uri=self.redirect_uri,
            scope=" ".join(dict.fromkeys(("openid", *self.config.scopes))),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "after": after, "at": self._wall()}
        return Begun(address, self._sign(json.dumps(kept)))

    def finish(self, cookie: str, answer: Mapping[str, str]) -> tuple[Vouched, str]:
        """Return who came back, and the page to go on with.

        Raises RefusedError 400 `oidc_state` for an answer that this browser did not ask for, that is old or was used,
        400 `oidc_failed` if the provider said no or its word does not hold; TransientError while it is away.
        """
        kept = self._begun(cookie, answer.get("state", ""))
        issuer = answer.get("iss", self.config.issuer)
        if "error" in answer or not answer.get("code") or issuer != self.config.issuer:
            raise RefusedError(400, "oidc_failed", f"the provider answered {answer.get('error', 'nonsense')[:60]!r}")
        tokens = self._exchange(answer["code"][:4000], kept["verifier"])
        try:
            claims = self._claims(tokens, kept["nonce"])
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise RefusedError(400, "oidc_failed", f"the ID token does not hold: {type(error).__name__}") from error
        return self._vouched(claims, str(tokens.get("access_token", ""))), kept["after"]

    def _begun(self, cookie: str, state: str) -> dict[str, Any]:
        kept = self._read(cookie)
        now = self._wall()
        if kept is None or not 0 <= now - kept["at"] <= WITHIN_S:
            raise RefusedError(400, "oidc_state", "this log-in was not begun here, or too long ago")
        if not hmac.compare_digest(kept["state"].encode(), state.encode()):
            raise RefusedError(400, "oidc_state", "the answer is to another question")
        with self._lock:
            while self._used and next(iter(self._used.values())) < now - WITHIN_S:
                self._used.popitem(last=False)
            if kept["state"] in self._used:
                raise RefusedError(400, "oidc_state", "this answer was used")
            self._used[kept["state"]] = now
            if len(self._used) > _MOST_USED:  # strangers must not keep others out; the provider takes a code once too
                self._used.popitem(last=False)
        return kept

    def _exchange(self, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        auth = None
        known = self._discovered().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in known:
            auth = httpx.BasicAuth(quote(self.config.client_id, safe=""), quote(self._secret, safe=""))
        else:
            form |= {"client_id": self.config.client_id, "client_secret": self._secret}
        return self._json("POST", self._endpoint("token_endpoint"), data=form, auth=auth)

    def _claims(self, tokens: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        text = str(tokens["id_token"])
        try:
            found = jwt.decode(text, self._key_set(fresh=False), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # the provider may have changed its keys since
            found = jwt.decode(text, self._key_set(fresh=True), algorithms=ALGORITHMS)
        options = {
            "iss": {"essential": True, "value": self.config.issuer},
            "aud": {"essential": True, "value": self.config.client_id},
            "sub": {"essential": True},
            "nonce": {"essential": True, "value": nonce},
        }
        params = {"nonce": nonce, "client_id": self.config.client_id, "access_token": tokens.get("access_token")}
        claims = CodeIDToken(found.claims, found.header, options, params)
        claims.validate(now=int(self._wall()), leeway=LEEWAY_S)
        return dict(claims)

    def _vouched(self, claims: Mapping[str, Any], access_token: str) -> Vouched:
        values = _values(claims, self.config.role_claim)
        name = claims.get(self.config.name_claim)
        if (not values or not name) and access_token and "userinfo_endpoint" in self._discovered():
            told = self._json(
                "GET", self._endpoint("userinfo_endpoint"), headers={"authorization": f"Bearer {access_token}"}
            )
            if told.get("sub") == claims["sub"]:
                values = values or _values(told, self.config.role_claim)
                name = name or told.get(self.config.name_claim)
        role = next((role for value, role in self.config.roles.items() if value in values), None)
        subject = str(claims["sub"])
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= 120 or not name.isprintable():
            raise RefusedError(400, "oidc_failed", f"the claim {self.config.name_claim} is no name")
        if not 1 <= len(subject) <= 255:
            raise RefusedError(400, "oidc_failed", "the subject is too long")
        return Vouched(self.config.issuer, subject, name.strip(), role)

    def _discovered(self) -> Mapping[str, Any]:
        with self._lock:
            kept = self._metadata
        if kept is not None and 0 <= self._wall() - kept[0] < _KEPT_S:
            return kept[1]
        found = self._json("GET", f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.config.issuer:
            own = str(found.get("issuer"))[:200]
            raise TransientError(f"the provider calls itself {own!r}: see accounts.oidc.issuer")
        with self._lock:
            self._metadata = (self._wall(), found)
        return found

    def _endpoint(self, name: str) -> str:
        try:
            return guarded_address(str(self._discovered().get(name, "")))
        except ValueError:
            raise TransientError(f"the provider's {name} is missing or not HTTPS") from None

    def _key_set(self, *, fresh: bool) -> KeySet:
        with self._lock:
            kept = self._keys
        age = None if kept is None else self._wall() - kept[0]
        if kept is not None and age is not None and 0 <= age < (_KEYS_AGAIN_S if fresh else _KEPT_S):
            return kept[1]
        keys = KeySet.import_key_set(self._json("GET", self._endpoint("jwks_uri")))  # type: ignore[arg-type]
        with self._lock:
            self._keys = (self._wall(), keys)
        return keys

    def _json(self, method: str, address: str, **how: Any) -> Mapping[str, Any]:
        """Ask the provider. Raises TransientError, and RefusedError for a refusal; neither tells any secret."""
        try:
            with (
                httpx.Client(timeout=_TIMEOUT_S, verify=self._verify, follow_redirects=False) as client,
                client.stream(method, address, **how) as answer,
            ):
                body = b""
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _LARGEST:
                        raise TransientError("the provider's answer is too long")
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"the identity provider does not answer: {type(error).__name__}") from error
        if status in {400, 401, 403}:
            raise RefusedError(400, "oidc_failed", f"the provider refused with {status}")
        try:
            found = json.loads(body) if status == 200 else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TransientError(f"the identity provider answers {status} and no JSON object")
        return found

    def _sign(self, text: str) -> str:
        body = base64.urlsafe_b64encode(text.encode()).decode()
        return f"{body}.{hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()}"

    def _read(self, cookie: str) -> dict[str, Any] | None:
        body, _, mark = cookie.partition(".")
        own = hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()
        if not body or not hmac.compare_digest(own.encode(), mark.encode()):
            return None
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
        return found


def _values(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Return the texts at a claim: one, or those of a list."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for step in path.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(one for one in found if isinstance(one, str)) if isinstance(found, list) else frozenset()
