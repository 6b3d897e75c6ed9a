"""What `gasgate check` finds, where it says that it stands, and that it opens no socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.certificates import good_until
from gateway.checking import check_file
from gateway.config import load
from gateway.doubles import overlap
from gateway.model.file_problem import FileProblem
from gateway.volume import ROW_BYTES, readings_a_day, volume_warnings
from tests.end_to_end.small_site import SmallSite

GUARD = """
import sys
def guard(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"a socket: {event}")
sys.addaudithook(guard)
sys.argv = ["gasgate", *sys.argv[1:]]
from gateway.cli import main
main()
"""
MODBUS = """
[[source]]
kind = "modbus"
name = "{source}"
[[source.link]]
name = "a"
url = "tcp://192.0.2.1:502"
[[source.link.unit]]
unit = {unit}
profile = "{profile}"
asset = "{asset}"
"""
MQTT = """
[[source]]
kind = "mqtt"
name = "second"
url = "mqtt://127.0.0.1:{port}"
client_id = "{client}"
[[source.topic]]
filter = "{filter}"
values = {{ flags = "f" }}
"""


@pytest.fixture
def site(tmp_path: Path, free_port: Callable[[], int]) -> SmallSite:
    made = SmallSite(tmp_path / "site", free_port())
    (made.folder / "desk.secret").chmod(0o600)
    return made


def found(site: SmallSite, extra: str) -> list[FileProblem]:
    site.extra = extra
    site.write_config()
    return check_file(site.config)


def line_of(site: SmallSite, text: str, nth: int = 0) -> int:
    return [n for n, line in enumerate(site.config.read_text().splitlines(), 1) if text in line][nth]


def test_a_check_opens_no_socket(site: SmallSite) -> None:
    site.influx_url = "http://influx.example:8086"
    site.extra = MODBUS.format(source="stations", unit=1, profile="station_rtu", asset="REG-001")
    site.write_config()
    command = [sys.executable, "-c", GUARD, "check", str(site.config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    command = [sys.executable, "-c", GUARD, "probe", str(site.config), "REG-001"]
    assert "a socket: socket." in subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_an_unknown_asset_points_at_its_unit(site: SmallSite) -> None:
    (finding,) = found(site, MODBUS.format(source="stations", unit=7, profile="station_rtu", asset="REG-009"))
    assert (finding.level, finding.file) == ("error", str(site.config))
    assert (finding.line, finding.column) == (line_of(site, "[[source.link.unit]]"), 1)
    assert finding.key == "source.1.link.0.unit.0"
    assert "unit 7: REG-009 is neither in meters.csv, stations.csv nor points.csv" in finding.text


def test_a_finding_in_an_included_file_is_placed_there(site: SmallSite) -> None:
    more = site.folder / "more.toml"
    more.write_text(MODBUS.format(source="stations", unit=7, profile="station_rtu", asset="REG-009"), encoding="utf-8")
    text = site.config.read_text()
    site.config.write_text('include = ["more.toml"]\n' + text, encoding="utf-8")
    (finding,) = check_file(site.config)
    assert (finding.file, finding.line) == (str(more), 8)


def test_one_client_id_twice_is_an_error_and_overlapping_topics_are_a_warning(site: SmallSite) -> None:
    broker, mine = site.broker_port, f"gasgate-{site.folder.name}"
    first, second = found(site, MQTT.format(port=broker, client=mine, filter="site/{meter}/+"))
    assert (first.level, first.line) == ("error", line_of(site, "client_id", 1))
    assert f"source meters has the client_id {mine} at the same broker" in first.text
    assert (second.level, second.line) == ("warning", line_of(site, "filter", 1))
    assert "site/{meter}/+ overlaps with site/{meter}/up of source meters: both read what fits both" in second.text
    assert found(site, MQTT.format(port=broker, client="other", filter="other/{meter}/up")) == []
    assert found(site, MQTT.format(port=1, client=mine, filter="site/{meter}/+")) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/{meter}", True),
        ("a/+/c", "a/{meter}", False),
        ("a/#", "a", True),
        ("#", "x/y", True),
        ("a/+/c/#", "+/b", False),
        ("{zone}/b", "a/+", True),
        ("a/b/#", "a/#", True),
    ],
)
def test_filters_overlap_where_one_topic_fits_both(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is expected


def test_a_device_read_over_two_links_and_a_point_read_by_two_sources(site: SmallSite) -> None:
    one = MODBUS.format(source="one", unit=1, profile="diaphragm_rs485", asset="M-000001")
    two = MODBUS.format(source="two", unit=1, profile="diaphragm_rs485", asset="M-000001")
    errors = [one for one in found(site, one + two) if one.level == "error"]
    warnings = [one for one in found(site, one + two) if one.level == "warning"]
    assert errors
    assert {one.line for one in errors} == {line_of(site, "[[source.link.unit]]", 1)}
    assert "M-000001/register_measured_m3 is read by source one, link a, unit 1 too" in errors[0].text
    (warning,) = warnings
    assert "source one, link a, unit 1 is the same device; read it over one link" in warning.text


def test_a_link_without_time_for_its_polls_is_a_warning(site: SmallSite) -> None:
    (site.folder / "fast.toml").write_text(
        'name = "fast"\ndescription = "d"\nevery_s = 0.02\n'
        'point = [{ quantity = "pressure_gauge_kpa", at = "holding:0", type = "float32" }]\n'
        'golden = [{ ask = "03 0000 0002", reply = "03 04 42C8 0000", gives = { pressure_gauge_kpa = 100.0 } }]\n',
        encoding="utf-8",
    )
    (finding,) = found(site, MODBUS.format(source="s", unit=1, profile="fast.toml", asset="REG-001"))
    assert (finding.level, finding.line) == ("warning", line_of(site, "[[source.link]]"))
    assert "of its time" in finding.text


def test_a_profile_whose_golden_frame_decodes_to_something_else(site: SmallSite) -> None:
    (site.folder / "own.toml").write_text(
        'name = "own"\ndescription = "d"\n'
        'point = [{ quantity = "pressure_gauge_kpa", at = "holding:0", type = "float32" }]\n'
        'golden = [{ ask = "03 0000 0002", reply = "03 04 42C8 0000", gives = { pressure_gauge_kpa = 101.0 } }]\n',
        encoding="utf-8",
    )
    (finding,) = found(site, MODBUS.format(source="s", unit=1, profile="own.toml", asset="REG-001"))
    assert (finding.line, finding.key) == (line_of(site, "profile ="), "source.1.modbus.link.0.unit.0.profile")
    assert "pressure_gauge_kpa is 100.0, not 101.0" in finding.text


def test_text_that_is_no_toml_is_placed(site: SmallSite) -> None:
    site.config.write_text("[site]\nid = = 1\n", encoding="utf-8")
    (finding,) = check_file(site.config)
    assert (finding.file, finding.line, finding.column) == (str(site.config), 2, 6)


def certificate(folder: Path, days: int) -> Path:
    file = folder / f"{days}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=broker", "-days", str(days), "-keyout", str(folder / "key.pem"), "-out", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "key.pem").chmod(0o600)
    return file


def test_a_certificate_that_ends_soon_and_a_key_that_others_may_read_are_warnings(site: SmallSite) -> None:
    soon = certificate(site.folder, 10)
    until = good_until(soon)
    assert until is not None
    assert abs(until - datetime.now(UTC) - timedelta(days=10)) < timedelta(minutes=5)
    tls = MODBUS.format(source="s", unit=1, profile="station_rtu", asset="REG-001").replace("tcp://", "tls://")
    tls = tls.replace(
        "[[source.link.unit]]", 'ca = "10.pem"\ncertificate = "10.pem"\nkey = "key.pem"\n[[source.link.unit]]'
    )
    (finding,) = found(site, tls)
    assert (finding.level, finding.line) == ("warning", line_of(site, "ca ="))
    assert f"10.pem: expires on {until:%Y-%m-%d}; put a new certificate there" in finding.text
    (site.folder / "key.pem").chmod(0o644)
    assert "key.pem: every user of this machine may read the secret" in found(site, tls)[1].text
    certificate(site.folder, 31).rename(soon)
    assert found(site, tls) == []
    assert good_until(site.config) is None
    assert good_until(site.folder / "none") is None


def test_a_day_that_does_not_fit_is_a_warning(site: SmallSite) -> None:
    assert found(site, MODBUS.format(source="s", unit=1, profile="station_rtu", asset="REG-001")) == []
    config = load(site.config)
    a_day = readings_a_day(config)
    assert a_day > 24
    (place,) = volume_warnings(config, int(a_day * ROW_BYTES) - 1)
    assert place[1] == ("data", "folder")
    text = site.config.read_text().replace(
        "[keep]", f"[keep]\nspool_cap_gib = {a_day * ROW_BYTES * 0.9 / (1 << 30):.9f}"
    )
    site.config.write_text(text, encoding="utf-8")
    (finding,) = check_file(site.config)
    assert finding.key == "keep.spool_cap_gib"
    assert finding.line == line_of(site, "spool_cap_gib")


def test_findings_as_json(site: SmallSite) -> None:
    site.config.write_text(site.config.read_text().replace("[web]", "[web]\nport = 1"), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "check", str(site.config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (finding,) = json.loads(done.stdout)
    assert done.returncode == 2
    assert finding == {
        "level": "error",
        "file": str(site.config),
        "line": line_of(site, "port = 1"),
        "column": 1,
        "key": "web.port",
        "text": "is no known key; remove it or correct its spelling (gasgate check --keys lists them all)",
    }
