"""Writers for InfluxDB: the v2 API (InfluxDB 1.8 and later, VictoriaMetrics) and the plain v1 API."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import aiohttp
import httpx
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.write_precision import WritePrecision
from pydantic import AfterValidator, Field

from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.ports import Written
from gateway.settings import ConfigPath, Secret, Settings
from gateway.store.lines import LineFormat, Names

_MOST_LINES = 5_000
_MOST_BYTES = 1_000_000
_PROBE = b"gasgate_probe value=1"
_ABOUT_LINES = re.compile(
    r"partial write|unable to parse|retention|conflict|dropped|invalid (field|line|number)|cannot parse"
)


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.port == 0:
        raise ValueError(f"{url!r} is no address of a server: write http://host:port or https://host:port")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a write."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def accepted(self) -> bool:
        """Tell whether every line was taken."""
        return 200 <= self.status < 300


Send = Callable[[bytes], Awaitable[Answer]]


class InfluxV2:
    """Streams to a bucket through the v2 write API."""

    class Config(Settings):
        """A server that speaks the v2 write API."""

        kind: Literal["influx_v2"]
        name: str
        """unique name of this output; its cursor is kept under it"""
        url: WebAddress
        """address of the server, for example http://influx.example:8086"""
        bucket: str
        """bucket, or database/retention-policy on InfluxDB 1.8; VictoriaMetrics ignores it"""
        org: str = "-"
        """organisation; InfluxDB 1.8 and VictoriaMetrics ignore it"""
        token: Secret | None = None
        """token with the right to write; on InfluxDB 1.8 user:password"""
        ca_file: ConfigPath | None = None
        """certificate authority of the server, PEM"""
        timeout_s: float = Field(default=10.0, gt=0, le=300)
        """longest time of one write"""

    def __init__(self, config: Config, names: Names, network: Network) -> None:
        """Make one; it connects when it first writes. Raises ConfigError if the token cannot be read."""
        self.name = config.name
        self._config = config
        self._token = config.token.read() if config.token else ""
        _authority(config.ca_file)
        self._format = LineFormat(names, network)
        self._client: Any = None

    async def write(self, batch: ReadingBatch) -> Written:
        """Write a batch. Raises TransientError (keep all, try later) or PermanentError (keep all, alarm)."""
        return await write_batch(self._send, self._format, batch)

    async def probe(self) -> str:
        """Write one test line and return what answered. Raises GatewayError."""
        return await _probe(self._send, self._config.url)

    async def close(self) -> None:
        """Close; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(self, body: bytes) -> Answer:
        config = self._config
        try:
            async with asyncio.timeout(config.timeout_s):
                writer = self._connected().write_api()
                await writer.write(config.bucket, config.org, body, write_precision=WritePrecision.US)
        except InfluxDBError as error:
            status = int(getattr(error, "status", 0) or 0)
            return Answer(status, _text(getattr(error, "body", "")), dict(getattr(error, "headers", None) or {}))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransientError(f"{config.url}: {error or type(error).__name__}") from error
        return Answer(204, "", {})

    def _connected(self) -> Any:
        if self._client is None:
            config = self._config
            self._client = InfluxDBClientAsync(
                config.url,
                self._token,
                config.org,
                timeout=round(config.timeout_s * 1000),
                enable_gzip=True,
                ssl_ca_cert=str(config.ca_file) if config.ca_file else None,
            )
        return self._client


class InfluxV1:
    """Streams to a database through the v1 write API; makes the database if it is missing."""

    class Config(Settings):
        """A server that speaks the v1 write API."""

        kind: Literal["influx_v1"]
        name: str
        """unique name of this output; its cursor is kept under it"""
        url: WebAddress
        """address of the server, for example http://influx.example:8086"""
        database: str
        """database to write to"""
        retention_policy: str = ""
        """retention policy, empty for the database's default"""
        create_database: bool = True
        """make the database if the server does not have it"""
        username: str = ""
        """user, empty if the server asks for none"""
        password: Secret | None = None
        """password of the user"""
        ca_file: ConfigPath | None = None
        """certificate authority of the server, PEM"""
        timeout_s: float = Field(default=10.0, gt=0, le=300)
        """longest time of one write"""

    def __init__(self, config: Config, names: Names, network: Network) -> None:
        """Make one; it connects when it first writes. Raises ConfigError if the password cannot be read."""
        self.name = config.name
        self._config = config
        self._format = LineFormat(names, network)
        self._query = {"db": config.database, "precision": "u"}
        if config.retention_policy:
            self._query["rp"] = config.retention_policy
        password = config.password.read() if config.password else ""
        self._http = httpx.AsyncClient(
            base_url=config.url,
            auth=(config.username, password) if config.username else None,
            timeout=config.timeout_s,
            trust_env=False,
            verify=_authority(config.ca_file),
        )

    async def write(self, batch: ReadingBatch) -> Written:
        """Write a batch. Raises TransientError (keep all, try later) or PermanentError (keep all, alarm)."""
        return await write_batch(self._send, self._format, batch)

    async def probe(self) -> str:
        """Write one test line and return what answered. Raises GatewayError."""
        return await _probe(self._send, self._config.url)

    async def close(self) -> None:
        """Close; may be called twice."""
        await self._http.aclose()

    async def _send(self, body: bytes) -> Answer:
        answer = await self._write(body)
        if (
            answer.status == httpx.codes.NOT_FOUND
            and "database not found" in answer.text
            and self._config.create_database
        ):
            await self._create()
            answer = await self._write(body)
        return answer

    async def _write(self, body: bytes) -> Answer:
        packed = await asyncio.to_thread(gzip.compress, body, 1)
        return await self._post("/write", params=self._query, content=packed, headers={"Content-Encoding": "gzip"})

    async def _create(self) -> None:
        quoted = self._config.database.replace("\\", "\\\\").replace('"', '\\"')
        answer = await self._post("/query", data={"q": f'CREATE DATABASE "{quoted}"'})
        if not answer.accepted:
            raise PermanentError(f"{self._config.url}: cannot make database {self._config.database}: {answer.text}")

    async def _post(self, path: str, **request: Any) -> Answer:
        try:
            answer = await self._http.post(path, **request)
        except httpx.InvalidURL as error:
            raise PermanentError(f"{self._config.url}: {error}") from error
        except (httpx.HTTPError, RuntimeError) as error:
            raise TransientError(f"{self._config.url}: {error or type(error).__name__}") from error
        return Answer(answer.status_code, _text(answer.text), answer.headers)


