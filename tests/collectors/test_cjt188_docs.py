import re
import tomllib
from pathlib import Path

from collectors.cjt188_config import Cjt188Config

DOCUMENT = Path(__file__).parents[2] / "docs" / "cjt188.md"


def test_the_source_of_the_document_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (source,) = tomllib.loads(example)["source"]
    config = Cjt188Config.model_validate(source)
    assert [meter.meter for meter in config.buses[0].meters] == ["M-000001", "M-000002"]
