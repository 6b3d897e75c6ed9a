"""The configuration of accounts: how long sessions last, and which identity provider vouches for people."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from api.roles import Role
from gateway.settings import ConfigPath, Secret, Settings


def guarded_address(address: str) -> str:
    """Return an address if nobody between can read along: HTTPS, or HTTP to this machine. Raises ValueError."""
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return address
    if parts.scheme == "http" and _is_own(parts.hostname or ""):
        return address
    raise ValueError('must be like "https://login.example.com"; plain http only to this machine')


def _is_own(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Text = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class AccountRules:
    """How long sessions last, and whether a password is enough."""

    session_s: int = 12 * 3600
    idle_s: int = 3600
    """a session that nobody used for so long has ended"""
    always_on: frozenset[Role] = frozenset({Role.OPERATOR})
    """roles whose sessions do not end by not being used: a control room's page is watched, not clicked"""
    passwords: bool = True
    """False: only an identity provider lets people in"""


class OidcConfig(Settings):
    """An OpenID Connect provider that vouches for people; leave the table out where there is none."""

    issuer: Annotated[str, Field(max_length=300), AfterValidator(guarded_address)]
    """its issuer identifier, exactly as its discovery document says it"""
    client_id: Text
    """name under which gasgate is registered there"""
    client_secret: Secret
    """secret of this client, in a file or environment variable"""
    roles: Annotated[dict[Text, Role], Field(min_length=1, max_length=100)]
    """value of the role claim -> role, the first that fits counts; who has none of them may not come in"""
    role_claim: Text = "groups"
    """claim that says what somebody is; dots lead into it, as in "realm_access.roles" """
    name_claim: Text = "preferred_username"
    """claim that becomes the person's name here"""
    scopes: Annotated[tuple[Text, ...], Field(max_length=20)] = ("openid", "profile")
    """what is asked of the provider"""
    title: Annotated[str, Field(max_length=60)] = ""
    """words on the button of the log-in page; empty: "Log in with your company account" """
    ca_file: ConfigPath | None = None
    """PEM file with the authorities that sign the provider's certificate; empty: those of this machine"""


class AccountsConfig(Settings):
    """Log-in and sessions."""

    session_hours: Annotated[float, Field(gt=0, le=168)] = 12.0
    """a session ends so long after its log-in; a shift"""
    idle_minutes: Annotated[float, Field(ge=1, le=10080)] = 60.0
    """a session that nobody uses ends after this"""
    always_on: tuple[Role, ...] = (Role.OPERATOR,)
    """roles whose sessions do not end by not being used: a control room's page is watched, not clicked"""
    passwords: bool = True
    """false: only the identity provider lets people in"""
    oidc: OidcConfig | None = None

    @model_validator(mode="after")
    def _some_way_in(self) -> Self:
        if not self.passwords and self.oidc is None:
            raise ValueError("passwords = false leaves no way to log in; add [accounts.oidc] or leave passwords on")
        return self

    @property
    def rules(self) -> AccountRules:
        """What the log-in goes by."""
        return AccountRules(
            session_s=int(self.session_hours * 3600),
            idle_s=int(self.idle_minutes * 60),
            always_on=frozenset(self.always_on),
            passwords=self.passwords,
        )
