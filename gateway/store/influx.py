"""Writers for InfluxDB: the v2 API (InfluxDB 1.8 and later, VictoriaMetrics) and the plain v1 API."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field

from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.ports import Written
from gateway.settings import ConfigPath, Secret, Settings, quoted_url
from gateway.store.line_names import LineNames
from gateway.store.line_write import PROBE, Answer, Send, error_of, write_batch, write_lines
from gateway.store.lines import LineFormat, Names

_MOST_ANSWER = 64 << 10
_CONNECT_S = 2.0
"""longest wait for a connection: an absent server must not hide that it is back"""


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in url or parts.query or parts.port == 0:
        raise ValueError(f"{quoted_url(url)} is no address of a server: write http://host:port or https://host:port")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]


class StreamSettings(Settings):
    """What every output has."""

    name: str
    """unique name of this output; how far it got is kept under it"""
    url: WebAddress
    """address of the server, for example http://influx.example:8086"""
    ca_file: ConfigPath | None = None
    """certificate authority of the server, PEM"""
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    """longest time of one write"""
    gzip: bool | None = None
    """compress what is sent; left out: only if the server is on another machine"""
    lines: LineNames = LineNames()
    """names of measurement, tags and fields"""
    interval_measurement: str = Field(default="gas_day_volume", pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$|^$")
    """measurement of each meter's final gas days; empty: they are not streamed"""
    start: Literal["kept", "now"] = "kept"
    """what a new output begins with: everything that is kept, or what comes from now on"""
    gap_days: float = Field(default=30.0, gt=0, le=3660)
    """what waits longer than this for an absent server is not streamed any more; it stays in the store"""
    gap_gib: float = Field(default=64.0, gt=0)
    """how much may wait, at 29 bytes a reading; class D goes first, then C, then the oldest"""


class InfluxV2:
    """Streams to a bucket through the v2 write API."""

    class Config(StreamSettings):
        """A server that speaks the v2 write API."""

        kind: Literal["influx_v2"]
        bucket: str
        """bucket, or database/retention-policy on InfluxDB 1.8; VictoriaMetrics ignores it"""
        org: str = "-"
        """organisation; InfluxDB 1.8 and VictoriaMetrics ignore it"""
        token: Secret | None = None
        """token with the right to write; on InfluxDB 1.8 user:password"""

    def __init__(self, config: Config, names: Names, network: Network) -> None:
        """Make one; it connects when it first writes. Raises ConfigError if the token cannot be read."""
        self.name = config.name
        self._query = {"bucket": config.bucket, "org": config.org, "precision": "us"}
        self._server = _Server(config, {"Authorization": f"Token {config.token.read()}"} if config.token else {})
        self._format = LineFormat(names, network, config.lines)

    async def write(self, batch: ReadingBatch) -> Written:
        """Write a batch. Raises TransientError (keep all, try later) or PermanentError (keep all, alarm)."""
        return await write_batch(self._send, self._format, batch)

    async def write_lines(self, lines: Sequence[str]) -> Written:
        """Write lines that are made already. Raises what `write` raises."""
        return await write_lines(self._send, self._format, lines)

    async def probe(self) -> str:
        """Write one test line and return what answered. Raises GatewayError."""
        return await _probe(self._send, self._server.url)

    async def close(self) -> None:
        """Close; may be called twice."""
        await self._server.close()

    async def _send(self, body: bytes) -> Answer:
        return await self._server.write("/api/v2/write", self._query, body)


class InfluxV1:
    """Streams to a database through the v1 write API; makes the database if it is missing."""

    class Config(StreamSettings):
        """A server that speaks the v1 write API."""

        kind: Literal["influx_v1"]
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

    def __init__(self, config: Config, names: Names, network: Network) -> None:
        """Make one; it connects when it first writes. Raises ConfigError if the password cannot be read."""
        self.name = config.name
        self._config = config
        self._query = {"db": config.database, "precision": "u"}
        if config.retention_policy:
            self._query["rp"] = config.retention_policy
        password = config.password.read() if config.password else ""
        self._server = _Server(config, {}, (config.username, password) if config.username else None)
        self._format = LineFormat(names, network, config.lines)

    async def write(self, batch: ReadingBatch) -> Written:
        """Write a batch. Raises TransientError (keep all, try later) or PermanentError (keep all, alarm)."""
        return await write_batch(self._send, self._format, batch)

    async def write_lines(self, lines: Sequence[str]) -> Written:
        """Write lines that are made already. Raises what `write` raises."""
        return await write_lines(self._send, self._format, lines)

    async def probe(self) -> str:
        """Write one test line and return what answered. Raises GatewayError."""
        return await _probe(self._send, self._server.url)

    async def close(self) -> None:
        """Close; may be called twice."""
        await self._server.close()

    async def _send(self, body: bytes) -> Answer:
        answer = await self._server.write("/write", self._query, body)
        if answer.status == 404 and "database not found" in answer.text and self._config.create_database:
            await self._create()
            answer = await self._server.write("/write", self._query, body)
        return answer

    async def _create(self) -> None:
        quoted = self._config.database.replace("\\", "\\\\").replace('"', '\\"')
        answer = await self._server.post("/query", data={"q": f'CREATE DATABASE "{quoted}"'})
        if not answer.accepted:
            raise PermanentError(
                f"{self._server.url}: cannot make database {self._config.database}: {error_of(answer)}"
            )


class _Server:
    """HTTP to one server, one connection kept open."""

    def __init__(self, config: StreamSettings, headers: Mapping[str, str], auth: tuple[str, str] | None = None) -> None:
        self.url = config.url
        self._gzip = config.gzip if config.gzip is not None else not on_this_machine(config.url)
        self._timeout_s = config.timeout_s
        self._http = httpx.AsyncClient(
            base_url=config.url,
            auth=auth,
            headers=dict(headers),
            timeout=httpx.Timeout(config.timeout_s, connect=min(config.timeout_s, _CONNECT_S)),
            trust_env=False,
            verify=_authority(config.ca_file),
        )

    async def write(self, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        """Send lines. Raises TransientError if no whole answer came in time."""
        if not self._gzip:
            return await self.post(path, params=query, content=body)
        packed = await asyncio.to_thread(gzip.compress, body, 1)
        return await self.post(path, params=query, content=packed, headers={"Content-Encoding": "gzip"})

    async def post(self, path: str, **request: Any) -> Answer:
        """Return the answer, its text cut to a bound. Raises TransientError, or PermanentError for a wrong address."""
        try:
            async with asyncio.timeout(self._timeout_s), self._http.stream("POST", path, **request) as answer:
                text = b""
                async for piece in answer.aiter_bytes():
                    text += piece
                    if len(text) > _MOST_ANSWER:
                        break
                return Answer(answer.status_code, text[:_MOST_ANSWER].decode(errors="replace"), answer.headers)
        except httpx.InvalidURL as error:
            raise PermanentError(f"{self.url}: {error}") from error
        except (httpx.HTTPError, RuntimeError, OSError) as error:
            raise TransientError(f"{self.url}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        """Close; may be called twice."""
        await self._http.aclose()


def warnings_of(config: StreamSettings) -> list[str]:
    """Return what should be changed although the output works."""
    secret = getattr(config, "token", None) or getattr(config, "password", None)
    if secret is not None and urlsplit(config.url).scheme == "http" and not on_this_machine(config.url):
        return [f"{config.url}: the secret travels readable for everybody on the way; use https"]
    return []


def on_this_machine(url: str) -> bool:
    """Tell whether an address is that of the loopback."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authority(file: Path | None) -> ssl.SSLContext | bool:
    """Return whom to trust: the system's authorities, or that of the file. Raises ConfigError if it is none."""
    try:
        return ssl.create_default_context(cafile=file) if file is not None else True
    except OSError as error:
        raise ConfigError([f"{file}: cannot be used as a certificate authority: {error.strerror or error}"]) from error


async def _probe(send: Send, url: str) -> str:
    answer = await send(PROBE)
    if not answer.accepted:
        raise error_of(answer, url)
    version = next((value for key, value in answer.headers.items() if key.lower() == "x-influxdb-version"), "")
    return f"{url} accepted a test line" + (f" (InfluxDB {version})" if version else "")
