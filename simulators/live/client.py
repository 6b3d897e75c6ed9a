"""Speak to the control API of a live city that runs on this machine. Imports little, for commands are to be quick."""

from __future__ import annotations

import http.client
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from gateway.errors import ConfigError, GatewayError, PermanentError
from simulators.live.places import CONTROL_PORT, token_file

_PATIENCE_S = 30.0
_LONGEST_ANSWER = 10_000_000


class CityClient:
    """The city that a description belongs to."""

    def __init__(self, description: Path) -> None:
        """Find port and token. Raises ConfigError if the description is wrong or nothing has been served from it."""
        self._port, folder = _read(description)
        file = token_file(folder)
        try:
            self._token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            remedy = f"start the city with gasgate simulate live {description}"
            raise ConfigError([f"{file}: cannot read the token ({error}): {remedy}"]) from error

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the answer's JSON. Raises PermanentError with the city's words if it refuses, GatewayError if none."""
        line = quote(path) + ("?" + urlencode(query) if query else "")
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        where = f"127.0.0.1:{self._port}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_S)
        try:
            connection.request(method, line, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayError(f"no city answers at {where} ({error}); is gasgate simulate live running?") from error
        finally:
            connection.close()
        try:
            told = json.loads(text)
        except ValueError:
            raise GatewayError(f"what answers at {where} is no live city; look at [serve] control_port") from None
        if status >= http.client.BAD_REQUEST:
            reason = told.get("text", told) if isinstance(told, dict) else told
            raise PermanentError(f"the city refuses: {reason}")
        return told


def _read(description: Path) -> tuple[int, Path]:
    """Return the control API's port and the city's folder; all else is checked by who serves the city."""
    try:
        data = tomllib.loads(description.read_text(encoding="utf-8"))
        port, folder = data.get("serve", {}).get("control_port", CONTROL_PORT), Path(data["folder"])
    except OSError as error:
        remedy = "give the city's description with --city"
        raise ConfigError([f"{description}: cannot be read: {error.strerror}; {remedy}"]) from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError([f"{description}: is no description of a city: {error!r}"]) from error
    if not isinstance(port, int) or not 0 < port < 2**16:
        raise ConfigError([f"{description}: serve.control_port: {port!r} is no port; take one from 1 to 65535"])
    return port, description.parent / folder
