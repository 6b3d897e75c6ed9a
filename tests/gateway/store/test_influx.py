"""Both writers against real servers, and every refusal against a server that refuses by rule."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import Output
from gateway.settings import Secret
from gateway.store.influx import InfluxV1, InfluxV2, warnings_of
from gateway.store.outputs import OUTPUTS
from tests.contracts.output_contract import NETWORK, QUANTITY, OutputContract, Reader, names, now_us
from tests.services import Server

Make = Callable[[], Output]
Rule = Callable[[list[str]], tuple[int, str, dict[str, str]]]


@pytest.fixture
async def output(make_output: Make) -> AsyncIterator[Output]:
    made = make_output()
    yield made
    await made.close()


class TestInfluxV1(OutputContract):
    @pytest.fixture
    def server(self, influxdb_v1: Server) -> Server:
        return influxdb_v1

    @pytest.fixture
    def make_output(self, server: Server, request: pytest.FixtureRequest) -> Make:
        config = InfluxV1.Config(
            kind="influx_v1", name="v1", url=server.url, database=f'odd " {request.node.name}', timeout_s=5
        )
        return lambda: InfluxV1(config, names, NETWORK)

    @pytest.fixture
    def read_back(self, server: Server, request: pytest.FixtureRequest) -> Reader:
        def read(field: str, asset: str) -> dict[int, float]:
            query = f'SELECT "{field}" FROM "{QUANTITY}" WHERE asset = \'{asset}\''
            params = {"db": f'odd " {request.node.name}', "q": query, "epoch": "u"}
            (result,) = httpx.get(f"{server.url}/query", params=params).json()["results"]
            return {row[0]: row[1] for series in result.get("series", []) for row in series["values"]}

        return read

    async def test_a_database_that_must_not_be_made_is_permanent(self, server: Server) -> None:
        config = InfluxV1.Config(
            kind="influx_v1", name="v1", url=server.url, database="never_made", create_database=False
        )
        output = InfluxV1(config, names, NETWORK)
        with pytest.raises(PermanentError, match="database not found"):
            await output.probe()
        await output.close()

    async def test_lines_against_the_type_of_a_field_are_rejected_alone(self, server: Server, output: Output) -> None:
        await output.probe()
        database = output._config.database  # type: ignore[attr-defined]
        line = f'{QUANTITY},asset=P-5,point=P-5/{QUANTITY} value="text" 1000'
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.post("/write", params={"db": database}, content=line)).status_code == 204
        written = await output.write(ReadingBatch.build([5, 6], [2, 3], 3, [1.0, 2.0]))
        assert written.accepted + len(written.rejected) == 2
        assert all("conflict" in reason for _, reason in written.rejected)
        assert written.rejected

    async def test_only_what_is_beyond_the_retention_is_rejected(self, server: Server) -> None:
        async with httpx.AsyncClient(base_url=server.url) as client:
            query = 'CREATE DATABASE short WITH DURATION 1d REPLICATION 1 NAME "day"'
            assert (await client.post("/query", data={"q": query})).status_code == 200
        config = InfluxV1.Config(kind="influx_v1", name="v1", url=server.url, database="short", retention_policy="day")
        output = InfluxV1(config, names, NETWORK)
        ages_h = [number * 7 % 400 for number in range(2000)]
        times = [now_us() - hours * 3_600_000_000 for hours in ages_h]
        written = await output.write(ReadingBatch.build([70] * 2000, times, 0, [1.0] * 2000))
        rejected = {row for row, _ in written.rejected}
        assert {row for row, hours in enumerate(ages_h) if hours > 26} <= rejected
        assert not rejected & {row for row, hours in enumerate(ages_h) if hours < 22}
        assert written.accepted == 2000 - len(rejected)
        await output.close()


class TestInfluxV2(OutputContract):
    @pytest.fixture
    def server(self, victoria_metrics: Server) -> Server:
        return victoria_metrics

    @pytest.fixture
    def make_output(self, server: Server) -> Make:
        config = InfluxV2.Config(kind="influx_v2", name="v2", url=server.url, bucket="gas", timeout_s=5)
        return lambda: InfluxV2(config, names, NETWORK)

    @pytest.fixture
    def read_back(self, server: Server) -> Reader:
        def read(field: str, asset: str) -> dict[int, float]:
            match = f'{{__name__="{QUANTITY}_{field}",asset="{asset}"}}'
            httpx.get(f"{server.url}/internal/force_flush")
            found: dict[int, float] = {}
            for line in httpx.get(f"{server.url}/api/v1/export", params={"match[]": match}).text.splitlines():
                series = json.loads(line)
                times = [ms * 1000 for ms in series["timestamps"]]
                found |= dict(zip(times, series["values"], strict=True))
            return found

        return read

    async def test_the_server_keeps_the_good_lines_around_one_that_it_cannot_read(
        self, output: Output, read_back: Reader
    ) -> None:
        at = now_us()
        good = f"{QUANTITY},asset=P-60,point=P-60/{QUANTITY} value=1"
        sent: Any = output
        written = await sent.write_lines([f"{good} {at}", "no line at all", f"{good} {at + 1000}"])
        assert (written.accepted, [row for row, _ in written.rejected]) == (2, [1])
        assert set(read_back("value", "P-60")) == {at, at + 1000}


class Judge:
    """A v1 and v2 server that answers each body as a rule says and remembers what it accepted."""

    def __init__(self) -> None:
        self.rule: Rule = lambda _: (204, "", {})
        self.accepted: list[str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                lines = body.decode().split("\n")
                judge.requests.append((self.path, dict(self.headers)))
                status, text, headers = judge.rule(lines)
                if status == 204:
                    judge.accepted += lines
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                content = b"" if status == 204 else text.encode()
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def judge() -> Iterator[Judge]:
    made = Judge()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(params=["v1", "v2"])
async def judged(judge: Judge, request: pytest.FixtureRequest) -> AsyncIterator[Output]:
    made: Output
    if request.param == "v1":
        made = InfluxV1(
            InfluxV1.Config(kind="influx_v1", name="o", url=judge.url, database="gas", timeout_s=2), names, NETWORK
        )
    else:
        made = InfluxV2(
            InfluxV2.Config(kind="influx_v2", name="o", url=judge.url, bucket="gas", timeout_s=2), names, NETWORK
        )
    yield made
    await made.close()


def batch_of(count: int) -> ReadingBatch:
    return ReadingBatch.build([1] * count, list(range(count)), 0, [float(number) for number in range(count)])


def bad_lines(lines: list[str]) -> list[int]:
    return [at for at, line in enumerate(lines) if "value=4321.0," in line]


def parse_error_v1(lines: list[str]) -> tuple[int, str, dict[str, str]]:
    bad = bad_lines(lines)
    text = "\\n".join(f"unable to parse '{lines[at]}': invalid number" for at in bad)
    return (400, json.dumps({"error": text}), {}) if bad else (204, "", {})


def parse_error_v2(lines: list[str]) -> tuple[int, str, dict[str, str]]:
    bad = bad_lines(lines)
    text = (
        f"failed to parse line protocol: errors encountered on line(s): error parsing line {bad[0] + 1} (1-based)"
        if bad
        else ""
    )
    return (400, json.dumps({"code": "invalid", "message": text}), {}) if bad else (204, "", {})


def parse_error_v3(lines: list[str]) -> tuple[int, str, dict[str, str]]:
    data = [{"original_line": "", "line_number": at + 1, "error_message": "no"} for at in bad_lines(lines)]
    error = {"error": "partial write of line protocol occurred", "data": data}
    return (400, json.dumps(error), {}) if data else (204, "", {})


def wrong_hint(lines: list[str]) -> tuple[int, str, dict[str, str]]:
    return (400, "error parsing line 17: unable to parse", {}) if bad_lines(lines) else (204, "", {})


@pytest.mark.parametrize(
    ("rule", "most_requests"), [(parse_error_v1, 3), (parse_error_v2, 3), (parse_error_v3, 3), (wrong_hint, 60)]
)
async def test_one_bad_line_in_5000_is_found(judged: Output, judge: Judge, rule: Rule, most_requests: int) -> None:
    judge.rule = rule
    written = await judged.write(batch_of(5000))
    assert written.accepted == 4999
    ((row, reason),) = written.rejected
    assert row == 4321
    assert "400" in reason
    assert len(set(judge.accepted)) == 4999
    assert len(judge.requests) <= most_requests


async def test_a_body_too_large_is_halved_and_the_next_is_not_tried(judged: Output, judge: Judge) -> None:
    judge.rule = lambda lines: (413, "too large", {}) if len("\n".join(lines)) > 70_000 else (204, "", {})
    assert (await judged.write(batch_of(3000))).accepted == 3000
    assert len(judge.accepted) == 3000
    for _ in range(5):
        await judged.write(batch_of(3000))
    judge.requests.clear()
    assert (await judged.write(batch_of(3000))).accepted == 3000
    assert len(judge.requests) < 12, "every body is small enough at once"


async def test_a_single_line_that_is_too_large_is_rejected(judged: Output, judge: Judge) -> None:
    judge.rule = lambda lines: (413, "too large", {}) if bad_lines(lines) else (204, "", {})
    written = await judged.write(batch_of(5000))
    assert (written.accepted, [row for row, _ in written.rejected]) == (4999, [4321])


async def test_a_whole_body_beyond_retention_costs_one_request(judged: Output, judge: Judge) -> None:
    judge.rule = lambda lines: (
        400,
        f"partial write: points beyond retention policy dropped={len(lines)}",
        {},
    )
    written = await judged.write(batch_of(3000))
    assert (written.accepted, len(written.rejected), len(judge.requests)) == (0, 3000, 1)


async def test_mixed_ages_around_the_retention_cost_few_requests(judged: Output, judge: Judge) -> None:
    def rule(lines: list[str]) -> tuple[int, str, dict[str, str]]:
        old = sum(int(line.split()[-1]) < 1000 for line in lines)
        return (400, f"partial write: points beyond retention policy dropped={old}", {}) if old else (204, "", {})

    judge.rule = rule
    times = [(number * 7919) % 5000 for number in range(5000)]
    written = await judged.write(ReadingBatch.build([1] * 5000, times, 0, [1.0] * 5000))
    assert sorted(times[row] for row, _ in written.rejected) == list(range(1000))
    assert (written.accepted, len(judge.requests) < 40) == (4000, True)


@pytest.mark.parametrize("count", [1, 4000])
async def test_a_refusal_that_is_not_about_the_lines_rejects_none(judged: Output, judge: Judge, count: int) -> None:
    judge.rule = lambda _: (400, "bucket name is missing", {})
    with pytest.raises(PermanentError, match="bucket name is missing"):
        await judged.write(batch_of(count))
    assert len(judge.requests) == 2


async def test_an_unknown_refusal_of_one_line_alone_is_its_own_fault(judged: Output, judge: Judge) -> None:
    judge.rule = lambda lines: (400, "do not like it", {}) if bad_lines(lines) else (204, "", {})
    written = await judged.write(batch_of(5000))
    assert (written.accepted, [row for row, _ in written.rejected]) == (4999, [4321])


async def test_a_cut_connection_is_transient_and_nothing_is_taken_for_accepted(free_port: Callable[[], int]) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 204 No Con")
        writer.transport.abort()

    port = free_port()
    async with await asyncio.start_server(cut, "127.0.0.1", port):
        config = InfluxV1.Config(kind="influx_v1", name="o", url=f"http://127.0.0.1:{port}", database="g")
        output = InfluxV1(config, names, NETWORK)
        with pytest.raises(TransientError):
            await output.write(batch_of(3))
        await output.close()


async def test_an_endless_answer_is_cut(free_port: Callable[[], int]) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 200_000)
        with contextlib.suppress(OSError):
            await writer.drain()
            await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(babble, "127.0.0.1", port):
        config = InfluxV2.Config(kind="influx_v2", name="o", url=f"http://127.0.0.1:{port}", bucket="g", timeout_s=5)
        output = InfluxV2(config, names, NETWORK)
        with pytest.raises(PermanentError, match="401") as caught:
            await output.write(batch_of(3))
        assert len(str(caught.value)) < 400
        await output.close()


async def test_the_server_may_name_a_date(judged: Output, judge: Judge) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    judge.rule = lambda _: (503, "busy", {"Retry-After": until})
    with pytest.raises(TransientError) as caught:
        await judged.write(batch_of(2))
    assert caught.value.retry_after_s == pytest.approx(40, abs=3)


def test_a_secret_on_a_plain_way_is_warned_about() -> None:
    def warned(url: str, **more: Any) -> list[str]:
        return warnings_of(InfluxV2.Config(kind="influx_v2", name="o", url=url, bucket="b", **more))

    token = Secret(env="TOKEN")
    (warning,) = warned("http://influx.example:8086", token=token)
    assert "https" in warning
    assert not warned("https://influx.example:8086", token=token)
    assert not warned("http://127.0.0.1:8086", token=token)
    assert not warned("http://influx.example:8086")


@pytest.mark.parametrize(("gzip_key", "packed"), [(None, False), (True, True)])
async def test_nothing_is_compressed_on_the_way_to_this_machine_unless_asked(
    judge: Judge, gzip_key: bool | None, packed: bool
) -> None:
    config = InfluxV1.Config(kind="influx_v1", name="o", url=judge.url, database="g", gzip=gzip_key)
    output = InfluxV1(config, names, NETWORK)
    assert (await output.write(batch_of(7))).accepted == len(judge.accepted) == 7
    assert ("Content-Encoding" in judge.requests[0][1]) is packed
    await output.close()


@pytest.mark.parametrize("status", [429, 503])
async def test_the_server_says_how_long_to_wait(judged: Output, judge: Judge, status: int) -> None:
    judge.rule = lambda _: (status, "busy", {"Retry-After": "17"})
    with pytest.raises(TransientError) as caught:
        await judged.write(batch_of(2))
    assert caught.value.retry_after_s == 17


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, PermanentError), (403, PermanentError), (404, PermanentError), (500, TransientError), (502, TransientError)],
)
async def test_other_refusals_keep_everything(judged: Output, judge: Judge, status: int, kind: type[Exception]) -> None:
    judge.rule = lambda _: (status, "no", {})
    with pytest.raises(kind):
        await judged.write(batch_of(2))


async def test_the_token_goes_along_and_is_never_told(judge: Judge, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    config = InfluxV2.Config(
        kind="influx_v2", name="o", url=judge.url, bucket="gas", org="city", token=Secret(file=tmp_path / "token")
    )
    output = InfluxV2(config, names, NETWORK)
    await output.write(batch_of(1))
    path, headers = judge.requests[0]
    assert headers["Authorization"] == "Token s3cret"
    assert "precision=us" in path
    judge.rule = lambda _: (401, "no", {})
    with pytest.raises(PermanentError) as caught:
        await output.probe()
    assert "s3cret" not in str(caught.value)
    await output.close()
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match="cannot read the secret"):
        InfluxV2(config, names, NETWORK)


async def test_a_server_that_does_not_answer_is_transient(free_port: Callable[[], int]) -> None:
    for make in (
        lambda url: InfluxV1(InfluxV1.Config(kind="influx_v1", name="o", url=url, database="g"), names, NETWORK),
        lambda url: InfluxV2(InfluxV2.Config(kind="influx_v2", name="o", url=url, bucket="g"), names, NETWORK),
    ):
        output = make(f"http://127.0.0.1:{free_port()}")
        write: Callable[[ReadingBatch], Awaitable[object]] = output.write
        with pytest.raises(TransientError):
            await write(batch_of(1))
        await output.close()


def test_every_kind_is_registered_under_its_name() -> None:
    for kind, made in OUTPUTS.items():
        assert made.Config.model_fields["kind"].annotation.__args__ == (kind,)  # type: ignore[union-attr]
