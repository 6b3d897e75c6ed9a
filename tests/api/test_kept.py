"""Answers that took long are kept for a while, few of them, and no failure is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

import pytest

from api import kept
from api.kept import Kept


def test_an_answer_counts_until_it_is_too_old() -> None:
    now = [100.0]
    known, made = Kept(lambda: now[0]), iter("abc")
    assert [known.of("x", lambda: next(made)) for _ in range(2)] == ["a", "a"]
    now[0] += kept.KEEP_S - 1
    assert known.of("x", lambda: next(made)) == "a"
    now[0] += 1
    assert known.of("x", lambda: next(made)) == "b"


def test_none_is_an_answer_and_a_failure_is_not() -> None:
    known = Kept()

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        known.of("x", fail)
    assert known.of("x", lambda: None) is None
    known.of("x", fail)


def test_two_who_ask_at_once_have_it_made_once() -> None:
    known, numbers, both = Kept(), count(1), threading.Barrier(2)
    second = threading.Event()

    def make() -> int:
        number = next(numbers)
        if number == 1:
            second.wait(0.2)  # long enough for another who need not wait
        else:
            second.set()
        return number

    def ask() -> int:
        both.wait(60)
        return known.of("x", make)

    with ThreadPoolExecutor(2) as pool:
        assert [one.result(60) for one in [pool.submit(ask) for _ in range(2)]] == [1, 1]


def test_the_answer_that_nobody_wanted_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    known = Kept()
    for asked in ("a", "b", "a", "c"):
        known.of(asked, partial(str, asked))
    assert known.of("a", lambda: "anew") == "a"
    assert known.of("b", lambda: "anew") == "anew"
