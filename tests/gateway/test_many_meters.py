"""A large city's meters as columns: the same meters as row by row, once for all processes, and never stale."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import meters_csv
from gateway.columns_file import read_columns, write_columns
from gateway.csv_table import Table
from gateway.dataset import read_network
from gateway.errors import ConfigError
from gateway.meters_build import build
from gateway.model import text_column
from gateway.model.meters import MeterTable
from gateway.model.names import NameTable
from gateway.model.network import Meter, MeterKind, MeterRole
from gateway.model.text_column import TextColumn

HEADER = (
    "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,installed_on,"
    "account,x_m,y_m\n"
)
ZONES = "zone_id,parent_id,kind,name\nCITY,,city,City\nR-1,CITY,regulator,One\nR-2,CITY,regulator,Two\n"
ROWS = (
    "V-001,R-1,supply,corrector,,9,2,400,1,2020-01-01,,,\n"
    "M-001,R-1,customer,ic_card,residential,5,3,6,0,2021-06-30,open,10.5,-3\n"
    "表-7,R-2,customer,remote,commercial,8,0, 2.50 ,1,2021-06-30,closed,1e3,\n"
    "M-003, R-2 ,,remote,,8,0,1.6e1,1,2021-06-30,never_opened,, 7\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(meters_csv, "MANY_BYTES", 0)
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "zones.csv").write_text(ZONES, encoding="utf-8")
    (folder / "meters.csv").write_text(HEADER + ROWS.replace(",,remote,", ",customer,remote,"), encoding="utf-8")
    return folder


def slowly(folder: Path) -> dict[str, Meter]:
    return meters_csv.row_by_row(Table(folder / "meters.csv"), {"R-1", "R-2"})


def test_columns_hold_what_rows_hold(folder: Path, tmp_path: Path) -> None:
    network = read_network(folder, cache=tmp_path / "meters.columns")
    assert isinstance(network.meters, MeterTable)
    expected = slowly(folder)
    assert list(network.meters) == list(expected) == ["V-001", "M-001", "表-7", "M-003"]
    assert list(network.meters.values()) == list(expected.values())
    assert dict(network.meters.items()) == expected
    assert network.meters["表-7"].max_flow_m3h == 2.5
    assert network.meters["M-003"].zone_id == network.zone_of("M-003") == "R-2"
    assert "M-004" not in network.meters
    assert network.meters.get("M-004") is None
    with pytest.raises(KeyError):
        network.meters[""]


def test_the_cache_is_used_until_a_file_changes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "data" / "meters.columns"
    read_network(folder, cache=cache)
    built = cache.stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr("gateway.meters_csv.subprocess.run", lambda *_, **__: pytest.fail("read again"))
        assert list(read_network(folder, cache=cache).meters) == ["V-001", "M-001", "表-7", "M-003"]
    path = folder / "meters.csv"
    before = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("M-003", "M-033"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "M-033" in read_network(folder, cache=cache).meters
    assert cache.stat().st_ino != built
    (folder / "zones.csv").write_text(ZONES.replace("R-2,", "R-3,"), encoding="utf-8")
    with pytest.raises(ConfigError, match="'R-2' is no zone"):
        read_network(folder, cache=cache)


def test_without_a_cache_nothing_is_left(folder: Path) -> None:
    before = sorted(folder.iterdir())
    assert isinstance(read_network(folder).meters, MeterTable)
    assert sorted(folder.iterdir()) == before


def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "meters.columns"
    read_network(folder, cache=cache)
    whole = cache.read_bytes()
    for content in (b"", whole[:-1], b"x" * len(whole), whole[:30]):
        cache.write_bytes(content)
        assert read_columns(cache) is None
        assert len(read_network(folder, cache=cache).meters) == 4


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("M-001,R-1", "M-001,R-9", "meters.csv:3: column zone_id: 'R-9' is no zone"),
        (",5,3,6,", ",5,3,nan,", "meters.csv:3: column max_flow_m3h: 'nan' cannot be used"),
        ("M-001", "V-001", "meters.csv:3: column meter_id: 'V-001' stands here twice"),
        ("M-001", "M/1", "meters.csv:3: column meter_id: 'M/1' holds a slash"),
        ("M-001", "", "meters.csv:3: column meter_id: is empty"),
        ("10.5", "east", "meters.csv:3: column x_m: 'east' cannot be used"),
        ("10.5", "inf", "meters.csv:3: column x_m: 'inf' cannot be used"),
        ("meter_id,", "meter,", "meters.csv:1: column meter_id is missing"),
    ],
)
def test_a_fault_is_named_as_ever(folder: Path, old: str, new: str, problem: str) -> None:
    path = folder / "meters.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_network(folder)
    assert any(problem in one for one in error.value.problems), error.value.problems


@pytest.mark.parametrize(
    "change", [("V-001", '"V-\n001"'), ("\n", "\r\n"), ("\nM-003", "\n\nM-003"), ("\n", ",more\n")]
)
def test_odd_files_are_read_as_ever(folder: Path, change: tuple[str, str]) -> None:
    path = folder / "meters.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8", newline="")
    assert dict(read_network(folder).meters) == slowly(folder)


def test_accounts_and_addresses_are_kept_and_found(folder: Path, tmp_path: Path) -> None:
    path = folder / "meters.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    more = ("account_no,address", ",", '4401-7,"柳园路 12 号, 3 栋"', "4402-7, 站前街 5 号 ", "4403-9,Dock Street 5")
    path.write_text("\n".join(",".join(pair) for pair in zip(lines, more, strict=True)), encoding="utf-8")
    network = read_network(folder, cache=tmp_path / "columns")
    assert dict(network.meters) == slowly(folder)
    assert isinstance(network.meters, MeterTable)
    assert network.meters["表-7"].address == "站前街 5 号"
    address, account = network.meters.texts["address"], network.meters.texts["account_no"]
    assert list(address.rows_with("柳园路")) == [1]
    assert list(address.rows_with("dock")) == [3]
    assert list(account.rows_with("-7")) == [1, 2]
    assert list(account.rows_with("-7", after=1)) == [2]
    assert network.meters.at(1).account_no == "4401-7"


@pytest.mark.parametrize("without", ["x_m,y_m", "y_m"])
def test_positions_may_be_missing(folder: Path, without: str) -> None:
    path = folder / "meters.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(f",{without}\n", ",other\n"), encoding="utf-8")
    assert dict(read_network(folder).meters) == slowly(folder)


def test_a_byte_order_mark_does_no_harm(folder: Path, tmp_path: Path) -> None:
    path = folder / "meters.csv"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert build(path, folder / "zones.csv", tmp_path / "columns")
    assert dict(read_network(folder).meters) == slowly(folder)


def test_thousands_of_meters_in_their_order(folder: Path, tmp_path: Path) -> None:
    rows = [
        f"M-{n * 7919 % 20_000:05d},R-{n % 2 + 1},customer,remote,c{n % 5},8,3,{n % 7 + 0.1},{n % 2},"
        f"{date(2000, 1, 1) + timedelta(days=n % 900)},open,{n / 7},{-n / 3}\n"
        for n in range(20_000)
    ]
    (folder / "meters.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    network = read_network(folder, cache=tmp_path / "columns")
    every = list(slowly(folder).values())
    assert list(network.meters.values()) == every
    assert isinstance(network.meters, MeterTable)
    assert list(network.meters.every(7)) == every[::7]


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(names, unique=True, max_size=60), st.lists(names, max_size=20))
def test_names_are_found_where_they_stand(kept: list[str], others: list[str]) -> None:
    split = len(kept) // 3
    table = NameTable.of(kept[split:], after=NameTable.of(kept[:split]))
    table = NameTable(table.columns("a_"), "a_")
    assert list(table) == kept
    assert [table.find(name) for name in kept] == list(range(len(kept)))
    assert table.names(range(len(kept))) == kept
    assert all(table.find(name) == -1 for name in {*others, ""} - {*kept})
    assert table.first_double() == -1
    if kept:
        assert NameTable.of([*kept, kept[0], "~~"]).first_double() == len(kept)


@given(
    st.lists(
        st.builds(
            Meter,
            names,
            names,
            st.sampled_from(MeterRole),
            st.sampled_from(MeterKind),
            names,
            st.integers(1, 15),
            st.integers(0, 9),
            st.floats(0, 1e6),
            st.booleans(),
            st.dates(),
            st.sampled_from(meters_csv.ACCOUNTS),
            st.none() | st.floats(-1e6, 1e6),
            st.none() | st.floats(-1e6, 1e6),
            st.text(max_size=8),
            names,
        ),
        unique_by=lambda one: one.meter_id,
        max_size=20,
    )
)
def test_meters_come_out_as_they_went_in(meters: list[Meter]) -> None:
    expected = {one.meter_id: one for one in meters}
    table = MeterTable.of(expected)
    assert dict(MeterTable.kept(table.columns(), table.words)) == expected
    assert list(table.values()) == meters


def test_a_file_of_columns_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    table = NameTable.of(["a", "b"])
    write_columns(path, {"n": 1}, table.columns())
    first = read_columns(path)
    write_columns(path, {"n": 2}, NameTable.of([]).columns())
    second = read_columns(path)
    assert first is not None
    assert second is not None
    assert (first[0]["n"], second[0]["n"]) == (1, 2)
    assert list(NameTable(first[1])) == ["a", "b"]
    assert list(NameTable(second[1])) == []
    assert [one.name for one in path.parent.iterdir()] == ["file"]


@given(st.lists(st.text("ab界", max_size=4), max_size=30), st.text("abB界", max_size=3), st.integers(-1, 29))
def test_texts_are_found_by_any_part(texts: list[str], part: str, after: int) -> None:
    column = TextColumn.of(texts)
    after = min(after, len(texts) - 1)
    expected = [row for row, text in enumerate(texts) if part and part.lower() in text and row > after]
    assert list(column.rows_with(part, after)) == expected
    assert [column[row] for row in range(len(column))] == texts


def test_a_text_is_found_wherever_the_pieces_of_a_search_end(monkeypatch: pytest.MonkeyPatch) -> None:
    column = TextColumn.of(f"M-{n:03}" for n in range(200))
    for size in range(1, 12):
        monkeypatch.setattr(text_column, "_AT_ONCE", size)
        assert list(column.rows_with("m-19")) == list(range(190, 200))
        assert list(column.rows_with("9M-0")) == [], "no text spans two rows"