def _authority(file: Path | None) -> ssl.SSLContext | bool:
    """Return whom to trust: the system's authorities, or that of the file. Raises ConfigError if it is none."""
    try:
        return ssl.create_default_context(cafile=file) if file is not None else True
    except OSError as error:
        raise ConfigError([f"{file}: cannot be used as a certificate authority: {error.strerror or error}"]) from error


async def write_batch(send: Send, form: LineFormat, batch: ReadingBatch) -> Written:
    """Send a batch in bodies of limited size and find the lines that the server refuses.

    Raises TransientError or PermanentError; what was sent before may be sent again, the same line overwrites itself.
    """
    lines = await asyncio.to_thread(form.lines, batch)
    refused: list[tuple[int, str]] = []
    for begin, end in _bodies(lines.text):
        refused += await _deliver(send, lines.text[begin:end], lines.rows[begin:end])
    if len(refused) == len(lines.text) > 1 and not any(_ABOUT_LINES.search(reason) for _, reason in refused):
        raise PermanentError(f"every line was refused: {refused[0][1]}")
    return Written(len(lines.text) - len(refused), tuple(sorted(lines.rejected + refused)))


async def _deliver(send: Send, lines: Sequence[bytes], rows: Sequence[int]) -> list[tuple[int, str]]:
    """Send lines; where the server refuses them, halve until the bad ones are alone. Good ones may go twice."""
    answer = await send(b"\n".join(lines))
    if answer.accepted:
        return []
    reason = f"{answer.status}: {answer.text}"
    if answer.status not in {400, 413, 422}:
        raise _error_of(answer, reason)
    if len(lines) == 1 or f"dropped={len(lines)}" in answer.text.split():
        return [(row, reason) for row in rows]
    middle = len(lines) // 2
    return await _deliver(send, lines[:middle], rows[:middle]) + await _deliver(send, lines[middle:], rows[middle:])


def _error_of(answer: Answer, reason: str) -> TransientError | PermanentError:
    if answer.status in {0, 408, 425, 429} or answer.status >= 500:
        wait = next((value for key, value in answer.headers.items() if key.lower() == "retry-after"), "")
        return TransientError(reason, retry_after_s=float(wait) if wait.isascii() and wait.isdigit() else None)
    return PermanentError(reason)


def _bodies(lines: Sequence[bytes]) -> list[tuple[int, int]]:
    """Cut a list of lines into stretches of at most 5,000 lines and 1 MB, one line at least."""
    cuts: list[tuple[int, int]] = []
    begin = size = 0
    for at, line in enumerate(lines):
        if at > begin and (at - begin >= _MOST_LINES or size + len(line) >= _MOST_BYTES):
            cuts.append((begin, at))
            begin, size = at, 0
        size += len(line) + 1
    return [*cuts, (begin, len(lines))] if lines else []


async def _probe(send: Send, url: str) -> str:
    answer = await send(_PROBE)
    if not answer.accepted:
        raise _error_of(answer, f"{url}: {answer.status} {answer.text}")
    version = answer.headers.get("X-Influxdb-Version", "")
    return f"{url} accepted a test line" + (f" (InfluxDB {version})" if version else "")


def _text(body: object) -> str:
    """Return the first words of an answer, on one line."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    return " ".join(text.split())[:300]
