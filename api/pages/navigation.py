"""The ways between pages: sections in the head line, and the places of a section in a line below it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from api.auth import User
from api.roles import Act
from api.text import Texts, mark


@dataclass(frozen=True)
class Place:
    """One page that can be gone to."""

    path: str
    title: str
    act: Act = Act.READ


@dataclass(frozen=True)
class Section:
    """Pages that belong together; the head line leads to the first that the person may see."""

    title: str
    places: tuple[Place, ...]

    def seen_by(self, user: User) -> tuple[Place, ...]:
        """Return the places that a person may go to."""
        return tuple(place for place in self.places if user.may(place.act))


SECTIONS = (
    Section(mark("Control room"), (Place("/", mark("Control room")),)),
    Section(
        mark("Tickets"),
        (
            Place("/tickets", mark("Board")),
            Place("/calls", mark("Telephone reports")),
            Place("/call-backs", mark("Call-backs"), Act.CALL_BACK),
            Place("/handover", mark("Hand-over")),
        ),
    ),
    Section(mark("Loss"), (Place("/loss", mark("Loss")),)),
    Section(mark("Meters"), (Place("/meters", mark("Meters")), Place("/commands", mark("Commands")))),
    Section(
        mark("Network"),
        (Place("/network", mark("Network")), Place("/interruptions", mark("Planned interruptions"))),
    ),
    Section(mark("Reading audit"), (Place("/audit", mark("Reading audit"), Act.READING_AUDIT),)),
    Section(
        mark("Reports"),
        (
            Place("/reports", mark("Month on one sheet")),
            Place("/reports/service", mark("Service to customers")),
            Place("/reports/alarms", mark("Alarm system")),
            Place("/reports/readings", mark("Reading rates")),
            Place("/reports/loss", mark("Loss rates")),
        ),
    ),
    Section(
        mark("System"),
        (
            Place("/system", mark("System")),
            Place("/users", mark("People"), Act.USER_MANAGE),
            Place("/tokens", mark("API tokens"), Act.TOKEN_OWN),
            Place("/audit-trail", mark("Audit trail"), Act.AUDIT_READ),
            Place("/definitions", mark("Alarm definitions")),
        ),
    ),
)


def navigation_html(tr: Texts, user: User, current: str) -> tuple[str, str]:
    """Return the links of the head line and the line of the current section's places (empty where it has but one)."""
    shown = [(section, places) for section in SECTIONS if (places := section.seen_by(user))]
    here = next((places for _, places in shown if any(place.path == current for place in places)), ())
    links = "".join(_link(places[0].path, tr(section.title), chosen=places is here) for section, places in shown)
    line = "".join(_link(place.path, tr(place.title), chosen=place.path == current) for place in here)
    if len(here) < 2:
        line = ""
    return (
        f'<nav class="gg-nav" aria-label="{escape(tr("Pages"))}">{links}</nav>',
        line and f'<nav class="gg-places" aria-label="{escape(tr("Pages of this section"))}">{line}</nav>',
    )


def _link(path: str, title: str, *, chosen: bool) -> str:
    return f'<a href="{path}"{" aria-current=page" if chosen else ""}>{escape(title)}</a>'
