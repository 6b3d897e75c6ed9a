"""Every key of the configuration with its meaning, taken from the models themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alarms import TICKET_SINKS
from collectors import COLLECTORS
from gateway.config import Config
from gateway.store.outputs import OUTPUTS

_KINDS: Mapping[str, Mapping[str, Any]] = {"source": COLLECTORS, "output": OUTPUTS, "ticket_sink": TICKET_SINKS}


def describe() -> list[tuple[str, str]]:
    """Return (dotted key, meaning) of every key; a table that repeats is written `name[]`."""
    keys = [("include", "further TOML files beside this one; their lists are added to those here")]
    for name, field in Config.model_fields.items():
        if name in _KINDS:
            for kind, implementation in _KINDS[name].items():
                keys += _of(implementation.Config, f"{name}[{kind}]")
        else:
            keys += _field(field, name)
    return keys


def _of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield from _field(field, f"{prefix}.{field.alias or name}")


def _field(field: FieldInfo, key: str) -> list[tuple[str, str]]:
    nested, repeated = _nested(field.annotation)
    if nested is None:
        return [(key, field.description or "")]
    return list(_of(nested, f"{key}[]" if repeated else key))


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    arguments = getattr(annotation, "__args__", ())
    for argument in arguments:
        found, _ = _nested(argument)
        if found is not None:
            return found, getattr(annotation, "__origin__", None) in (tuple, list)
    return None, False
