"""Commands for the people who may sign in."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli_parts import EXIT_CODES, ConfigFile, out

users = typer.Typer(
    help="The people who may sign in: add the first administrator, list, disable, unlock, give a new password. "
    "All of it works while the gateway runs, and when nobody can sign in any more.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="Name to sign in with.")]


@users.command("add", epilog=EXIT_CODES)
def user_add(
    config: ConfigFile,
    name: Name,
    role: Annotated[
        str, typer.Option(help="viewer, operator, engineer, auditor, manager or administrator.")
    ] = "administrator",
    language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
) -> None:
    """Add a person. The password is asked for, or read from standard input when that is no terminal.

    A password has at least 10 characters and is not the name nor one that everybody tries first. Somebody of this name
    gets the new password and role instead, and their sessions end.

    Example: gasgate user add gasgate.toml wang --role operator
    """
    from gateway import app as site
    from gateway.config import load

    loaded = load(config)
    site.add_person(loaded, name, _password(), role, language)
    out.print(f"{escape(name)} may now sign in as {escape(role)}")


@users.command("list", epilog=EXIT_CODES)
def user_list(config: ConfigFile) -> None:
    """List the people who may sign in, with their roles and when they last did.

    Example: gasgate user list gasgate.toml
    """
    from gateway import app as site
    from gateway.config import load

    for person in site.list_people(load(config)):
        notes = [
            "disabled" if person.disabled else "",
            f"vouched for by {person.issuer}" if person.issuer else "",
            "must change the password" if person.must_change else "",
            "" if person.last_login_at is None else f"last signed in {_moment(person.last_login_at)}",
        ]
        told = "; ".join(note for note in notes if note)
        out.print(f"{escape(person.name):<24} {person.role}{f'  ({escape(told)})' if told else ''}", soft_wrap=True)


@users.command("disable", epilog=EXIT_CODES)
def user_disable(config: ConfigFile, name: Name) -> None:
    """Keep a person out: sessions end at once, tokens no longer work. What they did stays in the audit trail.

    Example: gasgate user disable gasgate.toml wang
    """
    _change(config, name, "user.disable", disabled=True)
    out.print(f"{escape(name)} may no longer sign in")


@users.command("enable", epilog=EXIT_CODES)
def user_enable(config: ConfigFile, name: Name) -> None:
    """Let a person who was disabled sign in again, with the password and role as before.

    Example: gasgate user enable gasgate.toml wang
    """
    _change(config, name, "user.enable", disabled=False)
    out.print(f"{escape(name)} may sign in again")


@users.command("unlock", epilog=EXIT_CODES)
def user_unlock(config: ConfigFile, name: Name) -> None:
    """Let a person try again at once whom failed sign-ins have locked out; else that ends after five minutes.

    Example: gasgate user unlock gasgate.toml wang
    """
    from gateway import app as site
    from gateway.config import load

    was = site.unlock_person(load(config), name)
    out.print(f"{escape(name)} {'may try again' if was else 'was not locked out'}")


@users.command("password", epilog=EXIT_CODES)
def user_password(config: ConfigFile, name: Name) -> None:
    """Give a person a new password, asked for or read from standard input; their sessions end, the role stays.

    Example: gasgate user password gasgate.toml wang
    """
    from gateway import app as site
    from gateway.config import load

    site.give_password(load(config), name, _password())
    out.print(f"{escape(name)} has a new password")


def _change(config: ConfigFile, name: str, act: str, **values: bool) -> None:
    from gateway import app as site
    from gateway.config import load

    site.change_person(load(config), name, act, **values)


def _password() -> str:
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    return sys.stdin.readline().rstrip("\n")


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
