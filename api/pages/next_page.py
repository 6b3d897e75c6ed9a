"""Where a log-in leads: to a page of this site, never elsewhere."""

from __future__ import annotations

import re

_LOCAL = re.compile(r"^/(?![/\\])[A-Za-z0-9._~/@:?&=%+,-]{0,300}$", re.ASCII)


def local_path(wanted: str) -> str:
    """Return a path of this site that a person was on the way to; the control room for anything else."""
    allowed = _LOCAL.fullmatch(wanted) and not wanted.startswith(("/login", "/api/", "/static/", "/download/"))
    return wanted if allowed else "/"
