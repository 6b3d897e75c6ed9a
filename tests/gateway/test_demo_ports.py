import json
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.demo import Ports, _choose_ports
from gateway.errors import ConfigError


def test_ports_stay_as_they_were_while_they_are_free(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = _choose_ports(file, 0)
    assert _choose_ports(file, 0) == first
    with socket.create_server(("127.0.0.1", first.desk)):
        second = _choose_ports(file, 0)
    assert second.desk != first.desk
    assert _choose_ports(file, 0) == second


@pytest.mark.parametrize("text", ["", "{", "[]", '{"web": 1}', "null"])
def test_a_damaged_note_of_the_ports_is_written_again(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(text)
    chosen = _choose_ports(file, 0)
    assert Ports(**json.loads(file.read_text())) == chosen
    assert len(set(asdict(chosen).values())) == len(asdict(chosen))


def test_a_wanted_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is taken; give --port another one"):
            _choose_ports(tmp_path / "ports.json", port)
    assert _choose_ports(tmp_path / "ports.json", port).web == port
