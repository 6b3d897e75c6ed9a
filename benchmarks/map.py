"""The map of 25,000 pipes and 24,000 meters, and a trend over a year of minutes, in Chromium without a graphics card.

`frame` is the time between two frames while the pointer drags or the wheel turns; `bytes` is what the map took over the
wire; `shown` runs from opening the page to the first picture of the network. The trend's year holds 525,600 readings.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.map_city import METERS, PIPES
from gateway.runtime import child
from tests.api.sample_state import PASSWORD
from tests.services import accepts, chromium_arguments, find_program, pick_free_port

_FRAMES = """() => {
  window.frames_ms = [];
  let before = performance.now();
  const next = (now) => {
    window.frames_ms.push(now - before);
    before = now;
    window.asked = requestAnimationFrame(next);
  };
  window.asked = requestAnimationFrame(next);
}"""
_STOP = "() => { cancelAnimationFrame(window.asked); return window.frames_ms; }"
_INK = """() => {
  const canvas = document.querySelector(".gg-map canvas");
  if (!canvas || !canvas.width) return false;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  for (let n = 3; n < data.length; n += 400) if (data[n]) return true;
  return false;
}"""


def run(*, quick: bool) -> dict[str, float]:
    """Drag and zoom for some rounds (quick: fewer) and return the figures."""
    program = find_program("chromium")
    if program is None:
        raise SystemExit("this benchmark needs Chromium (scripts/install-services.sh installs it on Debian 12)")
    from playwright.sync_api import sync_playwright

    rounds = 2 if quick else 6
    with (
        tempfile.TemporaryDirectory(prefix="gasgate-map-") as name,
        _city(Path(name)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=chromium_arguments())
        context = browser.new_context(viewport={"width": 1366, "height": 768})
        context.request.post(f"{url}/api/v1/login", data={"name": "operator", "password": PASSWORD})
        figures = {"pipes": float(PIPES), "meters": float(METERS), **_map(context, url, rounds)}
        figures |= _trend(context, url, rounds)
        browser.close()
    return figures


@contextlib.contextmanager
def _city(folder: Path) -> Iterator[str]:
    port = pick_free_port()
    process = child.start(["benchmarks.map_city", str(folder), str(port)], log=folder / "web.log")
    try:
        until = time.monotonic() + 60
        while not accepts("127.0.0.1", port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit((folder / "web.log").read_text())
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop([process])


def _map(context: Any, url: str, rounds: int) -> dict[str, float]:
    sizes: list[float] = []
    page = context.new_page()
    shown = []
    for _ in range(2):
        page.on("response", lambda answer: sizes.append(_size(answer)) if answer.url.endswith("/api/v1/map") else None)
        begun = time.monotonic()
        page.goto(url, wait_until="commit")
        page.wait_for_function(_INK, timeout=60_000)
        shown.append(time.monotonic() - begun)
    box = page.locator(".gg-map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    whole = _frames(page, lambda: _drag(page, middle, rounds))
    zoom = _frames(page, lambda: _wheel(page, middle, rounds))
    near = _frames(page, lambda: _drag(page, middle, rounds))
    page.close()
    return {
        "map_bytes": max(sizes),
        "map_bytes_again": min(sizes),
        "map_shown_first_s": shown[0],
        "map_shown_again_s": shown[1],
        **_told("map_drag_whole", whole),
        **_told("map_zoom", zoom),
        **_told("map_drag_near", near),
    }


def _trend(context: Any, url: str, rounds: int) -> dict[str, float]:
    page = context.new_page()
    took: list[float] = []
    page.on("requestfinished", lambda one: took.append(_time(one)) if "/api/v1/series" in one.url else None)
    page.goto(f"{url}/network?asset=REG-001")
    page.locator("[data-span='8760']").click()
    page.locator(".gg-series-said").wait_for(state="hidden", timeout=60_000)
    page.wait_for_timeout(500)
    first = max(took)
    took.clear()
    box = page.locator(".gg-series-chart").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    zoom = _frames(page, lambda: _wheel(page, middle, rounds))
    drag = _frames(page, lambda: _drag(page, middle, rounds))
    page.close()
    return {
        "trend_year_answer_s": first / 1000,
        "trend_zoom_answers_max_s": max(took, default=0.0) / 1000,
        **_told("trend_zoom", zoom),
        **_told("trend_drag", drag),
    }


def _frames(page: Any, act: Callable[[], None]) -> list[float]:
    page.evaluate(_FRAMES)
    act()
    found: list[float] = page.evaluate(_STOP)
    return found[2:]


def _drag(page: Any, middle: tuple[float, float], rounds: int) -> None:
    x, y = middle
    for number in range(rounds):
        way = 1 if number % 2 else -1
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + way * 120, y + way * 60, steps=40)
        page.mouse.up()
        page.wait_for_timeout(200)


def _wheel(page: Any, middle: tuple[float, float], rounds: int) -> None:
    page.mouse.move(*middle)
    for way in (-1, 1) * rounds + (-1,):
        for _ in range(6):
            page.mouse.wheel(0, way * 120)
            page.wait_for_timeout(60)
        page.wait_for_timeout(300)


def _told(name: str, frames: list[float]) -> dict[str, float]:
    values = np.array(frames)
    return {
        f"{name}_frame_p50_ms": float(np.percentile(values, 50)),
        f"{name}_frame_p95_ms": float(np.percentile(values, 95)),
        f"{name}_frame_max_ms": float(values.max()),
    }


def _size(answer: Any) -> float:
    return float(answer.request.sizes()["responseBodySize"])


def _time(request: Any) -> float:
    return float(request.timing["responseEnd"] - request.timing["requestStart"])
