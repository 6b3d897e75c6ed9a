"""A chart of readings that zooms and pans over any span: see `api/static/series_chart.js`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nicegui
from nicegui.element import Element

from api.pages.frame import Page
from api.pages.parts import charts
from api.pages.parts.elements import STATIC
from api.pages.parts.html import ms
from api.services.site_time import site_time

ECHART = Path(nicegui.__file__).parent / "elements" / "echart" / "dist"


@dataclass(frozen=True, slots=True)
class DrawnPoint:
    """A point of the chart: `id` is `<asset>/<quantity>`, `step` draws what stays until it changes."""

    id: str
    name: str
    step: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A limit, in the unit of the first point."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, such as an onset or a detection."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a chart shows: at most six points of two units; `use` shows what registers counted in each hour."""

    points: Sequence[DrawnPoint]
    start: datetime
    end: datetime
    levels: Sequence[Level] = ()
    moments: Sequence[Moment] = ()
    use: bool = False

    def asked(self, timezone: str) -> dict[str, Any]:
        """Return it as the browser takes it."""
        clock = site_time(timezone, self.start, self.end)
        return {
            "points": [asdict(point) for point in self.points],
            "from": ms(self.start),
            "to": ms(self.end),
            "levels": [asdict(level) for level in self.levels],
            "moments": [{"at": ms(one.at), "label": one.label} for one in self.moments],
            "use": self.use,
            "clock": {**asdict(clock), "label": clock.label},
        }


class SeriesChart(Element, component=STATIC / "series_chart.js", esm={"nicegui-echart": str(ECHART)}):
    """Readings over time in the site's zone; the browser asks `/api/v1/series` for what is in sight."""

    def __init__(self, page: Page, label: str, drawing: Drawing) -> None:
        super().__init__()
        tr, palette = page.tr, page.palette
        self.drawing, self._timezone = drawing, page.timezone
        self._props["label"] = label
        self._props["asked"] = drawing.asked(page.timezone)
        self._props["palette"] = {**asdict(palette), "lines": list(charts.PENS[page.theme])}
        self._props["texts"] = {
            "loading": tr("Reading…"),
            "none": tr("No readings in this span."),
            "failed": tr("The readings cannot be had now. Try again."),
            "save": tr("Save as picture"),
            "doubt": tr("uncertain"),
        }

    def show(self, drawing: Drawing) -> None:
        """Show something else."""
        if drawing != self.drawing:
            self.drawing = drawing
            self._props["asked"] = drawing.asked(self._timezone)
            self.run_method("show", self._props["asked"])
