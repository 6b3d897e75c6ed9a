"""What the meters' tables have when they are saved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from api.pages.parts import finding_words, meter_days_html, meter_html, network_html
from api.pages.parts.tables import Asked
from api.services import interruptions, network
from api.services import meters as service
from api.services.export import Column, Table
from api.services.intervals import gas_days
from api.services.meter import known
from api.services.series import unit_of
from gateway.model.reading import split_point


def meters(asked: Asked) -> Table:
    """Return the meters that the address asks for, as the company's file describes them."""
    tr, query = asked.tr, asked.query
    names = ("text", "zone", "kind", "customer_class", "account")
    wanted = service.Wanted(**{name: query.get(name, "")[:120] for name in names})
    columns = [
        Column(tr("Meter")), Column(tr("Account number")), Column(tr("Address")), Column(tr("Zone")),
        Column(tr("Designation")), Column(tr("Built as")), Column(tr("Customer")), Column(tr("Account")),
        Column(tr("Largest flow"), "m³/h"), Column(tr("Installed")), Column("x", "m"), Column("y", "m"),
    ]  # fmt: skip
    rows = (
        (one.meter_id, one.account_no, one.address, one.zone_id, asked.parts.network.name_of(one.zone_id),
         tr(finding_words.METER_KINDS.get(one.kind, one.kind)),
         tr(finding_words.CLASSES.get(one.customer_class, one.customer_class)),
         tr(finding_words.ACCOUNTS.get(one.account, one.account)), one.max_flow_m3h, one.installed_on, one.x_m, one.y_m)
        for one in service.every(asked.parts, asked.user, wanted)
    )  # fmt: skip
    return asked.table(tr("Meters"), columns, rows)


def meter_days(asked: Asked) -> Table:
    """Return the newest revision of a meter's gas days: 62 of them up to `last`."""
    tr, parts = asked.tr, asked.parts
    meter = known(parts, asked.query.get("meter", ""))
    last = asked.day("last", parts.site.gas_day.of(parts.clock.now()))
    columns = [
        Column(tr("Gas day")), Column(tr("Meter")), Column(tr("Volume"), "m³"), Column(tr("Status")),
        Column(tr("Known by")), Column(tr("Questioned by")), Column(tr("Revision")), Column(tr("Set by")),
        Column(tr("Reason")), Column(tr("Computed"), asked.zone),
    ]  # fmt: skip
    rows = (
        (day.gas_day, meter.meter_id, day.volume_m3, tr(meter_days_html.STATUSES.get(day.status, day.status)),
         tr(meter_days_html.METHODS.get(day.method, day.method)), " ".join(day.rules), day.revision, day.who, day.note,
         day.computed_at)
        for day in gas_days(parts, meter.meter_id, last - timedelta(days=61), last)
    )  # fmt: skip
    return asked.table(f"{tr('Gas days')} {meter.meter_id}", columns, rows)


def notices(asked: Asked) -> Table:
    """Return the customers of an interruption with how and until when each is to be told."""
    tr, parts, zone = asked.tr, asked.parts, asked.zone
    plan = interruptions.one(parts, asked.query.get("id", "")[:40]).plan
    columns = [
        Column(tr("Meter")), Column(tr("Account number")), Column(tr("Address")), Column(tr("Zone")),
        Column(tr("Customer")), Column(tr("Depends on supply")), Column(tr("To be told by")),
        Column(tr("To be told until"), zone), Column(tr("Supply stops"), zone), Column(tr("Supply is back"), zone),
        Column(tr("Reason")),
    ]  # fmt: skip
    rows = (
        (one.meter.meter_id, one.meter.account_no, one.meter.address, one.meter.zone_id,
         tr(finding_words.CLASSES.get(one.meter.customer_class, one.meter.customer_class)),
         tr("yes") if one.sensitive else tr("no"), tr("poster or call") if one.sensitive else tr("message"),
         plan.notice_by, plan.planned_start, plan.planned_end, plan.reason)
        for one in interruptions.affected(parts, asked.user, plan.id)
    )  # fmt: skip
    return asked.table(f"{tr('Notices')} {plan.id}", columns, rows)


def sites(asked: Asked) -> Table:
    """Return stations and regulators as the company's files describe them, with the limits of their points."""
    tr, query, parts, zone = asked.tr, asked.query, asked.parts, asked.asset("zone")
    columns = [
        Column(tr("Station, regulator")), Column(tr("Designation")), Column(tr("Kind")), Column(tr("Zone")),
        Column(tr("Address")), Column(tr("Set pressure"), "kPa"), Column(tr("Measures")), Column(tr("Unit")),
        Column(tr("Low limits")), Column(tr("High limits")), Column("x", "m"), Column("y", "m"),
    ]  # fmt: skip

    def rows() -> Iterator[tuple[object, ...]]:
        for station, point in network.described(parts, query.get("text", ""), zone, query.get("kind", "")):
            limits = network.limits_of(parts, point)
            low, high = ([one.value for one in limits if one.side == side] for side in ("low", "high"))
            name = meter_html.QUANTITIES[split_point(point)[1]]
            yield (station.station_id, station.name, tr(network_html.KINDS.get(station.kind, station.kind)),
                   station.zone_id, station.address, station.set_pressure_gauge_kpa, tr(name), unit_of(point),
                   " / ".join(f"{one:g}" for one in low), " / ".join(f"{one:g}" for one in high), station.x_m,
                   station.y_m)  # fmt: skip

    return asked.table(tr("Stations and regulators"), columns, rows())
