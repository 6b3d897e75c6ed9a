"""What the configuration says about the pages."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from api.services.city import Tiles
from gateway.settings import Settings

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")


def _tile_address(address: str) -> str:
    parts = urlsplit(address)
    places = all(f"{{{name}}}" in parts.path + parts.query for name in "zxy")
    if address and (parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.netloc) or not places):
        raise ValueError('must be like "https://tiles.example.com/{z}/{x}/{y}.png"')
    return address


class PagesConfig(Settings):
    """What the pages show."""

    tiles: Annotated[str, Field(max_length=500), AfterValidator(_tile_address)] = ""
    """address of tiles under the map, with {z}, {x} and {y}; without it no page loads anything from elsewhere"""
    tiles_attribution: Annotated[str, Field(max_length=300)] = ""
    """who made the tiles, as their licence asks; shown on the map"""
    tiles_origin: tuple[Annotated[float, Field(ge=-85, le=85)], Annotated[float, Field(ge=-180, le=180)]] | None = None
    """latitude and longitude (WGS 84, degrees) of the point from which the network's x_m and y_m are counted"""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.tiles and (self.tiles_origin is None or not self.tiles_attribution):
            raise ValueError("tiles needs tiles_origin, so that they lie under the pipes, and tiles_attribution")
        return self

    @property
    def tile_server(self) -> Tiles | None:
        """What the map needs to know of it; None without tiles."""
        if not self.tiles or self.tiles_origin is None:
            return None
        return Tiles(self.tiles, self.tiles_attribution, *self.tiles_origin)
