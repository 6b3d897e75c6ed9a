"""The spool on real files: damage, a full disk, released segments."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.errors import PermanentError, TransientError
from gateway.ports import Delivery, Spool
from gateway.store.spool import FileSpool
from tests.contracts.spool_contract import SpoolContract, rows


@pytest.fixture
def make_spool(tmp_path: Path) -> Iterator[Callable[[], FileSpool]]:
    made: list[FileSpool] = []

    def make() -> FileSpool:
        made.append(FileSpool(tmp_path / "spool", segment_bytes=600))
        return made[-1]

    yield make
    for spool in made:
        spool.close()


class TestFileSpool(SpoolContract):
    pass


def fill(spool: Spool, count: int) -> None:
    for value in range(count):
        spool.append([Delivery("a", rows(float(value)))])


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.spool"))


def test_closing_waits_for_an_append_in_another_thread(
    make_spool: Callable[[], FileSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the append would write into whatever file gets the number of the closed one."""
    spool = make_spool()
    real, inside = os.fdatasync, threading.Event()

    def slow(handle: int) -> None:
        inside.set()
        time.sleep(0.2)
        real(handle)

    monkeypatch.setattr("gateway.store.spool.os.fdatasync", slow)
    appending = threading.Thread(target=fill, args=(spool, 1))
    appending.start()
    assert inside.wait(30)
    spool.close()
    assert spool.last_seq() == 1
    appending.join()
    with pytest.raises(TransientError, match="closed"):
        fill(spool, 1)
    assert [one.seq for one in make_spool().read(0, 10)] == [1]


def test_a_second_owner_is_refused(make_spool: Callable[[], FileSpool]) -> None:
    make_spool()
    with pytest.raises(PermanentError, match="in use by another process"):
        make_spool()


@pytest.mark.parametrize("cut", [1, 10, 30, 63])
def test_a_torn_last_record_is_cut_and_its_sequence_used_again(
    make_spool: Callable[[], FileSpool], tmp_path: Path, cut: int
) -> None:
    spool = make_spool()
    fill(spool, 3)
    spool.close()
    newest = segments(tmp_path)[-1]
    os.truncate(newest, newest.stat().st_size - cut)
    spool = make_spool()
    assert [one.seq for one in spool.read(0, 10)] == [1, 2]
    assert spool.damage == []
    assert spool.append([Delivery("a", rows(9.0))]).seq == 3


