"""What a page shows while it cannot be read: a line over it, or a word in its place if it never could be."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from nicegui import ui

from api.pages.parts.elements import Html
from api.pages.parts.html import WARNING
from api.services.trouble import Trouble, trouble
from api.text import Texts, mark
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from api.pages.frame import Page

EVERY_S = 2.0
_SYSTEM = "/system"
_ALL = {
    Trouble.STATE: (
        mark("Alarms and tickets cannot be read now: what you see may be old."),
        mark("Go by telephone and by the instruments on site. The gateway tries again every few seconds."),
    ),
    Trouble.ALARMS: (
        mark("The alarm process is silent: no new alarm comes."),
        mark("Watch the values of the stations themselves, and call an administrator."),
    ),
    Trouble.READINGS: (
        mark("The process that keeps readings is silent: values stand still."),
        mark("Ask the sites for their values, and call an administrator."),
    ),
}
_KINDS = {Trouble.STATE: "old blind", Trouble.ALARMS: "blind", Trouble.READINGS: ""}
"""old: what is shown is greyed; blind: that nothing is listed does not mean that nothing is there"""
_PAGE = (
    mark("This page could not be read anew: what you see may be old."),
    mark("The gateway tries again every few seconds."),
)
_NEVER = (mark("This page cannot be read now."), _PAGE[1])

log = logging.getLogger(__name__)


@dataclass
class Reading:
    """How reading one open page goes."""

    failing: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """what failed last and is tried again, by its name"""
    path: str = ""
    shown: bool = False
    """True once the page has shown something"""
    line: Html | None = None


class _View(Protocol):
    @property
    def page(self) -> Page: ...


_V = TypeVar("_V", bound=_View)
_P = ParamSpec("_P")
_Read = Callable[Concatenate[_V, _P], Awaitable[None]]


def told(read: _Read[_V, _P]) -> _Read[_V, _P]:
    """Let what reads and shows a page say on it that it failed, whatever the reason, and try again until it works."""
    name = read.__qualname__

    @functools.wraps(read)
    async def tell(view: _V, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        reading = view.page.reading
        first = name not in reading.failing
        try:
            await read(view, *args, **kwargs)
        except Exception as error:
            reading.failing[name] = functools.partial(tell, view, *args, **kwargs)
            if first:
                bug = None if isinstance(error, GatewayError) else error
                log.warning("a page cannot be read, %s: %s", name, error, exc_info=bug)
        else:
            reading.failing.pop(name, None)
            reading.shown = True
        _show(view.page)

    return tell


def draw(page: Page) -> None:
    """Put the line into the page; it is there only while something is wrong."""
    page.reading.path = ui.context.client.page.path
    page.reading.line = Html(classes="gg-trouble")
    _show(page)
    ui.timer(EVERY_S, lambda: _look(page))


async def _look(page: Page) -> None:
    """Try again what failed, and say how things are."""
    for again in list(page.reading.failing.values()):
        await again()
    _show(page)


def _show(page: Page) -> None:
    line, tr = page.reading.line, page.tr
    if line is None or line.element.is_deleted:
        return
    wrong = trouble(page.board, page.pulse)
    failing = bool(page.reading.failing)
    if failing and not page.reading.shown:
        line.set(_cover(tr, wrong, page.reading.path))
    elif wrong is not None:
        line.set(_line(tr, *_ALL[wrong], _KINDS[wrong]))
    else:
        line.set(_line(tr, *_PAGE, "old") if failing else "")


def _line(tr: Texts, what: str, then: str, kind: str) -> str:
    return f'<p role="alert" class="{kind}">{WARNING}<b>{escape(tr(what))}</b> <span>{escape(tr(then))}</span></p>'


def _cover(tr: Texts, wrong: Trouble | None, path: str) -> str:
    what, then = _NEVER if wrong is None else (_NEVER[0], _ALL[wrong][1])
    way = "" if path == _SYSTEM else f'<a class="gg-button" href="{_SYSTEM}">{escape(tr("To the System page"))}</a>'
    return (
        f'<section role="alert">{WARNING}<h1>{escape(tr(what))}</h1><p>{escape(tr(then))}</p><div class="gg-choices">'
        f'<button type="button" class="gg-button primary" onclick="location.reload()">{escape(tr("Try again"))}'
        f"</button>{way}</div></section>"
    )
