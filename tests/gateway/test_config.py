from pathlib import Path

import pytest

from gateway.config import load
from gateway.config_keys import describe
from gateway.errors import ConfigError

GOOD = """\
[site]
id = "hq"
timezone = "Asia/Shanghai"

[data]
folder = "data"

[network]
folder = "network"

[[source]]
kind = "mqtt"
name = "meters"
url = "mqtt://127.0.0.1:1883"
version = 5
client_id = "gasgate"

[[source.topic]]
filter = "gas/{meter}/up"
identity = "$.id"
time = { path = "t", as = "epoch_ms" }
values = { register_measured_m3 = { path = "v", scale = 0.001 } }

[[source]]
kind = "modbus"
name = "stations"

[[source.link]]
name = "s-01"
url = "tcp://127.0.0.1:5020"

[[source.link.unit]]
unit = 1
profile = "station_rtu"
asset = "S-01"

[[ticket_sink]]
kind = "webhook"
name = "desk"
url = "http://127.0.0.1:9/tickets"
secrets = [{ file = "desk.secret" }]
classes = ["EMERGENCY"]
"""


def problems_of(folder: Path, text: str) -> tuple[str, ...]:
    file = folder / "gasgate.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    return caught.value.problems


def test_a_good_file_loads_and_its_paths_start_beside_it(tmp_path):
    file = tmp_path / "gasgate.toml"
    file.write_text(GOOD, encoding="utf-8")
    config = load(file)
    assert config.data.folder == tmp_path / "data"
    assert [source.name for source in config.source] == ["meters", "stations"]
    assert config.ticket_sink[0].secrets[0].file == tmp_path / "desk.secret"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('timezone = "Asia/Shanghai"', 'timezone = "Asia/Peking"', 3, ["site.timezone", "Asia/Peking", "IANA"]),
        ('id = "hq"', 'id = "HQ 1"', 2, ["site.id", "pattern"]),
        ('folder = "data"', 'folders = "data"', 6, ["data.folders", "no known key"]),
        ("unit = 1", "unit = 999", 33, ["unit", "255"]),
        ('kind = "modbus"', 'kind = "modbuss"', 25, ["modbuss", "'modbus'", "'mqtt'"]),
        ('profile = "station_rtu"', 'profile = "station_rtx"', 34, ["station_rtx", "station_rtu"]),
    ],
)
def test_a_problem_names_file_line_key_and_what_is_allowed(tmp_path, old, new, line, words):
    assert old in GOOD
    problems = problems_of(tmp_path, GOOD.replace(old, new))
    (problem,) = [one for one in problems if one.startswith(f"{tmp_path / 'gasgate.toml'}:{line}:1: ")] or problems
    for word in words:
        assert word in problem


def test_every_problem_is_named_at_once(tmp_path):
    text = GOOD.replace('id = "hq"', "").replace('folder = "network"', "")
    assert len(problems_of(tmp_path, text)) == 2


def test_what_is_no_toml_says_where(tmp_path):
    (problem,) = problems_of(tmp_path, GOOD + "\n[web\n")
    assert "is not TOML" in problem
    assert problem.startswith(f"{tmp_path / 'gasgate.toml'}:{len(GOOD.splitlines()) + 2}:5: ")


def test_a_missing_file_is_no_trace(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nowhere.toml")


def test_two_sources_of_one_name_are_refused(tmp_path):
    (problem,) = problems_of(tmp_path, GOOD.replace('name = "stations"', 'name = "meters"'))
    assert "meters is used twice" in problem.replace("the name ", "")


def test_included_files_add_to_lists_and_are_named_in_their_problems(tmp_path):
    main, rest = GOOD.split('[[source]]\nkind = "modbus"')
    included = '[[source]]\nkind = "modbus"' + rest
    (tmp_path / "more.toml").write_text(included, encoding="utf-8")
    file = tmp_path / "gasgate.toml"
    file.write_text('include = ["more.toml"]\n' + main, encoding="utf-8")
    assert [source.name for source in load(file).source] == ["meters", "stations"]
    (tmp_path / "more.toml").write_text(included.replace("unit = 1", "unit = 999"), encoding="utf-8")
    (problem,) = problems_of(tmp_path, 'include = ["more.toml"]\n' + main)
    assert problem.startswith(f"{tmp_path / 'more.toml'}:10:1: "), problem


def test_a_secret_stands_in_no_message(tmp_path):
    text = GOOD.replace('secrets = [{ file = "desk.secret" }]', 'secrets = ["whsec_verysecret"]')
    assert "verysecret" not in "\n".join(problems_of(tmp_path, text))


def test_every_key_has_a_meaning():
    keys = describe()
    assert len(keys) > 40
    assert [key for key, meaning in keys if not meaning and not key.endswith(".kind")] == []


def test_a_pattern_that_fits_the_file_itself_does_not_include_it_again(tmp_path):
    file = tmp_path / "gasgate.toml"
    file.write_text('include = ["*.toml"]\n' + GOOD, encoding="utf-8")
    assert [source.name for source in load(file).source] == ["meters", "stations"]


@pytest.mark.parametrize("pattern", ["/etc/*.toml", ""])
def test_a_pattern_that_is_none_is_refused(tmp_path, pattern):
    (problem,) = problems_of(tmp_path, f'include = ["{pattern}"]\n' + GOOD)
    assert "is no pattern of files beside it" in problem
