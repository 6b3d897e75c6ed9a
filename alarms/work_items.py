"""Writes what a pass concluded: findings by episode, losses by revision, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from alarms.findings import CauseOf, EpisodeConfig, update
from alarms.passes import PassResult
from gateway.model.finding import Detection, Verdict
from gateway.model.reading import from_us
from gateway.store import finding_rows
from gateway.store.finding_rows import StoredFinding
from gateway.store.state import State


def record(
    state: State,
    result: PassResult,
    zone_of: Callable[[str], str],
    cause_of: CauseOf | None = None,
    config: EpisodeConfig | None = None,
) -> list[StoredFinding]:
    """Write a pass and return the findings that are new.

    `zone_of` names the zone of a meter (`CityModel.zone_for`), `cause_of` what the company did that ends a finding.
    Known findings get their newest figures and evidence. What people settled in the meantime stays settled;
    writing the same pass again changes nothing. Raises TransientError if the database cannot be written.
    """
    with state.write() as connection:
        known = finding_rows.newest_findings(connection)
        changes = update(
            [stored.finding for stored in known],
            result.detections,
            from_us(result.until_us),
            zone_of,
            seen_at={(s.finding.kind, s.finding.subject): from_us(s.updated_us) for s in known},
            cause_of=cause_of,
            config=config,
        )
        finding_rows.touch(connection, abnormal(result.detections), result.until_us)
        raised = finding_rows.apply_changes(
            connection,
            result.until_us,
            raised=changes.raised,
            reopened=changes.reopened,
            updated=(*changes.updated, *changes.seen),
            ended=changes.ended,
        )
        finding_rows.save_loss(connection, result.loss, result.until_us)
    return raised


def abnormal(detections: Sequence[Detection]) -> Iterator[tuple[str, str]]:
    """Yield kind and asset of everything that was judged abnormal."""
    for detection in detections:
        for row in np.flatnonzero(detection.verdict == Verdict.ABNORMAL):
            yield detection.condition, detection.assets[row]
