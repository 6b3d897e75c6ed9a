"""The command line as a person meets it: exit codes, texts, examples."""

from __future__ import annotations

import functools
import io
import json
import logging
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway import __version__, app, cli
from gateway.config import load
from gateway.errors import GatewayError, TransientError
from gateway.probing import probe_any, went_well
from gateway.runtime.supervisor import Supervisor
from gateway.snapshot import take_snapshot
from gateway.store import user_rows
from gateway.store.state import State
from simulators.__main__ import app as simulators
from tests.alarms.desk_server import SECRET, DeskServer
from tests.collectors.devices import running
from tests.end_to_end.small_site import SmallSite


@pytest.fixture
def site(tmp_path: Path, free_port: Callable[[], int]) -> SmallSite:
    made = SmallSite(tmp_path / "site", free_port())
    (made.folder / "desk.secret").chmod(0o600)
    return made


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs one command and returns exit code, output and errors."""

    def run(*arguments: object, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gasgate", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(group, "commands"):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))
    else:
        yield path, group


ALL = [
    *commands(typer.main.get_command(cli.app), ("gasgate",)),
    *commands(typer.main.get_command(simulators), ("gasgate", "simulate")),
]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_help_has_an_example_that_the_command_takes(path: tuple[str, ...], command: Any) -> None:
    (example,) = [line.strip() for line in (command.help or "").splitlines() if "Example:" in line]
    words = shlex.split(example.removeprefix("Example:").strip())
    assert tuple(words[: len(path)]) == path
    command.make_context(path[-1], words[len(path) :])


@pytest.mark.parametrize(
    ("path", "command"),
    [one for one in ALL if one[0][0] == "gasgate"],
    ids=[" ".join(path) for path, _ in ALL if path[0] == "gasgate"],
)
def test_every_help_says_what_the_exit_codes_mean(path: tuple[str, ...], command: Any) -> None:
    told = f"{command.help} {command.epilog}"
    assert path in {("gasgate", "version"), ("gasgate", "simulate")} or re.search(
        r"Exit code 0: .* 1: .* 2: ", " ".join(told.split())
    )


def test_the_commands_that_were_promised_are_there(call: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = call("--help")
    assert code == 0
    for name in ("run", "check", "probe", "analyse", "simulate", "demo", "version"):
        assert f" {name} " in out
    assert call("version") == (0, f"gasgate {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["check"], ["run", "a", "--role", "king"], ["demo", "--speed", "0"], ["simulate", "no"]]
)
def test_a_wrong_call_is_2(call: Callable[..., tuple[int, str, str]], arguments: list[str]) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: " in err


@pytest.mark.parametrize(
    "command",
    ["run", "check", "reload", "probe {} x", "import {} x", "user list", "user add {} x", "run {} --role keep"],
)
def test_a_configuration_that_is_not_there_is_2(
    call: Callable[..., tuple[int, str, str]], tmp_path: Path, command: str
) -> None:
    file = tmp_path / "none.toml"
    words = (command if "{}" in command else command + " {}").format(file).split()
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err == f"error {file}: cannot be read: No such file or directory\n"


def test_a_good_site_is_0(call: Callable[..., tuple[int, str, str]], site: SmallSite) -> None:
    before = sorted(path.name for path in site.folder.rglob("*"))
    assert call("check", site.config) == (0, f"{site.config}: no problems found\n", "")
    assert call("check", "--json", site.config) == (0, "[]\n", "")
    assert sorted(path.name for path in site.folder.rglob("*")) == before, "a check writes nothing"


def test_every_key_is_listed_without_a_file(call: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = call("check", "--keys")
    assert code == 0
    assert "keep.listen  address of the internal store service" in out


def test_faults_of_the_network_are_named_by_file_line_and_column(
    call: Callable[..., tuple[int, str, str]], site: SmallSite
) -> None:
    meters, zones = site.folder / "network" / "meters.csv", site.folder / "network" / "zones.csv"
    meters.write_text(meters.read_text().replace("M-000002,R-001", "M-000002,R-009"), encoding="utf-8")
    zones.write_text(zones.read_text().replace("D-1,CITY,district", "D-1,TOWN,district"), encoding="utf-8")
    code, out, err = call("check", site.config)
    assert (code, out) == (2, "")
    assert f"error {meters}:4:10: column zone_id: 'R-009' is no zone; add it to zones.csv\n" in err
    assert f"error {zones}:3:5: column parent_id: 'TOWN' is no zone; add it or leave the cell empty\n" in err
    code, out, _ = call("check", "--json", site.config)
    assert code == 2
    assert len(json.loads(out)) == 2


def test_a_secret_that_cannot_be_used_is_named_once_and_not_shown(
    call: Callable[..., tuple[int, str, str]], site: SmallSite
) -> None:
    secret = site.folder / "desk.secret"
    for content, words in [(b"", "the file is empty"), (b"\xff\xfe\x00whsec", "not UTF-8"), (None, "No such file")]:
        secret.unlink()
        if content is not None:
            secret.write_bytes(content)
            secret.chmod(0o600)
        code, _, err = call("check", site.config)
        assert code == 2
        line = next(n for n, text in enumerate(site.config.read_text().splitlines(), 1) if text.startswith("secrets"))
        assert f"error {site.config}:{line}:1: ticket_sink.0.secrets: ticket_sink desk: {secret}: " in err
        assert words in err
        assert len(err.splitlines()) == 1
        secret.touch()


def test_a_secret_that_others_may_read_is_a_warning(call: Callable[..., tuple[int, str, str]], site: SmallSite) -> None:
    (site.folder / "desk.secret").chmod(0o644)
    code, out, err = call("check", site.config)
    assert (code, out) == (1, f"{site.config}: it can run, warnings: 1\n")
    assert f": ticket_sink desk: {site.folder / 'desk.secret'}: every user of this machine may" in err


OUTPUT_V1 = '[[output]]\nkind = "influx_v1"\nname = "i"\ndatabase = "d"\n'
OUTPUT_V2 = '[[output]]\nkind = "influx_v2"\nname = "i"\nbucket = "b"\n'
BROKER = '[[source]]\nkind = "mqtt"\nname = "m"\nurl = "mqtts://m"\nclient_id = "m"\n'
TOPIC = '[[source.topic]]\nfilter = "b/{meter}"\nvalues = { flags = "f" }\n'


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ('[clock]\nfile = "none"', "FOLDER/none: cannot read the city's clock"),
        (f'{OUTPUT_V1}url = "influx:8086"', "'influx:8086' is no address of a server: write http://host:port"),
        (f'{OUTPUT_V1}url = "https://i"\nca_file = "none"', "output i: FOLDER/none: cannot be used as a certificate"),
        (f'{OUTPUT_V2}url = "https://i"\nca_file = "desk.secret"', "output i: FOLDER/desk.secret: cannot be used as a"),
        (f'{OUTPUT_V2}url = "http://i"\ntoken = {{ env = "NO_TOKEN" }}', "output i: environment variable NO_TOKEN is"),
        (f'{BROKER}password = {{ file = "none" }}\n{TOPIC}', "source m: FOLDER/none: cannot read the secret: No such"),
        (f'{BROKER}ca = "none"\n{TOPIC}', "source m: certificate files cannot be used"),
    ],
)
def test_what_would_only_fail_later_is_named_now(
    call: Callable[..., tuple[int, str, str]], site: SmallSite, extra: str, words: str
) -> None:
    site.extra = extra
    site.write_config()
    code, _, err = call("check", site.config)
    assert code == 2, err
    assert words.replace("FOLDER", str(site.folder)) in err


async def test_a_probe_of_a_device_that_does_not_answer_is_1(site: SmallSite) -> None:
    async with running(lambda _: None) as device:
        site.extra = (
            f'[[source]]\nkind = "modbus"\nname = "s"\n[[source.link]]\nname = "a"\nurl = "tcp://127.0.0.1:{device.port}"\n'
            'timeout_s = 0.2\n[[source.link.unit]]\nunit = 1\nprofile = "station_rtu"\nasset = "REG-001"\n'
        )
        site.write_config()
        assert not went_well(await probe_any(load(site.config), "REG-001", 1))


async def test_a_probe_of_a_ticketing_system_makes_nothing(site: SmallSite) -> None:
    site.write_config()
    (site.folder / "desk.secret").write_text(SECRET)
    with pytest.raises(TransientError):
        await probe_any(load(site.config), "desk", 1)
    desk = DeskServer(site.desk_port)
    desk.start()
    probed = await probe_any(load(site.config), "desk", 1)
    desk.stop()
    assert went_well(probed)
    assert desk.posts == []


def test_a_probe_of_a_broker_that_is_away_is_1(call: Callable[..., tuple[int, str, str]], site: SmallSite) -> None:
    code, out, err = call("probe", site.config, "meters")
    assert (code, out) == (1, "")
    assert err.startswith(f"error mqtt://127.0.0.1:{site.broker_port}: Could not connect")
    code, _, err = call("probe", site.config, "nobody")
    assert (code, err) == (2, "error nothing is called nobody; there are: meters, desk\n")


def test_a_reload_without_a_gateway_is_1_and_makes_nothing(
    call: Callable[..., tuple[int, str, str]], site: SmallSite
) -> None:
    code, out, err = call("reload", site.config)
    assert (code, out) == (1, "")
    assert err.startswith(f"error no gateway has run with data.folder {site.folder / 'data'}: to change that folder")
    assert not (site.folder / "data").exists()
    app.begin(take_snapshot(site.config))
    code, _, err = call("reload", site.config)
    assert (code, err) == (1, "error no gateway runs with this configuration: start it with gasgate run\n")


def test_people_are_added_and_listed(call: Callable[..., tuple[int, str, str]], site: SmallSite) -> None:
    assert call("user", "add", site.config, "wang", "--role", "operator", typed="long enough\n")[:2] == (
        0,
        "wang may now sign in as operator\n",
    )
    code, out, _ = call("user", "list", site.config)
    assert (code, out.split()) == (0, ["wang", "operator"])
    code, _, err = call("user", "add", site.config, "li", "--role", "king", typed="short\n")
    assert code == 2
    assert len(err.splitlines()) == 2, "role and password"
    assert "short" not in err


def test_who_is_added_is_audited_at_the_time_of_the_city(
    call: Callable[..., tuple[int, str, str]], site: SmallSite
) -> None:
    city_us, wall_us = 1_768_435_200_000_000, time.time_ns() // 1000
    (site.folder / "city.json").write_text(json.dumps({"city_us": city_us, "wall_us": wall_us, "factor": 30.0}))
    site.config.write_text(site.config.read_text() + '\n[clock]\nfile = "city.json"\n')
    assert call("user", "add", site.config, "wang", typed="long enough\n")[0] == 0
    state = State.in_folder(site.folder / "data")
    with state.read() as connection:
        (line,) = user_rows.list_audit(connection, None, 10)
    state.close()
    assert (line.act, line.subject) == ("user.save", "wang")
    assert 0 <= line.at - city_us < 60 * 30 * 1_000_000


@pytest.mark.parametrize("command", ["analyse {none}", "import {config} {none}"])
def test_a_folder_that_is_no_dataset_is_2(
    call: Callable[..., tuple[int, str, str]], site: SmallSite, tmp_path: Path, command: str
) -> None:
    code, _, err = call(*command.format(none=tmp_path / "none", config=site.config).split())
    assert code == 2
    assert "is this the folder of a dataset?" in err


def test_a_folder_that_is_a_file_is_1_without_a_trace(
    call: Callable[..., tuple[int, str, str]], site: SmallSite
) -> None:
    (site.folder / "data").write_text("")
    code, _, err = call("user", "list", site.config)
    assert (code, err) == (1, f"error {site.folder / 'data'}: File exists\n")


def test_a_damaged_state_database_without_a_copy_is_set_aside_and_named(
    call: Callable[..., tuple[int, str, str]], site: SmallSite, caplog: pytest.LogCaptureFixture
) -> None:
    (site.folder / "data").mkdir()
    (site.folder / "data" / "state.db").write_bytes(b"no database" * 1000)
    code, _, _ = call("user", "list", site.config)
    assert code == 0
    assert any("file is not a database; see quarantine/state-" in told for told in caplog.messages)
    (kept,) = (site.folder / "data" / "quarantine").glob("state-*/state.db")
    assert kept.read_bytes() == b"no database" * 1000


def test_a_taken_port_starts_nothing_and_is_named(
    call: Callable[..., tuple[int, str, str]], site: SmallSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "wait_for_ports", functools.partial(app.wait_for_ports, patience_s=0.1))
    with socket.create_server(("127.0.0.1", site.web_port)):
        code, _, err = call("run", site.config)
    assert code == 1
    assert err.startswith(f"error cannot listen on 127.0.0.1:{site.web_port}: Address already in use; is the gateway")
    assert not (site.folder / "data").exists()


def test_a_port_that_a_killed_gateway_still_holds_is_waited_for(free_port: Callable[[], int]) -> None:
    port = free_port()
    server = socket.create_server(("127.0.0.1", port))
    threading.Timer(0.4, server.close).start()
    app.wait_for_ports([f"127.0.0.1:{port}"], patience_s=60)
    began = time.monotonic()
    with pytest.raises(GatewayError, match="assign requested address"):
        app.wait_for_ports(["192.0.2.1:80"], patience_s=60)
    assert time.monotonic() - began < 30, "another machine's address never becomes ours"


class Roles:
    """Starts programs that end with these codes, one after the other, instead of roles."""

    def __init__(self, *codes: int | OSError) -> None:
        self.codes = list(codes)
        self.started = 0
        self.supervisor: Supervisor

    def start(self, _arguments: list[str], *, log: Path | None = None) -> subprocess.Popen[bytes]:
        self.started += 1
        code = self.codes.pop(0)
        if not self.codes:
            self.supervisor.stop()
        if isinstance(code, OSError):
            raise code
        return subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"])


@pytest.fixture
def supervise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, Roles]]:
    def run(*codes: int | OSError) -> tuple[int, Roles]:
        roles = Roles(*codes)
        monkeypatch.setattr("gateway.runtime.child.start", roles.start)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        roles.supervisor = Supervisor(Path("gasgate.toml"), ["keep"], tmp_path)
        return roles.supervisor.run(), roles

    return run


def test_a_role_that_ends_is_started_again_and_its_log_is_named(
    supervise: Callable[..., tuple[int, Roles]], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    code, roles = supervise(1, OSError(11, "no process left"), 0)
    assert (code, roles.started) == (0, 3)
    assert f"role keep ended with code 1; why is in {tmp_path / 'keep.log'}" in caplog.text
    assert "role keep cannot be started: [Errno 11] no process left" in caplog.text
    assert "starting it again in 1.0 s" in caplog.text
    assert "starting it again in 2.0 s" in caplog.text


def test_a_role_that_cannot_use_its_configuration_ends_all(
    supervise: Callable[..., tuple[int, Roles]], caplog: pytest.LogCaptureFixture
) -> None:
    code, roles = supervise(2, 0)
    assert (code, roles.started) == (2, 1)
    assert "role keep cannot use its configuration" in caplog.text
