"""Commands for the people who may sign in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli_parts import EXIT_CODES, ConfigFile, out

users = typer.Typer(help="Add and list the people who may sign in.", no_args_is_help=True)


@users.command("add", epilog=EXIT_CODES)
def user_add(
    config: ConfigFile,
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[
        str, typer.Option(help="viewer, operator, engineer, auditor, manager or administrator.")
    ] = "administrator",
    language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
) -> None:
    """Add a person. The password is asked for, or read from standard input when that is no terminal.

    Example: gasgate user add gasgate.toml wang --role operator
    """
    from gateway import app as site
    from gateway.config import load

    loaded = load(config)
    password = (
        typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\n")
    )
    site.add_person(loaded, name, password, role, language)
    out.print(f"{escape(name)} may now sign in as {escape(role)}")


@users.command("list", epilog=EXIT_CODES)
def user_list(config: ConfigFile) -> None:
    """List the people who may sign in, with their roles.

    Example: gasgate user list gasgate.toml
    """
    from gateway import app as site
    from gateway.config import load

    for name, role, disabled in site.list_people(load(config)):
        out.print(f"{escape(name):<24} {role}{'  (disabled)' if disabled else ''}", soft_wrap=True)
