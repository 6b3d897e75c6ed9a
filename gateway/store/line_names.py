"""What measurement, tags and fields are called in InfluxDB: text with placeholders, from the configuration."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.settings import Settings

_PLACEHOLDERS = frozenset({"point", "asset", "quantity", "zone"})
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ "})
_TAGS = {"point": "{point}", "asset": "{asset}", "zone": "{zone}"}
_RESERVED = frozenset({"time", "_measurement", "_field", "_time"})


def _template(text: str) -> str:
    rest = _PLACEHOLDER.sub("", text)
    unknown = sorted(set(_PLACEHOLDER.findall(text)) - _PLACEHOLDERS)
    if unknown or "{" in rest or "}" in rest:
        raise ValueError(f"{text!r}: only {{point}}, {{asset}}, {{quantity}} and {{zone}} are filled in")
    if not _writable(text):
        raise ValueError(f"{text!r}: line protocol cannot write a backslash, a control character or nothing at all")
    return text


def _key(text: str) -> str:
    if not _writable(text) or text in _RESERVED:
        raise ValueError(f"{text!r} is no name of a tag or field that InfluxDB can keep")
    return text


Template = Annotated[str, AfterValidator(_template)]
Key = Annotated[str, AfterValidator(_key)]


class LineNames(Settings):
    """Names in InfluxDB. `{point}`, `{asset}`, `{quantity}` and `{zone}` are filled in."""

    measurement: Template = "{quantity}"
    """measurement of a reading"""
    tags: dict[Key, Template] = Field(default_factory=lambda: dict(_TAGS))
    """tags of a reading; one that stays empty is left out"""
    value_field: Key = "value"
    """field of the value, a float; a BAD reading has none"""
    quality_field: Key = "q"
    """field of the quality byte, an integer: severity * 64 + reason"""

    @model_validator(mode="after")
    def _every_point_apart(self) -> Self:
        held = set(_PLACEHOLDER.findall(" ".join([self.measurement, *self.tags.values()])))
        if "point" not in held and not {"asset", "quantity"} <= held:
            raise ValueError(
                "points would overwrite each other: measurement and tags must hold {point}, or {asset} and {quantity}"
            )
        if self.value_field == self.quality_field:
            raise ValueError("value_field and quality_field must differ")
        return self

    def prefix(self, facts: dict[str, str]) -> str:
        """Return measurement and tags of a point, escaped; an empty text if a name cannot be written."""
        tags = {key: _filled(text, facts) for key, text in self.tags.items()}
        return prefix(_filled(self.measurement, facts), tags)


def prefix(measurement: str, tags: dict[str, str]) -> str:
    """Return measurement and tags, escaped; empty tags are left out. An empty text if a name cannot be escaped.

    Line protocol has no way to write a backslash before a comma, or a control character, in a name.
    """
    kept = {key: value for key, value in tags.items() if value}
    if measurement.startswith("#") or not all(_writable(text) for text in (measurement, *kept.values())):
        return ""
    parts = [f"{escaped(key)}={value.translate(_TAG)}" for key, value in sorted(kept.items())]
    return ",".join([measurement.translate(_MEASUREMENT), *parts])


def line_text(text: str) -> str:
    """Return the value of a text field, quoted."""
    plain = "".join(letter for letter in text if letter.isprintable())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped(key: str) -> str:
    """Return the name of a tag or field as line protocol writes it."""
    return key.translate(_TAG)


def _writable(text: str) -> bool:
    return bool(text) and "\\" not in text and text.isprintable()


def _filled(text: str, facts: dict[str, str]) -> str:
    return text.format_map(facts)
