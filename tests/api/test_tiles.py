"""A tile server under the map: only where the configuration names one, and then only for images."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from pydantic import ValidationError

from api.app import HEADERS, POLICY, make_rest
from api.deps import Parts
from api.page_config import PagesConfig
from api.services.city import Tiles

TILES = "https://tiles.example:8443/{z}/{x}/{y}.png"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiles": "https://tiles.example/{z}/{x}.png", "tiles_origin": (1, 2), "tiles_attribution": "us"},
        {"tiles": "ftp://tiles.example/{z}/{x}/{y}", "tiles_origin": (1, 2), "tiles_attribution": "us"},
        {"tiles": "https://a b; script-src */{z}/{x}/{y}", "tiles_origin": (1, 2), "tiles_attribution": "us"},
        {"tiles": "https://user@tiles.example/{z}/{x}/{y}", "tiles_origin": (1, 2), "tiles_attribution": "us"},
        {"tiles": TILES, "tiles_attribution": "us"},
        {"tiles": TILES, "tiles_origin": (30.5, 114.2)},
        {"tiles": TILES, "tiles_origin": (130.5, 114.2), "tiles_attribution": "us"},
    ],
)
def test_a_tile_server_is_named_whole_or_not_at_all(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PagesConfig.model_validate(wrong)


def test_without_a_word_there_are_no_tiles() -> None:
    assert PagesConfig().tile_server is None
    named = PagesConfig(tiles=TILES, tiles_origin=(30.5, 114.2), tiles_attribution="us")
    assert named.tile_server == Tiles(TILES, "us", 30.5, 114.2)


async def test_only_images_may_come_from_it(parts: Parts) -> None:
    app = make_rest(replace(parts, tiles=Tiles(TILES, "us", 30.5, 114.2)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gasgate.test") as client:
        policy = (await client.get("/healthz")).headers[POLICY]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    plain = dict(rule.strip().split(" ", 1) for rule in HEADERS[POLICY].split(";"))
    assert rules.pop("img-src") == "'self' https://tiles.example:8443 data: blob:"
    plain.pop("img-src")
    assert rules == plain
