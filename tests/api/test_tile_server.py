"""The map over the tiles of a server on loopback; without them it goes on and says so."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import asinh, cos, pi, radians, tan

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.conftest import Nursery, Served, serving
from tests.api.sample_state import PASSWORD

pytestmark = [pytest.mark.browser]
LATITUDE, LONGITUDE = 30.58, 114.27
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


@dataclass
class TileServer:
    """Tiles of one colour; `missing` answers 404 to all."""

    url: str = ""
    missing: bool = False
    asked: list[tuple[int, int, int]] = field(default_factory=list)


@pytest.fixture(scope="module")
def tile_server() -> Iterator[TileServer]:
    known = TileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = re.fullmatch(r"/(\d+)/(\d+)/(\d+)\.png", self.path)
            if found is None or known.missing:
                self.send_error(404)
                return
            known.asked.append((int(found[1]), int(found[2]), int(found[3])))
            self.send_response(200)
            self.send_header("content-type", "image/png")
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(PIXEL)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.png"
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def city(nursery: Nursery, tile_server: TileServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(nursery, "tests.api.sample_state", tmp_path_factory.mktemp("tiled"), tile_server.url) as served:
        yield served


@pytest.fixture
def page(browser: Browser, city: Served) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.add_cookies([{"name": "gasgate_language", "value": "zh", "url": city.url}])
    context.request.post(f"{city.url}/api/v1/login", data={"name": "viewer", "password": PASSWORD})
    errors: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


def tile_of(zoom: int) -> tuple[int, int]:
    """The tile of the origin, by the formula of Web Mercator."""
    n = 2**zoom
    y = (1 - asinh(tan(radians(LATITUDE))) / pi) / 2
    return int((LONGITUDE + 180) / 360 * n), int(y * n)


def test_the_tiles_of_the_city_lie_under_its_pipes(page: Page, city: Served, tile_server: TileServer) -> None:
    tile_server.missing = False
    page.goto(city.url)
    loaded = page.locator(".gg-map .leaflet-tile-loaded")
    expect(loaded.first).to_be_visible()
    expect(page.locator(".gg-map-note")).to_be_hidden()
    expect(page.locator(".leaflet-control-attribution")).to_have_text("© <b>Somebody</b>")
    reach = 40_075_017 * cos(radians(LATITUDE))
    for zoom, x, y in tile_server.asked:
        near = 3 + int(12_000 / (reach / 2**zoom))
        assert abs(x - tile_of(zoom)[0]) <= near, "tiles of another place"
        assert abs(y - tile_of(zoom)[1]) <= near, "tiles of another place"
    assert page.locator(".gg-map canvas").count() == 1
    expect(page.locator(".gg-pin").first).to_be_visible()


def test_without_tiles_the_map_goes_on_and_says_so_until_they_are_back(
    page: Page, city: Served, tile_server: TileServer
) -> None:
    tile_server.missing = True
    page.clock.install()
    page.goto(city.url)
    note = page.locator(".gg-map-note")
    expect(note).to_have_text("瓦片服务器无响应：仅显示管线和报警，没有底图。")
    expect(note).to_be_visible()
    expect(page.locator(".gg-pin").first).to_be_visible()
    page.locator(".gg-map .gg-pin").first.click()
    page.locator(".leaflet-control-zoom-in").click()
    expect(note).to_be_visible()
    tile_server.missing = False
    page.clock.fast_forward(16_000)
    expect(note).to_be_hidden()
    expect(page.locator(".gg-map .leaflet-tile-loaded").first).to_be_visible()
