"""Texts in the languages of the catalogues under `locale/`; English is what the code says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "locale"
LANGUAGES = {"zh": "中文", "en": "English"}
DEFAULT = "zh"


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: str
    messages: Mapping[str, str]

    def __call__(self, message: str, **values: object) -> str:
        """Return a text in this language with its `{places}` filled; the English one where none is known."""
        text = self.messages.get(message) or message
        return text.format(**values) if values else text


@cache
def texts(language: str) -> Texts:
    """Return the texts of a language, of the default one if it is not known."""
    known = language if language in LANGUAGES else DEFAULT
    with (FOLDER / known / "LC_MESSAGES" / "gasgate.po").open("rb") as file:
        catalogue = read_po(file, locale=known)
    messages = {message.id: message.string for message in catalogue if isinstance(message.id, str) and message.id}
    return Texts(known, {key: value for key, value in messages.items() if isinstance(value, str)})


def mark(message: str) -> str:
    """Mark a text for the catalogues where it is not shown at once."""
    return message
