"""The words for what a line of the audit trail tells besides: names of its parts, and values that are words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api.pages.parts import act_words, service_words, words
from api.services.format import UNKNOWN
from api.text import Texts, mark

_QUIET = frozenset({"request_id", "peer", "entered_late", "digest", "new_key"})
"""what tells a person nothing that does not stand beside it"""
PARTS = {
    "how": mark("by"),
    "reason": mark("reason"),
    "why": mark("why"),
    "role": mark("role"),
    "before": mark("before"),
    "after": mark("after"),
    "name": mark("name"),
    "days": mark("days"),
    "acts": mark("acts"),
    "sessions": mark("sessions"),
    "seconds": mark("seconds"),
    "language": mark("language"),
    "issuer": mark("identity provider"),
    "as": mark("known there as"),
    "was_locked": mark("was locked"),
    "ticket": mark("ticket"),
    "revision": mark("revision"),
    "refused": mark("refused because"),
    "work_order": mark("work order"),
    "asked_by": mark("asked for by"),
    "test": mark("test"),
    "zones": mark("zones"),
    "assets": mark("assets"),
    "short_notice": mark("at short notice"),
    "what": mark("what"),
    "place": mark("place"),
    "problems": mark("problems"),
    "letters": mark("dead letters"),
    "command": mark("command"),
    "note": mark("note"),
    "result": mark("result"),
    "gas_day": mark("gas day"),
    "value": mark("value"),
    "reached": mark("reached"),
    "kind": mark("kind"),
    "opened": mark("opened"),
    "state": mark("state"),
}
_WORDS = {
    "password": mark("password"),
    "identity provider": mark("identity provider"),
    "no_role": mark("no role"),
    "name_taken": mark("the name is taken"),
    "disabled": mark("disabled"),
}
_KNOWN: Mapping[str, Mapping[str, str]] = {
    "role": words.ROLES,
    "before": {**words.ROLES, **words.STATUSES},
    "after": {**words.ROLES, **words.STATUSES},
    "result": words.STATUSES,
    "what": service_words.SAID,
    "acts": act_words.ACTS,
    "how": _WORDS,
    "why": _WORDS,
    "refused": words.REFUSALS,
    "kind": words.FINDINGS,
}


_WHO = {"system": mark("gasgate itself"), "start": mark("start of gasgate"), "": mark("unknown")}
_REVISION = re.compile(r"revision (\d+)")
_COMMAND_LINE = "command line, "


def who(name: str, tr: Texts) -> str:
    """Return who did it: a person's name, or what the gateway does by itself in words."""
    return tr(_WHO[name]) if name in _WHO else name


def subject(text: str, tr: Texts) -> str:
    """Return what it was done to; a revision of the configuration in words."""
    found = _REVISION.fullmatch(text)
    return tr("revision {number}", number=found[1]) if found else text


def origin(text: str, tr: Texts) -> str:
    """Return from where: an address, or the command line and who sat there."""
    name = text.removeprefix(_COMMAND_LINE)
    return tr("command line, {name}", name=name) if name != text else text or UNKNOWN


def detail(known: Mapping[str, Any], tr: Texts) -> str:
    """Return what a line tells besides, as one text."""
    return " · ".join(
        f"{_name(key, tr)}: {_text(key, value, tr)}"
        for key, value in known.items()
        if key not in _QUIET and value not in (None, "", [])
    )


def _name(key: str, tr: Texts) -> str:
    return tr(PARTS[key]) if key in PARTS else key.replace("_", " ")


def _text(key: str, value: Any, tr: Texts) -> str:
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if isinstance(value, Mapping):
        return ", ".join(f"{_name(str(name), tr)} {_text(str(name), entry, tr)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_text(key, entry, tr) for entry in value)
    text = str(value)
    known = _KNOWN.get(key, {})
    return tr(known[text]) if text in known else text
