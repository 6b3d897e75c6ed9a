"""The report as a whole: its sections in their order, and the frame around them."""

from __future__ import annotations

from html import escape

from api.report import losses, suspects
from api.report.case import Case
from api.report.style import STYLE
from api.services.format import full_time
from api.text import Texts
from gateway import __version__
from gateway.model.network import MeterRole


def report_html(case: Case, tr: Texts) -> str:
    """Return the report as one HTML document that needs nothing else."""
    settings = case.settings
    title = tr("Loss analysis of {name}", name=settings.name)
    language = "zh-CN" if tr.language == "zh" else "en"
    if not case.days:
        body = f"<p>{escape(tr('The readings hold no whole gas day: nothing can be said.'))}</p>"
    else:
        body = "".join(
            f"<h2>{escape(name)}</h2>{f'<p class=dim>{escape(note)}</p>' if note else ''}{text}"
            for name, note, text in _sections(case, tr)
            if text
        )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · gasgate</title><style>{STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="dim">{escape(_scope(case, tr))}</p>{body}'
        f"<h2>{escape(tr('How to read this'))}</h2>{_guide(tr)}</body></html>\n"
    )


def _scope(case: Case, tr: Texts) -> str:
    settings = case.settings
    customers = sum(meter.role is MeterRole.CUSTOMER for meter in case.network.meters.values())
    end = full_time(case.end, settings.timezone)
    parts = [
        tr("Gas days {first} to {last}", first=case.days[0], last=case.days[-1]) if case.days else "",
        tr("readings received until {moment} ({zone})", moment=end, zone=settings.timezone),
        tr("{zones} zones with a supply meter, {meters} customer meters", zones=len(case.supplied), meters=customers),
        f"gasgate {__version__}",
    ]
    return " · ".join(part for part in parts if part)


def _sections(case: Case, tr: Texts) -> list[tuple[str, str, str]]:
    return [
        (tr("Summary"), suspects.counts(case.likely, tr), losses.summary(case, tr)),
        (tr("Loss by zone"), tr("means of the gas days that can be assessed"), losses.zones(case, tr)),
        (tr("Loss rate by month"), tr("% ± 2σ"), losses.calendar(case, 1, tr)),
        (tr("Loss rate by two-month cycle"), tr("% ± 2σ; two calendar months, as meters are read by hand"),
         losses.calendar(case, 2, tr)),
        (tr("What the loss is made of"), tr("how supply exceeds what registers counted, signed; the rest is the loss"),
         losses.terms(case, tr)),
        (tr("Zones with days of high loss"), "", losses.courses(case, tr)),
        (tr("Findings"), tr("a reason to go and look, never an accusation"), suspects.table(case, tr)),
        (tr("Evidence"), "", suspects.evidence(case, tr)),
        (tr("What could not be assessed"), tr("unknown is not zero: nothing is said of these days"),
         losses.unknown(case, tr)),
    ]  # fmt: skip


def _guide(tr: Texts) -> str:
    """Return what the figures mean and what they do not."""
    texts = (
        tr(
            "The loss rate is an accounting figure: supply less metered volume less the gas that pipes gained, as a "
            "share of the supply. It is not leakage: theft, stopped and slow meters and own use are in it."
        ),
        tr(
            "± 2σ is the range that holds the true value in about 95 of 100 cases. A loss is called high when it is "
            "both above 3 % and beyond 2σ."
        ),
        tr(
            "The certainty of a finding weighs the explanations that were compared. It is no share of field results: "
            "that is what inspections tell."
        ),
        tr("An estimate never accuses anybody: where readings are missing the answer is unknown."),
    )
    return "".join(f"<p>{escape(text)}</p>" for text in texts)
