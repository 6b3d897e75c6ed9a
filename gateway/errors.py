"""Every error that gasgate raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence


class GatewayError(Exception):
    """Base of all errors that gasgate raises on purpose; the text is meant for a person."""


class ConfigError(GatewayError):
    """The configuration cannot be used; nothing was started. Exit code 2."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep every problem, each naming file, line, key and remedy."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class TransientError(GatewayError):
    """It failed now and may work later; the runner decides when to try again."""

    def __init__(self, text: str, *, retry_after_s: float | None = None) -> None:
        """Keep how long the other side asked to be left alone, if it said so."""
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NotSentError(TransientError):
    """It failed before the first byte left, so the other side surely knows nothing of it."""


class PermanentError(GatewayError):
    """It failed and will fail again until a person changes something."""


class RefusedError(GatewayError):
    """A call whose guard failed; it changed nothing.

    `status` is the HTTP status that the API answers, `code` the stable word for programs.
    """

    def __init__(self, status: int, code: str, text: str = "", *, retry_after_s: float | None = None) -> None:
        """Keep status, code and text, and when to try again if that is known."""
        super().__init__(text or code)
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
