"""The examples of docs/commands.md are what gasgate takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from collectors.command_frames import write_pdu
from collectors.mqtt_config import MqttConfig
from gateway.model.command import APPROVE_WITHIN_S, SEND_WITHIN_S, CommandState
from gateway.profiles.commands import CommandTable
from gateway.store import command_rows

DOCUMENT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
BLOCKS = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)]


def test_the_commands_of_a_profile_send_their_golden_frames() -> None:
    profile: dict[str, Any] = BLOCKS[0]
    (own,), (of_member,) = profile["command"], profile["members"]["command"]
    assert write_pdu(CommandTable.model_validate(own).spec()) == bytes.fromhex(own["golden"])
    table = CommandTable.model_validate(of_member)
    # the concentrator's members begin at 1000
    shifted = CommandTable.model_validate({**of_member, "at": f"holding:{1000 + table.spec().address}"})
    assert write_pdu(shifted.spec()) == bytes.fromhex(of_member["golden"])


def test_the_command_of_an_mqtt_source_is_taken() -> None:
    topic = {"filter": "gas/+/{meter}/up", "values": {"valve": "k"}}
    source = {"name": "m", "url": "mqtt://h", "client_id": "c", "topic": [topic], **BLOCKS[1]["source"]}
    (command,) = MqttConfig.model_validate(source).commands
    assert command.closes


def test_states_and_bounds_are_those_of_the_code() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| ", DOCUMENT, re.MULTILINE)) >= {state.value for state in CommandState}
    assert (SEND_WITHIN_S, APPROVE_WITHIN_S) == (60.0, 300.0)
    bounds = (command_rows.MOST_OPEN_OF_ONE, command_rows.MOST_OF_ONE_A_MINUTE, command_rows.MOST_A_MINUTE)
    assert bounds == (5, 10, 30)
    assert "a person five, and ten new ones a minute; all persons together thirty a minute" in DOCUMENT
