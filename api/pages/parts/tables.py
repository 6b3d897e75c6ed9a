"""What the pages' tables have when they are saved: the same rows, with every unit in the header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from api.auth import User
from api.deps import Parts
from api.pages.parts import words
from api.services import findings as finding_service
from api.services import loss as loss_service
from api.services.export import Column, Table
from api.services.site_time import zone_of_year
from api.services.views import load_alarms
from api.text import Texts
from gateway.errors import RefusedError
from gateway.model.finding import LIKELY, FindingStatus

MOST_FINDINGS = 20_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a table, in which language, and for which part of it."""

    parts: Parts
    user: User
    tr: Texts
    query: Mapping[str, str]

    def table(self, name: str, columns: list[Column], rows: object) -> Table:
        """Return a table in the site's time."""
        return Table(name, columns, rows, self.timezone)  # type: ignore[arg-type]

    @property
    def timezone(self) -> str:
        """The site's time zone."""
        return self.parts.site.gas_day.timezone

    @property
    def zone(self) -> str:
        """What names the zone in the header of a column of times."""
        return zone_of_year(self.timezone, self.parts.clock.now())

    def day(self, name: str, default: date | None = None) -> date:
        """Return a day of the address. Raises RefusedError 422."""
        try:
            found = date.fromisoformat(self.query[name]) if name in self.query else default
        except ValueError:
            found = None
        if found is None or not 1990 <= found.year <= 2190:
            raise RefusedError(422, "bad_time", f"{name} is a day such as 2026-01-31")
        return found

    def asset(self, name: str) -> str:
        """Return an asset or a zone of the address, empty for none. Raises RefusedError 404."""
        asset = self.query.get(name, "")
        if asset and not self.parts.network.zone_of(asset):
            raise RefusedError(404, "unknown_asset")
        return asset


def alarms(asked: Asked) -> Table:
    """Return the alarms that are not normal, the most urgent first."""
    tr, zone = asked.tr, asked.zone
    columns = [
        Column(tr("Priority")), Column(tr("Alarm")), Column(tr("State")), Column(tr("Asset")),
        Column(tr("Designation")), Column(tr("Zone")), Column(tr("Value")), Column(tr("Limit")), Column(tr("Unit")),
        Column(tr("Raised"), zone), Column(tr("Ticket")),
    ]  # fmt: skip
    rows = (
        (int(view.alarm.priority), tr(view.definition.title), words.state(view.letter, tr), view.alarm.asset,
         view.asset_name, view.zone_name, view.alarm.value, view.definition.limit, view.definition.unit,
         view.alarm.raised_at or view.alarm.condition_at, view.ticket_no)
        for view in load_alarms(asked.parts, asked.parts.state)
    )  # fmt: skip
    return asked.table(tr("Alarms"), columns, rows)


def _balance(asked: Asked) -> list[Column]:
    tr = asked.tr
    return [
        Column(tr("Supply"), "m³"), Column(tr("Metered"), "m³"), Column(tr("Loss"), "m³"), Column(tr("Loss rate"), "%"),
        Column("2σ", "%"), Column(tr("Coverage"), "%"), Column(tr("Days")), Column(tr("Verdict")),
        Column(tr("Reason")),
    ]  # fmt: skip


def loss(asked: Asked) -> Table:
    """Return the balance of every zone over a period."""
    tr = asked.tr
    known = loss_service.known_days(asked.parts)
    day = asked.day("day", known[1] if known else asked.parts.clock.now().date())
    wanted = asked.query.get("period", loss_service.Period.DAY)
    if wanted not in set(loss_service.Period):
        raise RefusedError(422, "bad_period", f"use one of {', '.join(loss_service.Period)}")
    first, last = loss_service.span(loss_service.Period(wanted), day)
    columns = [
        Column(tr("First gas day")), Column(tr("Last gas day")), Column(tr("Zone")), Column(tr("Designation")),
        Column(tr("Kind")), Column(tr("Part of")), *_balance(asked),
    ]  # fmt: skip
    rows = (
        (first, last, line.zone, line.name, tr(words.ZONES.get(line.kind, line.kind)), line.parent, line.supply_m3,
         line.metered_m3, line.loss_m3, _percent(line.loss_rate), _percent(line.sigma, 2.0), _percent(line.coverage),
         line.days, tr(words.VERDICTS.get(line.verdict, line.verdict)), line.reason)
        for line in loss_service.loss_tree(asked.parts, first, last)
    )  # fmt: skip
    return asked.table(f"{tr('Loss by zone')} {first} {last}", columns, rows)


def loss_days(asked: Asked) -> Table:
    """Return the course of one zone's loss over gas days."""
    tr, zone = asked.tr, asked.asset("zone")
    known = loss_service.known_days(asked.parts)
    last = asked.day("last", known[1] if known else asked.parts.clock.now().date())
    columns = [
        Column(tr("Gas day")), Column(tr("Zone")), Column(tr("Supply"), "m³"), Column(tr("Loss"), "m³"),
        Column(tr("Loss rate"), "%"), Column("2σ", "%"), Column(tr("Verdict")),
    ]  # fmt: skip
    rows = (
        (date.fromisoformat(line.gas_day), zone, line.supply_m3, line.loss_m3, _percent(line.loss_rate),
         _percent(line.sigma, 2.0), tr(words.VERDICTS.get(line.verdict, line.verdict)))
        for line in loss_service.loss_trend(asked.parts, zone, last, 400)
    )  # fmt: skip
    return asked.table(f"{tr('Loss rate')} {zone}", columns, rows)


def findings(asked: Asked) -> Table:
    """Return suspected cases, the most certain first; `zone` takes only those of it and of what is below it."""
    tr, moment, zone = asked.tr, asked.zone, asked.asset("zone")
    zones = list(asked.parts.network.below(zone)) if zone else None
    least = 0.0 if asked.query.get("weak") == "1" else LIKELY
    columns = [
        Column(tr("Kind")), Column(tr("Zone")), Column(tr("Designation")), Column(tr("Meter")), Column(tr("Status")),
        Column(tr("Probability"), "%"), Column(tr("Size"), "m³/d"), Column(tr("Share of the zone's supply"), "%"),
        Column(tr("Onset"), moment), Column(tr("Detected"), moment), Column(tr("Inspected"), moment),
    ]  # fmt: skip
    found = finding_service.list_findings(asked.parts, list(FindingStatus), MOST_FINDINGS, zones=zones, least=least)
    rows = (
        (tr(words.FINDINGS.get(view.kind, view.kind)), view.zone, view.zone_name, view.meter or "",
         tr(words.STATUSES.get(view.status, view.status)), _percent(view.score), view.estimate_m3_per_day,
         _percent(view.share), view.onset, view.detected_at, view.inspected_at)
        for view in found
    )  # fmt: skip
    return asked.table(tr("Suspects"), columns, rows)


def _percent(share: float | None, times: float = 1.0) -> float | None:
    return None if share is None else round(share * times * 100, 6)
