from gateway.toml_lines import index_lines, line_of

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


def test_a_key_is_found_on_its_line():
    assert line_of(index_lines(TEXT), ("site", "id")) == 2


def test_entries_of_arrays_are_counted_within_their_parent():
    lines = index_lines(TEXT)
    assert line_of(lines, ("source", 1, "link", 0, "unit", 1, "unit")) == 17
    assert line_of(lines, ("source", 0, "kind")) == 5


def test_union_tags_are_stepped_over():
    assert line_of(index_lines(TEXT), ("source", 1, "modbus", "link", 0, "url")) == 13


def test_an_unknown_key_points_at_its_nearest_ancestor():
    lines = index_lines(TEXT)
    assert line_of(lines, ("source", 0, "mqtt", "topic", 0, "filter")) == 6
    assert line_of(lines, ("web", "listen")) == 1
