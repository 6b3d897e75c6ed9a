"""Elements of our own: a list that draws only what is seen, and the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nicegui
from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from api.text import Texts

STATIC = Path(__file__).parents[2] / "static"
LEAFLET = Path(nicegui.__file__).parent / "elements" / "leaflet" / "dist"
FARTHEST_M = 1e7
"""a position farther from the middle is none"""
Row = dict[str, str]
"""id, key (sorts as text) and html"""


class KeyedList(Element, component=STATIC / "keyed_list.js"):
    """Rows by key, of one height in px; `on_pick` hears the id of a chosen row.

    With `feed` (alarms or tickets) the rows come over the control room's own connection, not from here.

    Arrow keys move the choice while the list has the focus, with `everywhere` also while nothing else wants them;
    Enter goes on to what belongs to the chosen row: the first element of the page that `opens` (CSS) names. With
    `leads`, the beginning of an address, a click or Enter goes to the row's own page, and arrows only choose.
    """

    def __init__(
        self,
        *,
        row_height: int,
        label: str,
        empty: str,
        rows: Sequence[Row] = (),
        feed: str = "",
        on_pick: Callable[[str], Any] | None = None,
        opens: str = ".gg-detail button, .gg-detail",
        everywhere: bool = False,
        leads: str = "",
    ) -> None:
        super().__init__()
        self._props["rowHeight"] = row_height
        self._props["label"] = label
        self._props["empty"] = empty
        self._props["selected"] = ""
        self._props["rows"] = list(rows)
        self._props["opens"] = opens
        self._props["everywhere"] = everywhere
        self._props["leads"] = leads
        self._props["feed"] = feed
        if on_pick is not None:
            heard = on_pick
            self.on("pick", lambda event: heard(_text(event)))

    def apply(self, changed: Sequence[Row], gone: Sequence[str]) -> None:
        """Change some rows in the browser; nothing else is sent."""
        if changed or gone:
            self.run_method("apply", list(changed), list(gone))

    def select(self, row_id: str) -> None:
        """Mark one row."""
        self._props["selected"] = row_id
        self.run_method("select", row_id)


class CityMap(Element, component=STATIC / "city_map.js", esm={"nicegui-leaflet": str(LEAFLET)}):
    """The network in local metres; `on_pick` hears the asset of a chosen place, `on_place` the metres of any other.

    `pipes` (id, probability) are lit, the likeliest most; `near` shows their surroundings, or the marks', not all.
    """

    def __init__(
        self,
        tr: Texts,
        *,
        marks: Sequence[dict[str, Any]],
        on_pick: Callable[[str], Any],
        pipes: Sequence[dict[str, Any]] = (),
        near: bool = False,
        on_place: Callable[[float, float], Any] | None = None,
    ) -> None:
        super().__init__()
        self.add_resource(LEAFLET)
        self._props["marks"] = list(marks)
        self._props["texts"] = {
            "closer": tr("Closer"),
            "farther": tr("Farther"),
            "bare": tr("The tile server does not answer: pipes and alarms without the map under them."),
        }
        self._props["pipes"] = list(pipes)
        self._props["near"] = near
        self._props["selected"] = ""
        self.on("pick", lambda event: on_pick(_text(event)))
        self._props["places"] = on_place is not None
        if on_place is not None:
            heard = on_place
            self.on("place", lambda event: None if (at := _position(event)) is None else heard(*at))

    def show(self, marks: Sequence[dict[str, Any]]) -> None:
        """Replace the marks in the browser."""
        self.run_method("show", list(marks))

    def frame(self) -> None:
        """Show the surroundings of the marks there are now."""
        self.run_method("frame")

    def select(self, asset: str) -> None:
        """Mark one place."""
        self._props["selected"] = asset
        self.run_method("select", asset)


class Html:
    """A piece of the page that is replaced as a whole, and only if it differs."""

    def __init__(self, content: str = "", *, tag: str = "div", classes: str = "") -> None:
        self.element = ui.html(content, sanitize=False, tag=tag).classes(classes)
        if "gg-scroll" in classes.split():
            self.element.props("tabindex=0")  # scrolled by keys, too
        self._content = content

    def set(self, content: str) -> None:
        """Show other HTML, made by `parts.html` with every foreign text escaped."""
        if content != self._content:
            self._content = content
            self.element.set_content(content)

    def on_data(self, name: str, handler: Callable[[str], Any]) -> Html:
        """Call `handler` with the value of `data-<name>` of what was clicked.

        A browser makes no click of it when what is pressed is drawn anew before the button comes up; it counts all the
        same if the same stands there again.
        """
        on_it = f"const n = e.target.closest('[data-{name}]'), old = e.currentTarget.gg_{name};"
        take = f"emit(n.dataset.{name})"
        same = f"old && !old.isConnected && n && !n.disabled && n.dataset.{name} === old.dataset.{name}"
        self.element.on("pointerdown", js_handler=f"(e) => {{ {on_it} e.currentTarget.gg_{name} = n }}")
        for event, wanted in (("pointerup", same), ("click", "n && !n.disabled")):
            script = f"(e) => {{ {on_it} if ({wanted}) {take} }}"
            self.element.on(event, lambda given: handler(_text(given)), js_handler=script)
        return self


def _position(event: GenericEventArguments) -> tuple[float, float] | None:
    """Return the metres that the browser sent, None if it sent anything else."""
    with suppress(TypeError, ValueError):
        x_m, y_m = (float(one) for one in event.args)
        if max(abs(x_m), abs(y_m)) <= FARTHEST_M:
            return x_m, y_m
    return None


def _text(event: GenericEventArguments) -> str:
    """Return what the browser sent as text: it may send anything."""
    value = event.args[0] if isinstance(event.args, list) and event.args else event.args
    return str(value)[:300]
