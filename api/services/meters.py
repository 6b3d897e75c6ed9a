"""The meters of the city: found by any part of id, account or address, page by page, without going through them all.

Whoever may not see customers' data gets it hidden, and finds by the id alone: an address that answers to a guess would
be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from api.auth import User
from api.deps import Parts
from api.services.customers import may_see, meter_for
from gateway.errors import RefusedError
from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterKind, MeterRole, Network

LARGEST_PAGE = 200
LONGEST_TEXT = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; an empty word means any."""

    text: str = ""
    """any part of id, account or address"""
    zone: str = ""
    """with all zones below it"""
    kind: str = ""
    role: str = ""
    customer_class: str = ""
    account: str = ""
    """open, closed or never_opened"""


@dataclass(frozen=True, slots=True)
class Found:
    """Some meters in the order of the company's file; `after` asks for the next ones, None if these are the last."""

    meters: tuple[Meter, ...]
    after: int | None


def find_meters(parts: Parts, user: User, wanted: Wanted, *, after: int = -1, limit: int = 50) -> Found:
    """Return meters that match, behind the row `after`. Blocks, below a second for two million meters.

    An id that is given whole comes alone. Raises RefusedError 404 for an unknown zone, 422 for a word that is none.
    """
    network = parts.network
    _check(network, wanted)
    limit = max(1, min(limit, LARGEST_PAGE))
    text = wanted.text.strip()[:LONGEST_TEXT]
    exact = network.meters.get(text) if text else None
    if exact is not None and after < 0 and _matches(network, exact, wanted):
        return Found((meter_for(user, exact),), None)
    rows = list(islice(_rows(network, wanted, text, after, by_customer=may_see(user)), limit + 1))
    found = tuple(meter_for(user, meter) for _, meter in rows[:limit])
    return Found(found, rows[limit - 1][0] if len(rows) > limit else None)


def classes(network: Network) -> tuple[str, ...]:
    """Return the customer classes of the city, without going through the meters of a large one."""
    if isinstance(network.meters, MeterTable):
        return tuple(sorted(filter(None, network.meters.words["customer_class"])))
    return tuple(sorted({meter.customer_class for meter in network.meters.values()} - {""}))


def every(parts: Parts, user: User, wanted: Wanted) -> Iterator[Meter]:
    """Yield all meters that match, in order. Raises what `find_meters` raises."""
    _check(parts.network, wanted)
    text = wanted.text.strip()[:LONGEST_TEXT]
    rows = _rows(parts.network, wanted, text, -1, by_customer=may_see(user))
    return (meter_for(user, meter) for _, meter in rows)


def _check(network: Network, wanted: Wanted) -> None:
    if wanted.zone and wanted.zone not in network.zones:
        raise RefusedError(404, "unknown_zone")
    if (wanted.kind and wanted.kind not in set(MeterKind)) or (wanted.role and wanted.role not in set(MeterRole)):
        raise RefusedError(422, "bad_filter")


def _rows(network: Network, wanted: Wanted, text: str, after: int, *, by_customer: bool) -> Iterator[tuple[int, Meter]]:
    """Yield row and meter of all that match behind a row; with `by_customer` by account and address, too."""
    meters = network.meters
    if not isinstance(meters, MeterTable):
        for row, meter in enumerate(meters.values()):
            if row > after and _matches(network, meter, wanted) and _holds(meter, text, by_customer=by_customer):
                yield row, meter
        return
    mask = _mask(network, meters, wanted)
    if not text:
        for row in np.flatnonzero(mask[after + 1 :]).tolist():
            yield row + after + 1, meters.at(row + after + 1)
        return
    for row in _merged(meters, text, after, by_customer=by_customer):
        if mask[row]:
            yield row, meters.at(row)


def _merged(meters: MeterTable, text: str, after: int, *, by_customer: bool) -> Iterator[int]:
    """Yield the rows in which id, account or address hold a text, in order, each once."""
    columns = (meters.names.texts, *(meters.texts.values() if by_customer else ()))
    searches = [column.rows_with(text, after) for column in columns]
    heads = [next(search, None) for search in searches]
    while known := [head for head in heads if head is not None]:
        row = min(known)
        yield row
        heads = [next(search, None) if head == row else head for head, search in zip(heads, searches, strict=True)]


def _mask(network: Network, meters: MeterTable, wanted: Wanted) -> NDArray[np.bool_]:
    words = {
        "zone": set(network.below(wanted.zone)) if wanted.zone else (),
        "customer_class": {wanted.customer_class} - {""},
        "account": {wanted.account} - {""},
    }
    enumerated = {"kind": wanted.kind, "role": wanted.role}
    return meters.rows(
        {name: some for name, some in words.items() if some}, {name: one for name, one in enumerated.items() if one}
    )


def _matches(network: Network, meter: Meter, wanted: Wanted) -> bool:
    for name in ("kind", "role", "customer_class", "account"):
        asked = getattr(wanted, name)
        if asked and getattr(meter, name) != asked:
            return False
    return not wanted.zone or _lies_in(network, meter.zone_id, wanted.zone)


def _lies_in(network: Network, zone: str, above: str) -> bool:
    while zone in network.zones:
        if zone == above:
            return True
        zone = network.zones[zone].parent_id
    return False


def _holds(meter: Meter, text: str, *, by_customer: bool) -> bool:
    part = text.casefold()
    texts = (meter.meter_id, meter.account_no, meter.address) if by_customer else (meter.meter_id,)
    return not part or any(part in one.casefold() for one in texts)
