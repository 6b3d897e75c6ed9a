"""Notices messages that their sender published with QoS 0 although the topic allows no loss. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class UnsafeMessages:
    """Counts them for one source. They are readings like all others; what is lost on their way nobody can count."""

    def __init__(self) -> None:
        """Begin with none."""
        self.count = 0

    def note(self, topics: Iterable[str], is_allowed: Callable[[str], bool]) -> str:
        """Count messages by their topics; return what the log should say of the first one, else nothing."""
        found = [topic for topic in topics if not is_allowed(topic)]
        is_first = self.count == 0 and bool(found)
        self.count += len(found)
        if not is_first:
            return ""
        return (
            f"messages are published with QoS 0, the first one on {found[0][:500]}: what comes while gasgate or the "
            "broker is away is lost; publish with QoS 1, or set loss_allowed = true for the topic"
        )
