from pathlib import Path

from gateway.toml_lines import FilePlaces, TomlPlaces

TEXT = """\
[site]
id = "hq"

[[source]]
kind = "mqtt"
topic = [
  { filter = "a" },
]

[[source]]
kind = "modbus"
  [[source.link]]
  url = "tcp://x:502"
[[source.link.unit]]
unit = 1
[[source.link.unit]]
unit = 2
"""


def test_a_key_is_found_on_its_line_and_column():
    assert TomlPlaces(TEXT).of(("site", "id")) == (2, 1)
    assert TomlPlaces(TEXT).of(("source", 1, "link", 0, "url")) == (13, 3)
    assert TomlPlaces(TEXT).of(("source", 1, "link", 0)) == (12, 3)


def test_entries_of_arrays_are_counted_within_their_parent():
    places = TomlPlaces(TEXT)
    assert places.of(("source", 1, "link", 0, "unit", 1, "unit"))[0] == 17
    assert places.of(("source", 0, "kind"))[0] == 5
    assert (places.entries("source"), places.entries("site")) == (2, 0)


def test_union_tags_are_stepped_over():
    assert TomlPlaces(TEXT).of(("source", 1, "modbus", "link", 0, "url"))[0] == 13


def test_an_unknown_key_points_at_its_nearest_ancestor():
    places = TomlPlaces(TEXT)
    assert places.of(("source", 0, "mqtt", "topic", 0, "filter"))[0] == 6
    assert places.of(("web", "listen")) == (1, 1)


def test_indices_count_through_all_files(tmp_path: Path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(TEXT, encoding="utf-8")
    second.write_text('\n[[source]]\n    kind = "modbus"\n[web]\n', encoding="utf-8")
    places = FilePlaces([first, second])
    assert places.of(("source", 1, "kind")) == f"{first}:11:1"
    assert places.of(("source", 2, "kind")) == f"{second}:3:5"
    assert places.of(("web", "listen")) == f"{second}:4:1"
    assert places.of(("site",)) == f"{first}:1:1"
    assert places.of(("nothing",)) == f"{first}:1:1"
