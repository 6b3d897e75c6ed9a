import pytest

from alarms.analysis.study import IN_TURN
from benchmarks.without import PARTS, config_without


@pytest.mark.parametrize("part", PARTS)
def test_one_part_of_the_bank_is_switched_off_and_no_other(part):
    config = config_without(part)
    off = [name for name in PARTS if getattr(config.bank, name) is False]
    assert off == [part]
    assert config.every_days == IN_TURN.every_days


def test_a_part_that_is_not_known_is_refused():
    with pytest.raises(SystemExit, match="match, vacancy, memory, shares"):
        config_without("everything")
