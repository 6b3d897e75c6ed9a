"""What the meters' tables have when they are saved."""

from __future__ import annotations

from datetime import timedelta

from api.pages.parts import finding_words, meter_days_html
from api.pages.parts.tables import Asked
from api.services import meters as service
from api.services.export import Column, Table
from api.services.intervals import gas_days
from api.services.meter import known


def meters(asked: Asked) -> Table:
    """Return the meters that the address asks for, as the company's file describes them."""
    tr, query = asked.tr, asked.query
    names = ("text", "zone", "kind", "customer_class", "account")
    wanted = service.Wanted(**{name: query.get(name, "")[:120] for name in names})
    columns = [
        Column(tr("Meter")), Column(tr("Account number")), Column(tr("Address")), Column(tr("Zone")),
        Column(tr("Name")), Column(tr("Built as")), Column(tr("Customer")), Column(tr("Account")),
        Column(tr("Largest flow"), "m³/h"), Column(tr("Installed")), Column("x", "m"), Column("y", "m"),
    ]  # fmt: skip
    rows = (
        (one.meter_id, one.account_no, one.address, one.zone_id, asked.parts.network.name_of(one.zone_id),
         tr(finding_words.METER_KINDS.get(one.kind, one.kind)),
         tr(finding_words.CLASSES.get(one.customer_class, one.customer_class)),
         tr(finding_words.ACCOUNTS.get(one.account, one.account)), one.max_flow_m3h, one.installed_on, one.x_m, one.y_m)
        for one in service.every(asked.parts, wanted)
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
