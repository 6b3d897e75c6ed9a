"""A real identity provider on loopback: Glewlwyd, with one client and people in groups."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.services import Server, need, pick_free_port

TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
MODULES = Path("/usr/lib/glewlwyd")
ADMINISTRATOR = {"username": "admin", "password": "password"}
"""what the provider's own tables begin with"""
CLIENT_ID, CLIENT_SECRET = "gasgate", "secret-of-the-client"
PASSWORD = "password of the provider"
CONFIG = """
port={port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="WARNING"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{database}"; }};
"""
PEOPLE = {"wei": "gas-operators", "mei": "gas-engineers", "guest": "canteen"}
"""group of each person; nobody of the canteen may come in"""


@dataclass(frozen=True)
class Provider:
    """Where it is, and how a person logs in there."""

    server: Server
    administrator: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/api/oidc"

    def stop(self) -> None:
        """End it."""
        self.administrator.close()
        self.server.stop()

    def redirect_to(self, *addresses: str) -> None:
        """Tell it where the client lives."""
        found = self.administrator.get(f"/api/client/{CLIENT_ID}").json()
        changed = {**found, "redirect_uri": list(addresses)}
        self.administrator.put(f"/api/client/{CLIENT_ID}", json=changed).raise_for_status()

    def approve(self, address: str, who: str) -> str:
        """Log in as somebody, follow an authorization request, return where the browser is sent back to."""
        with httpx.Client(base_url=self.url, timeout=60) as browser:
            said = {"username": who, "password": PASSWORD}
            browser.post("/api/auth/", json=said).raise_for_status()
            browser.put(f"/api/auth/grant/{CLIENT_ID}", json={"scope": "openid g_profile"}).raise_for_status()
            asked = urlsplit(address)
            assert asked.path.startswith("/api/oidc/auth")
            answer = browser.get(f"{address}&g_continue")
            assert answer.status_code == 302, answer.text
            return answer.headers["location"]


def start(folder: Path) -> Provider:
    """Start a provider whose data lie in a folder."""
    program = need("glewlwyd")
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "glewlwyd.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(TABLES.read_text(encoding="utf-8"))
    port = pick_free_port()
    config = folder / "glewlwyd.conf"
    config.write_text(CONFIG.format(port=port, modules=MODULES, database=database), encoding="utf-8")
    server = Server((program, "--config-file", str(config)), port, folder)
    server.start()
    administrator = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
    provider = Provider(server, administrator)
    try:
        _ok(administrator.post("/api/auth/", json=ADMINISTRATOR))
        _fill(provider)
    except BaseException:
        provider.stop()
        raise
    return provider


def _fill(provider: Provider) -> None:
    people = provider.administrator.get("/api/mod/user/database").json()
    people["parameters"]["data-format"]["groups"] = {"multiple": True, "read": True, "write": True}
    _ok(provider.administrator.put("/api/mod/user/database", json=people))
    _ok(provider.administrator.put("/api/mod/user/database/reset/", json={}))
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    parameters: dict[str, Any] = {
        "iss": provider.issuer,
        "jwt-type": "ecdsa",
        "jwt-key-size": "256",
        "key": private,
        "cert": public,
        "jwks-show": True,
        "access-token-duration": 600,
        "refresh-token-duration": 3600,
        "code-duration": 60,
        "refresh-token-rolling": False,
        "allow-non-oidc": False,
        "auth-type-code-enabled": True,
        "auth-type-token-enabled": False,
        "auth-type-id-token-enabled": False,
        "auth-type-none-enabled": False,
        "auth-type-password-enabled": False,
        "auth-type-client-enabled": False,
        "auth-type-device-enabled": False,
        "auth-type-refresh-enabled": False,
        "subject-type": "public",
        "pkce-allowed": True,
        "pkce-required": True,
        "pkce-method-plain-allowed": False,
        "name-claim": "mandatory",
        "claims": [
            {"name": "groups", "user-property": "groups", "type": "string", "mandatory": True},
            {"name": "preferred_username", "user-property": "username", "type": "string", "mandatory": True},
        ],
    }
    plugin = {"module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "parameters": parameters}
    _ok(provider.administrator.post("/api/mod/plugin/", json={**plugin, "order_rank": 0}))
    client = {
        "client_id": CLIENT_ID,
        "name": "gasgate",
        "enabled": True,
        "confidential": True,
        "password": CLIENT_SECRET,
        "authorization_type": ["code"],
        "token_endpoint_auth_method": ["client_secret_basic"],
        "redirect_uri": ["http://127.0.0.1/"],
        "scope": [],
    }
    _ok(provider.administrator.post("/api/client/", json=client))
    for name, group in PEOPLE.items():
        person = {"username": name, "name": name.title(), "password": PASSWORD, "enabled": True, "groups": [group]}
        _ok(provider.administrator.post("/api/user/", json={**person, "scope": ["openid", "g_profile"]}))


def _ok(answer: httpx.Response) -> None:
    assert answer.is_success, f"{answer.request.url} {answer.status_code} {answer.text}"


def code_of(address: str) -> str:
    """Return the code in the address that a browser is sent back to."""
    return parse_qs(urlsplit(address).query)["code"][0]
