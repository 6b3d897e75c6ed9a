"""Speak to the control API of a live city that runs on this machine."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from gateway.errors import ConfigError, GatewayError, PermanentError
from simulators.live.config import load
from simulators.live.home import token_file

_PATIENCE_S = 30.0


class CityClient:
    """The city that a description belongs to. Use it in a `with` block."""

    def __init__(self, description: Path) -> None:
        """Find port and token. Raises ConfigError if the description is wrong or nothing has been served from it."""
        config = load(description)
        file = token_file(config)
        try:
            token = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            remedy = f"start the city with gasgate simulate live {description}"
            raise ConfigError([f"{file}: cannot read the token ({error.strerror}): {remedy}"]) from error
        self._address = f"http://127.0.0.1:{config.serve.control_port}"
        self._http = httpx.Client(
            base_url=self._address, headers={"authorization": f"Bearer {token}"}, timeout=_PATIENCE_S, trust_env=False
        )

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._http.close()

    def call(self, method: str, path: str, **words: Any) -> Any:
        """Return the answer's JSON. Raises PermanentError with the city's words if it refuses."""
        try:
            answer = self._http.request(method, path, **words)
        except httpx.TransportError as error:
            raise GatewayError(
                f"no city answers at {self._address} ({error}); is gasgate simulate live running?"
            ) from error
        try:
            told = answer.json()
        except ValueError:
            raise GatewayError(
                f"what answers at {self._address} is no live city; look at [serve] control_port"
            ) from None
        if answer.is_error:
            text = told.get("text", answer.text) if isinstance(told, dict) else answer.text
            raise PermanentError(f"the city refuses: {text}")
        return told
