"""Going through a list page by page."""

from __future__ import annotations

from api.pages.parts.paging import Paging


def test_pages_follow_each_other_and_lead_back() -> None:
    paging = Paging()
    assert (paging.after, paging.number) == (-1, 1)
    assert not paging.turn("next"), "what follows is not known yet"
    assert not paging.turn("back")
    paging.found(49)
    assert paging.turn("next")
    assert (paging.after, paging.number) == (49, 2)
    assert not paging.turn("next"), "pressed twice before the page came"
    paging.found(None)
    assert not paging.turn("next")
    assert not paging.turn("anywhere")
    assert paging.turn("back")
    assert (paging.after, paging.number) == (-1, 1)


def test_another_question_begins_at_the_first_page() -> None:
    paging = Paging()
    paging.found(49)
    paging.turn("next")
    paging.found(99)
    paging.restart()
    assert (paging.after, paging.number) == (-1, 1)
    assert not paging.turn("next")
