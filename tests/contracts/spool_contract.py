"""What every `Spool` must do."""

from collections.abc import Callable

import numpy as np

from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Delivery, Spool

HOUR_US = 3_600_000_000


def rows(*values: float, at: int = 1_000_000) -> ReadingBatch:
    """Return one reading of point 7 for each value, a second apart."""
    times = [at + number * 1_000_000 for number in range(len(values))]
    return ReadingBatch.build([7] * len(values), times, times, values)


class SpoolContract:
    async def test_a_record_is_read_as_it_was_appended(self, make_spool: Callable[[], Spool]) -> None:
        spool = make_spool()
        letter = DeadLetter("mqtt", "gas/x", b"\x00\xff", "unknown meter", 5)
        record = spool.append([Delivery("a", rows(1.5, 2.5)), Delivery("mqtt", ReadingBatch.empty(), (letter,))])
        (again,) = spool.read(record.seq - 1, 10)
        assert again.seq == record.seq == spool.last_seq() == spool.first_seq() == 1
        assert again.batch.to_bytes() == rows(1.5, 2.5).to_bytes() == record.batch.to_bytes()
        assert again.dead == record.dead == (letter,)

    async def test_reading_continues_behind_a_sequence(self, make_spool: Callable[[], Spool]) -> None:
        spool = make_spool()
        for value in range(30):
            spool.append([Delivery("a", rows(float(value)))])
        assert [one.seq for one in spool.read(25, 3)] == [26, 27, 28]
        assert [one.seq for one in spool.read(0, 100)] == list(range(1, 31))
        assert spool.read(30, 10) == []

    async def test_a_new_owner_goes_on_where_the_last_ended(self, make_spool: Callable[[], Spool]) -> None:
        spool = make_spool()
        spool.append([Delivery("a", rows(1.0))])
        spool.close()
        spool.close()
        spool = make_spool()
        assert spool.append([Delivery("a", rows(2.0))]).seq == 2
        np.testing.assert_equal([one.batch.value[0] for one in spool.read(0, 10)], [1.0, 2.0])

    async def test_a_redelivered_message_vanishes_for_an_hour(self, make_spool: Callable[[], Spool]) -> None:
        spool = make_spool()
        first = spool.append([Delivery("a", rows(1.0), digest=b"same"), Delivery("a", rows(1.0), digest=b"same")])
        assert (len(first.batch), first.redelivered) == (1, (1,))
        spool.close()
        spool = make_spool()
        again = spool.append([Delivery("a", rows(3.0)), Delivery("a", rows(1.0, at=HOUR_US), digest=b"same")])
        assert (again.batch.value.tolist(), again.redelivered) == ([3.0], (1,))
        late = spool.append([Delivery("a", rows(1.0, at=2 * HOUR_US), digest=b"same")])
        assert late.redelivered == ()

    async def test_release_never_takes_what_is_not_released(self, make_spool: Callable[[], Spool]) -> None:
        spool = make_spool()
        for value in range(20):
            spool.append([Delivery("a", rows(float(value)))])
        spool.release(10)
        assert spool.first_seq() <= 11
        assert [one.seq for one in spool.read(10, 100)] == list(range(11, 21))
