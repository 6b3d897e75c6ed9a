"""Going through a long list page by page, where each page begins behind a row of the one before."""

from __future__ import annotations


class Paging:
    """Where one browser is in a list."""

    def __init__(self) -> None:
        self._behind = [-1]
        self._following: int | None = None

    @property
    def after(self) -> int:
        """The row behind which the page that is shown begins."""
        return self._behind[-1]

    @property
    def number(self) -> int:
        """The number of the page that is shown, from 1."""
        return len(self._behind)

    def restart(self) -> None:
        """Begin at the first page again: something else is asked for."""
        self._behind, self._following = [-1], None

    def found(self, following: int | None) -> None:
        """Take over behind which row the next page begins; None if this one is the last."""
        self._following = following

    def turn(self, way: str) -> bool:
        """Go to the `next` page, or `back`. Return False if there is none."""
        if way == "next" and self._following is not None:
            self._behind.append(self._following)
        elif way == "back" and len(self._behind) > 1:
            self._behind.pop()
        else:
            return False
        self._following = None
        return True
