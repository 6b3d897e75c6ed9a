"""What pages with forms share: reading what was typed, and acting with a plain word where an act is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.auth import User
from api.deps import Parts
from api.pages.parts import words
from api.roles import Act
from api.text import Texts
from gateway.errors import GatewayError, RefusedError

SUBMIT = "(e) => { e.preventDefault(); emit(JSON.stringify(Object.fromEntries(new FormData(e.target)))) }"
"""what a form sends; `fields` reads it"""
_LONGEST = 10_000
_T = TypeVar("_T")


def fields(event: GenericEventArguments) -> dict[str, str]:
    """Return the fields of a form by name, each bounded."""
    return as_texts(sent(event))


def sent(event: GenericEventArguments) -> object:
    """Return what the browser sent with an event."""
    return event.args[0] if isinstance(event.args, list) and event.args else event.args


def secret_of(value: object, name: str) -> str:
    """Return a field of a JSON text as it was typed, spaces and all, up to 1001 characters: passwords are so."""
    try:
        found = json.loads(str(value)[:_LONGEST])
    except ValueError:
        return ""
    return str(found.get(name, ""))[:1001] if isinstance(found, dict) else ""


def as_texts(value: object) -> dict[str, str]:
    """Return the fields in a JSON text; a browser may send anything."""
    try:
        found = json.loads(str(value)[:_LONGEST])
    except ValueError:
        return {}
    return {str(key)[:40]: str(text)[:500].strip() for key, text in found.items()} if isinstance(found, dict) else {}


def permitted(parts: Parts, user: User, right: Act, act: Callable[[], _T]) -> Callable[[], _T]:
    """Return an act that first asks whether the person still may do it, and lets the audit trail tell from where.

    A page stays open longer than rights last. The act raises RefusedError 401 or 403.
    """

    def ask_and_act() -> _T:
        parts.auth.permit(user, right)
        return act()

    return ask_and_act


async def attempt(tr: Texts, act: Callable[[], _T]) -> _T | None:
    """Return what an act gives, done in a thread; None, and a word to the person, if it is refused or fails."""
    with refusals(tr):
        return await asyncio.to_thread(act)
    return None


@contextmanager
def refusals(tr: Texts, failed: str = "") -> Iterator[None]:
    """Say plainly why what is done here was refused, or that it failed, and go on behind it."""
    try:
        yield
    except RefusedError as error:
        ui.notify(words.refusal(error.code, tr), type="warning", position="top")
    except GatewayError:
        ui.notify(failed or tr("That did not work. Try again."), type="negative", position="top")
