import pytest

from tests.collectors.hostile import KINDS, WAYS, count_wrong


@pytest.mark.parametrize("way", WAYS)
async def test_no_hostile_reply_puts_a_value_under_another_point(way: str) -> None:
    sent, outcome = await count_wrong(300, (way,), links=5)
    # a busy machine may also be behind with a question, and then says nothing
    assert set(sent) - {"behind"} == {*KINDS, "honest", "late and sent"}
    assert outcome["WRONG"] == 0
    assert outcome["right"] > 50
    assert outcome["TransientError"] > 20
    assert outcome["WrongReplyError"] > 50
