"""What the reports' tables have when they are saved."""

from __future__ import annotations

from collections.abc import Iterator

from alarms.kpi import targets
from alarms.service.brief import OnTime
from api.pages.parts import alarm_month_html, kpi_html, report_html, service_html, service_words, words
from api.pages.parts.tables import Asked
from api.services import alarm_month as alarm_month_service
from api.services import service
from api.services.alarm_report import reports
from api.services.export import Column, Table
from api.services.month import Span, month_figures, span_of, this_month
from api.services.reading_rates import Rate, reading_rates
from api.text import mark

_BREACH = (
    mark("Ticket"), mark("Promise"), mark("Standing"), mark("District"), mark("Crew"), mark("Due"), mark("Done"),
)  # fmt: skip
_COUNTS = {
    "tickets": mark("Tickets"),
    "reopened": mark("Reopened"),
    "late_entries": mark("Steps entered late"),
    "complaints": mark("Complaints"),
}
_STOPS = {
    "planned": mark("Planned interruptions"),
    "emergencies": mark("Interruptions in an emergency"),
    "short_notice": mark("Announced later than 48 hours before"),
    "untold": mark("Stopped without a notice"),
    "overrun": mark("Supply away for more than 24 hours"),
    "repeated": mark("Zones stopped twice within 30 days"),
}
_DELIVERY = {
    "confirmed": mark("Tickets confirmed by the ticketing system"),
    "retried": mark("Tickets that took more than one attempt"),
    "unconfirmed": mark("Tickets not confirmed"),
    "dead": mark("Tickets with messages given up"),
    "fallbacks": mark("Tickets that went another way"),
    "by_phone": mark("Tickets handed over by telephone"),
}


def month(asked: Asked) -> Table:
    """Return the sheet of a month."""
    tr, span = asked.tr, _span(asked)
    columns = [
        Column(tr("Figure")), Column(tr("This month")), Column("2σ"), Column(tr("Goal")), Column(tr("Month before")),
        Column(tr("Unit")),
    ]  # fmt: skip
    rows = (
        (tr(report_html.FIGURES[one.name]), *(
            None if value is None else value * (100 if one.unit == "%" else 1)
            for value in (one.value, None if one.sigma is None else 2 * one.sigma, one.goal, one.before)
        ), one.unit)
        for one in month_figures(asked.parts, span.month)
    )  # fmt: skip
    return asked.table(f"{tr('Month on one sheet')} {span.month}", columns, rows)


def alarm_measures(asked: Asked) -> Table:
    """Return the measures of the alarm system over a month."""
    tr, span = asked.tr, _span(asked)
    columns = [Column(tr("Position")), Column(tr("Measure")), Column(tr("Value")), Column(tr("Target")),
               Column(tr("At most"))]  # fmt: skip
    rows = (
        (tr(kpi_html.POSITIONS.get(position, position)), tr(kpi_html.MEASURES.get(one.name, one.name)), one.value,
         one.target, one.most)
        for position, found in reports(asked.parts, span.first, span.last).items()
        for one in targets(found)
    )  # fmt: skip
    return asked.table(f"{tr('Alarm system')} {span.month}", columns, rows)


def promises(asked: Asked) -> Table:
    """Return the promises of a month's tickets by clock, district and crew."""
    tr, span = asked.tr, _span(asked)
    found = service.brief(asked.parts, span.month)
    clocks = ((_clock(asked, key), figures) for key, figures in found.by_clock.items())
    columns = [
        Column(tr("Group")), Column(tr("Name")), Column(tr("Kept")), Column(tr("Late")), Column(tr("Not recorded")),
        Column(tr("Open")), Column(tr("On time"), "%"),
    ]  # fmt: skip
    groups: list[tuple[str, str, OnTime]] = [
        (tr("All"), "", found.on_time),
        (tr("Emergencies"), "", found.emergencies),
        *((tr("Clock"), name, figures) for name, figures in clocks),
        *((tr("District"), name, figures) for name, figures in found.by_district.items()),
        *((tr("Crew"), name, figures) for name, figures in found.by_crew.items()),
    ]
    rows = (
        (group, name, one.kept, one.late, one.not_recorded, one.open, None if one.share is None else 100 * one.share)
        for group, name, one in groups
    )
    return asked.table(f"{tr('Service to customers')} {span.month}", columns, rows)


def breaches(asked: Asked) -> Table:
    """Return the promises of a month that were not kept, each with its ticket."""
    tr, span = asked.tr, _span(asked)
    columns = [Column(tr(name)) for name in _BREACH]
    rows = (
        (one.ticket_no, _clock(asked, f"{one.ticket_class}/{one.clock}"),
         tr(service_words.STANDINGS.get(one.standing.value, one.standing.value)), one.district, one.crew, one.due_at,
         one.stopped_at)
        for one in service.brief(asked.parts, span.month).breaches
    )  # fmt: skip
    return asked.table(f"{tr('Broken promises')} {span.month}", columns, rows)


