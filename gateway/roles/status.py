"""What a role says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Status = Callable[[], tuple[bool, Mapping[str, Any]]]
"""Returns whether the role is well, and what it has to say; `problems` are for people."""
