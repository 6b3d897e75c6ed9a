"""The map as one packed file, and what of a GeoJSON becomes pipes."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

from api.deps import Parts
from api.services.city import CityFile, Tiles, city_map
from tests.api.conftest import Api


def feature(kind: str, coordinates: object, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def test_pipes_are_packed_as_steps_of_a_decimetre(parts: Parts) -> None:
    features = [
        feature("LineString", [[0, 0], [10.04, 0], [10, -5.55]], id="P-1", pressure="medium"),
        feature("MultiLineString", [[[1, 1], [2, 2]], [[3, 3]], [[5, 5, 12.0], [4, 4, 12.0]]], id="P-2"),
        feature("Point", [7, 7], id="valve"),
        {"type": "Feature", "properties": None, "geometry": None},
    ]
    network = replace(parts.network, geojson=json.dumps({"type": "FeatureCollection", "features": features}))
    pipes = city_map(network)["pipes"]
    assert pipes["ids"] == ["P-1", "P-2", "P-2"]
    assert pipes["main"] == [1, 0, 0]
    assert pipes["ends"] == [3, 5, 7]
    assert pipes["at"] == [0, 0, 100, 0, 0, -56, 10, 10, 10, 10, 50, 50, -10, -10]
    assert city_map(replace(network, geojson=""))["pipes"]["ids"] == []


def test_the_file_is_made_once_and_names_its_content(parts: Parts) -> None:
    file = CityFile(parts.network)
    body, tag = file.get()
    assert file.get()[0] is body
    assert CityFile(parts.network).get() == (body, tag)
    tiles = Tiles("https://tiles.example/{z}/{x}/{y}.png", "somebody", 30.5, 114.25)
    other, other_tag = CityFile(parts.network, tiles).get()
    assert other_tag != tag
    assert json.loads(gzip.decompress(other))["tiles"]["latitude"] == 30.5
    assert json.loads(gzip.decompress(body))["tiles"] is None


async def test_a_browser_loads_the_map_once(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        first = await client.get("/api/v1/map")
        assert first.headers["content-encoding"] == "gzip"
        assert len(first.json()["meters"]["ids"]) == 300
        again = await client.get("/api/v1/map", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        plain = await client.get("/api/v1/map", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.json() == first.json()
