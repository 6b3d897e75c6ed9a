"""Something that goes on in a thread while a test does another thing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PAUSE_S = 0.001
"""between two turns, so that the test's own thread gets its share of the interpreter"""


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Repeat `work` in a thread until the block is left, however that happens; then raise what it raised."""
    stop, failures = threading.Event(), list[BaseException]()

    def repeat() -> None:
        try:
            while not stop.wait(_PAUSE_S):
                work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    for failure in failures:
        raise failure
