"""Addresses that a device does not have, in a form that outlasts a restart. Pure."""

from __future__ import annotations

from typing import Any

from collectors.modbus_unit import Unit
from gateway.model.profile import RegisterTable, Span

_MOST = 10_000


def holes_as_json(unit: Unit) -> dict[str, Any]:
    """Return what is known of a unit's holes; a point is named by its place, so that new points do no harm."""
    specs, plan = unit.specs, unit.plan
    return {
        "profile": unit.profile.name,
        "points": [[*_place(unit, row), at] for row, at in plan.holes.items() if row < len(specs)],
        "gaps": [[span.table.value, span.first, span.last, at] for span, at in plan.gaps.items()],
    }


def holes_from_json(unit: Unit, fact: object) -> tuple[dict[int, int], dict[Span, int]]:
    """Return (holes, gaps) for the plan of a unit. What does not fit it any more, or is damaged, is left out."""
    if not isinstance(fact, dict) or fact.get("profile") != unit.profile.name:
        return {}, {}
    rows = {_place(unit, row): row for row in range(len(unit.specs))}
    holes: dict[int, int] = {}
    gaps: dict[Span, int] = {}
    try:
        for table, address, kind, bit, at in fact["points"][:_MOST]:
            if (table, address, kind, bit) in rows:
                holes[rows[table, address, kind, bit]] = int(at)
        for table, first, last, at in fact["gaps"][:_MOST]:
            gaps[Span(RegisterTable(table), int(first), int(last))] = int(at)
    except (KeyError, TypeError, ValueError):
        return {}, {}
    return holes, gaps


def _place(unit: Unit, row: int) -> tuple[str, int, str, int]:
    spec = unit.specs[row]
    return spec.table.value, spec.address, spec.type, spec.bit