def counts(asked: Asked) -> Table:
    """Return what else a month counts: complaints, late entries, interruptions, delivery."""
    tr, span = asked.tr, _span(asked)
    found = service.brief(asked.parts, span.month)
    rows: list[tuple[str, int | None]] = [(tr(name), getattr(found, field)) for field, name in _COUNTS.items()]
    for counted, names in ((found.stops, _STOPS), (found.delivery, _DELIVERY)):
        rows += [] if counted is None else [(tr(name), len(getattr(counted, field))) for field, name in names.items()]
    rows += (
        [] if found.work is None else [(tr(name), found.work.count(field)) for field, name in service_html.WORK.items()]
    )
    for group, name in service_html.INSPECTED.items():
        rows.append((tr(name), None if found.inspected is None else found.inspected[group].enough))
    rows += [(tr(service_html.UNRECORDED[name]), None) for name in found.unrecorded]
    shown = ((name, tr("not recorded") if count is None else count) for name, count in rows)
    return asked.table(f"{tr('Other figures')} {span.month}", [Column(tr("Figure")), Column(tr("Count"))], shown)


def alarm_days(asked: Asked) -> Table:
    """Return the days of the alarm system over a month."""
    tr, span = asked.tr, _span(asked)
    columns = [Column(tr("Position")), Column(tr("Day")), Column(tr("Announced")),
               Column(tr("Spans with more than 10")), Column(tr("Most in 10 min")), Column(tr("Stale"))]  # fmt: skip
    rows = (
        (tr(kpi_html.POSITIONS.get(position, position)), day.day, day.announced, day.busy_buckets, day.most_in_bucket,
         day.stale)
        for position, found in reports(asked.parts, span.first, span.last).items()
        for day in found.days
    )  # fmt: skip
    return asked.table(f"{tr('Days')} {span.month}", columns, rows)


def alarm_month(asked: Asked) -> Table:
    """Return what is to be looked at each month: points without data, alarms hidden, false alarms."""
    tr, span = asked.tr, _span(asked)
    titles, name_of = asked.parts.desk.definitions, asked.parts.network.name_of
    found = alarm_month_service.month_lists(asked.parts, span.first, span.last, span.last_gas_day)

    def rows() -> Iterator[tuple[object, ...]]:
        for gone in found.silent:
            yield tr("Points without data"), gone.asset, name_of(gone.asset), "", gone.times, gone.hours, ""
        for meter in found.unread:
            yield tr("Points without data"), meter, tr("no reading in the month"), "", None, None, ""
        for one in found.hidden:
            name = alarm_month_html.alarm_name(one.alarm_id, titles, tr, name_of)
            kind = tr(alarm_month_html.HIDDEN[one.kind])
            yield tr("Alarms that were hidden"), one.alarm_id, name, kind, one.times, one.hours, ""
        for said in found.false:
            name = alarm_month_html.alarm_name(said.alarm_id, titles, tr, name_of)
            number = f"{tr('Occurrence')} {said.occurrence_no}"
            yield tr("Occurrences that were false"), said.alarm_id, name, number, None, None, said.reason

    columns = [
        Column(tr("List")), Column(tr("Asset")), Column(tr("Designation")), Column(tr("Kind")), Column(tr("Times")),
        Column(tr("Hours")), Column(tr("Reason")),
    ]  # fmt: skip
    return asked.table(f"{tr('Points without data, hidden and false alarms')} {span.month}", columns, rows())


def rates(asked: Asked) -> Table:
    """Return how many meters were read in a month, by district."""
    tr, span = asked.tr, _span(asked)
    homes, others = tr("Households"), tr("All other customers")
    columns = [Column(tr("District"))]
    for group in (homes, others):
        columns += [Column(f"{group}: {tr('Meters')}"), Column(f"{group}: {tr('Read')}"),
                    Column(f"{group}: {tr('Read')}", "%"), Column(f"{group}: {tr('Days measured')}", "%")]  # fmt: skip
    found = reading_rates(asked.parts, span.first, span.last_gas_day) if span.has_gas_days else None
    rows = ((line.name or tr("Whole city"), *_rate(line.homes), *_rate(line.others)) for line in found or ())
    return asked.table(f"{tr('Reading rates')} {span.month}", columns, rows)


def _rate(one: Rate) -> tuple[int, int, float | None, float | None]:
    shares = (None if share is None else 100 * share for share in (one.share, one.share_of_days))
    return one.meters, one.read, *shares  # type: ignore[return-value]


def _clock(asked: Asked, key: str) -> str:
    wanted, _, clock = key.partition("/")
    tr = asked.tr
    kind = tr(words.TICKET_CLASSES.get(wanted, wanted))
    return f"{kind} · {tr(service_words.CLOCKS.get(clock, clock))}"


def _span(asked: Asked) -> Span:
    return span_of(asked.parts, asked.query.get("month", this_month(asked.parts)))
