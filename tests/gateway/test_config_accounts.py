"""The configuration of accounts: what cannot be meant, or would be unsafe, is refused with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.roles import Role
from gateway.checking import check_file
from gateway.config import load
from gateway.errors import ConfigError

SITE = """
[site]
id = "hq"
[data]
folder = "data"
[network]
folder = "network"
"""
WEB = '[web]\npublic_url = "https://gas.example.com"\n'
OIDC = """
[accounts.oidc]
issuer = "https://login.example.com/realms/gas"
client_id = "gasgate"
client_secret = { file = "oidc.secret" }
roles = { ops = "operator", admins = "administrator" }
"""


def problems(folder: Path, text: str) -> str:
    file = folder / "gasgate.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(file)
    return str(refused.value)


def test_sessions_last_a_shift_and_an_hour_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "gasgate.toml"
    file.write_text(SITE)
    rules = load(file).accounts.rules
    assert (rules.session_s, rules.idle_s, rules.always_on, rules.passwords) == (
        43200,
        3600,
        frozenset({Role.OPERATOR}),
        True,
    )
    file.write_text(SITE + '[accounts]\nsession_hours = 8\nidle_minutes = 15\nalways_on = ["operator", "manager"]\n')
    rules = load(file).accounts.rules
    assert (rules.session_s, rules.idle_s, rules.always_on) == (28800, 900, frozenset({Role.OPERATOR, Role.MANAGER}))


def test_a_provider_keeps_the_order_of_its_roles(tmp_path: Path) -> None:
    file = tmp_path / "gasgate.toml"
    file.write_text(SITE + WEB + OIDC)
    oidc = load(file).accounts.oidc
    assert oidc is not None
    assert list(oidc.roles.items()) == [("ops", Role.OPERATOR), ("admins", Role.ADMINISTRATOR)]
    assert oidc.client_secret.file == tmp_path / "oidc.secret"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OIDC, "accounts.oidc needs web.public_url"),
        (WEB + OIDC.replace("https://login", "http://login"), "plain http only to this machine"),
        (WEB + OIDC.replace("https://login", "ftp://login"), "plain http only to this machine"),
        (WEB + OIDC.replace('"operator"', '"king"'), "accounts.oidc.roles.ops"),
        (WEB + OIDC.replace('{ ops = "operator", admins = "administrator" }', "{}"), "accounts.oidc.roles"),
        (WEB + OIDC.replace('{ file = "oidc.secret" }', '"hunter2"'), "must not stand in the configuration"),
        ("[accounts]\npasswords = false\n", "leaves no way to log in"),
        ("[accounts]\nsession_hours = 0\n", "accounts.session_hours"),
        ('[accounts]\nalways_on = ["nobody"]\n', "accounts.always_on"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, told: str) -> None:
    said = problems(tmp_path, SITE + text)
    assert told in said
    assert "hunter2" not in said


def test_a_secret_that_is_missing_is_told_by_the_check(tmp_path: Path) -> None:
    file = tmp_path / "gasgate.toml"
    file.write_text(SITE + WEB + OIDC)
    assert any("oidc.secret: cannot read the secret" in str(finding) for finding in check_file(file))
    (tmp_path / "oidc.secret").write_text("a secret")
    (tmp_path / "oidc.secret").chmod(0o644)
    told = [str(finding) for finding in check_file(file) if "oidc.secret" in str(finding)]
    assert told
    assert all("every user of this machine may read the secret" in text for text in told)


@pytest.mark.parametrize("proxy", ["*", "proxy.example.com", "0.0.0.0/33", ""])
def test_a_proxy_is_an_address_so_that_not_everybody_is_believed(tmp_path: Path, proxy: str) -> None:
    assert "web.proxies" in problems(tmp_path, f'{SITE}[web]\nproxies = ["{proxy}"]\n')


def test_a_proxy_may_be_a_network(tmp_path: Path) -> None:
    (tmp_path / "gasgate.toml").write_text(f'{SITE}[web]\nproxies = ["192.0.2.0/28", "::1"]\n')
    assert load(tmp_path / "gasgate.toml").web.proxies == ("192.0.2.0/28", "::1")
