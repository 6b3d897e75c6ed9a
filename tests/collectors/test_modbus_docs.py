import re
import tomllib
from pathlib import Path

import pytest

from collectors.decode import check_golden
from collectors.modbus_config import ModbusConfig
from gateway.profiles import parse_profile

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("modbus.md", "profiles.md"))
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
SOURCES = [example for example in EXAMPLES if "[[source]]" in example]
PROFILES = [example for example in EXAMPLES if "golden" in example]


@pytest.mark.parametrize("example", SOURCES)
def test_each_source_of_the_documents_is_valid(example: str) -> None:
    for source in tomllib.loads(example)["source"]:
        ModbusConfig.model_validate(source)


@pytest.mark.parametrize("example", PROFILES)
def test_each_profile_of_the_documents_decodes_its_golden_frame(example: str) -> None:
    check_golden(parse_profile(example, "docs/profiles.md"))


def test_every_way_to_a_device_has_an_example() -> None:
    assert len(SOURCES) + len(PROFILES) == len(EXAMPLES) >= 7
    for scheme in ("tcp", "tls", "rtu+tcp", "rtu", "ascii"):
        assert any(f'url = "{scheme}://' in example for example in SOURCES), scheme