def test_zeros_behind_the_last_record_are_cut(make_spool: Callable[[], FileSpool], tmp_path: Path) -> None:
    spool = make_spool()
    fill(spool, 2)
    spool.close()
    with segments(tmp_path)[-1].open("ab") as file:
        file.write(bytes(500))
    spool = make_spool()
    assert (spool.last_seq(), spool.damage) == (2, [])
    spool.append([Delivery("a", rows(9.0))])
    assert [one.seq for one in spool.read(0, 10)] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_costs_one_record_at_most(make_spool: Callable[[], FileSpool], tmp_path: Path, seed: int) -> None:
    spool = make_spool()
    fill(spool, 20)
    spool.close()
    rng = random.Random(seed)
    victim = rng.choice(segments(tmp_path))
    data = bytearray(victim.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    victim.write_bytes(data)
    spool = make_spool()
    left = [one.seq for one in spool.read(0, 100)]
    (lost,) = set(range(1, 21)) - set(left)
    (damage,) = spool.damage
    assert damage.file == victim.name
    assert damage.lost_seqs is not None
    assert damage.lost_seqs[0] <= lost <= damage.lost_seqs[1]
    assert (tmp_path / "spool" / "quarantine" / victim.name).read_bytes() == data
    assert spool.append([Delivery("a", rows(1.0))]).seq > 20
    spool.close()
    assert make_spool().damage == []


def test_damage_found_while_reading_is_skipped(make_spool: Callable[[], FileSpool], tmp_path: Path) -> None:
    spool = make_spool()
    fill(spool, 20)
    first = segments(tmp_path)[0]
    data = bytearray(first.read_bytes())
    data[30] ^= 1
    first.write_bytes(data)
    assert [one.seq for one in spool.read(0, 100)] == list(range(2, 21))
    assert [one.seq for one in spool.read(0, 100)] == list(range(2, 21))
    assert [one.lost_seqs for one in spool.damage] == [(1, 1)]


def test_a_full_disk_keeps_nothing_of_the_group_and_recovers(
    make_spool: Callable[[], FileSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = make_spool()
    fill(spool, 2)
    real = os.write

    def short_then_full(handle: int, data: memoryview) -> int:
        if len(data) > 20:
            return real(handle, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.store.spool.os.write", short_then_full)
    for _ in range(2):
        with pytest.raises(TransientError, match="No space left"):
            spool.append([Delivery("a", rows(7.0), digest=b"d")])
    monkeypatch.undo()
    assert spool.append([Delivery("a", rows(8.0), digest=b"d")]).redelivered == ()
    assert [one.batch.value[0] for one in spool.read(0, 10)] == [0.0, 1.0, 8.0]
    spool.close()
    again = make_spool()
    assert ([one.seq for one in again.read(0, 10)], again.damage) == ([1, 2, 3], [])


def test_a_file_size_limit_of_the_kernel_is_a_full_disk(tmp_path: Path) -> None:
    """The kernel itself stops the write in the middle, in a process of its own."""
    import subprocess
    import sys

    script = """
import resource, signal, sys
from pathlib import Path
from gateway.errors import TransientError
from gateway.ports import Delivery
from gateway.store.spool import FileSpool
from tests.contracts.spool_contract import rows
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = FileSpool(Path(sys.argv[1]))
spool.append([Delivery("a", rows(1.0))])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (120, hard))
for _ in range(3):
    try:
        spool.append([Delivery("a", rows(2.0, 3.0, 4.0))])
    except TransientError:
        print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
spool.append([Delivery("a", rows(5.0))])
print([one.batch.value.tolist() for one in spool.read(0, 10)])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split("\n")[:4] == ["full", "full", "full", "[[1.0], [5.0]]"]


def test_a_failed_sync_leaves_the_file_it_cannot_trust(
    make_spool: Callable[[], FileSpool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = make_spool()
    fill(spool, 2)

    def broken(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("gateway.store.spool.os.fdatasync", broken)
    with pytest.raises(TransientError, match="Input/output"):
        spool.append([Delivery("a", rows(7.0))])
    monkeypatch.undo()
    before = len(segments(tmp_path))
    spool.append([Delivery("a", rows(8.0))])
    assert len(segments(tmp_path)) == before + 1
    assert [one.batch.value[0] for one in spool.read(0, 10)] == [0.0, 1.0, 8.0]


def test_released_segments_stay_until_a_cap_asks_for_their_room(tmp_path: Path) -> None:
    now = [0.0]
    spool = FileSpool(tmp_path / "spool", segment_bytes=600, cap_bytes=1500, min_free_bytes=0, wall=lambda: now[0])
    fill(spool, 60)
    kept = spool.bytes_kept()
    spool.release(0)
    assert spool.bytes_kept() == kept > 3000
    spool.release(40)
    assert spool.first_seq() <= 41
    assert [one.seq for one in spool.read(40, 100)] == list(range(41, 61))
    spool.release(60)
    assert spool.bytes_kept() <= 1500
    assert spool.read(0, 100)[-1].seq == 60
    now[0] = 4e12
    spool.release(60)
    assert len(segments(tmp_path)) == 1
    assert spool.last_seq() == 60
    spool.close()


def test_a_lost_spool_goes_on_behind_what_the_store_has(make_spool: Callable[[], FileSpool]) -> None:
    spool = make_spool()
    spool.advance_to(500)
    assert (spool.last_seq(), spool.first_seq()) == (500, 501)
    assert spool.append([Delivery("a", rows(1.0))]).seq == 501
    spool.advance_to(7)
    assert spool.append([Delivery("a", rows(1.0))]).seq == 502
    spool.close()
    assert [one.seq for one in make_spool().read(0, 10)] == [501, 502]


def test_of_repair_stock_only_the_newest_is_remembered_by_record(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path / "spool", segment_bytes=600, min_free_bytes=0)
    fill(spool, 200)
    assert len(segments(tmp_path)) > 20
    spool.release(200)
    indexed = [one for one in spool._segments if one.index is not None]
    assert len(indexed) < 12
    for _ in range(3):
        assert [one.seq for one in spool.read(0, 300)] == list(range(1, 201))
        spool.release(200)
    assert spool.first_seq() == 1
    assert spool.damage == []
    spool.close()
