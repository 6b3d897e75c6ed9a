"""The configuration files as they are now: what would keep the gateway from running with them."""

from __future__ import annotations

from collections.abc import Sequence

from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import RefusedError
from gateway.model.file_problem import FileProblem


async def check(parts: Parts, user: User) -> Sequence[FileProblem]:
    """Return what is wrong with the files, errors first; nothing is taken over.

    Raises RefusedError 403, 409 `no_check` where no supervisor started this process, TransientError.
    """
    parts.auth.permit(user, Act.CONFIGURATION_RELOAD)
    if parts.check is None:
        raise RefusedError(409, "no_check", "this process knows no configuration files; use gasgate check")
    return await parts.check()
