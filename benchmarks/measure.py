"""What benchmarks share: percentiles, a broker, a signed-in session, a page in Chromium."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from api.services.people import save_person
from gateway.runtime import child
from gateway.store.state import State
from tests.end_to_end.small_site import SmallSite, wait_until
from tests.services import accepts, chromium_arguments, find_program, pick_free_port

PERSON, PASSWORD = "benchmark", "benchmark-only"


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile; NaN of nothing."""
    return float(np.percentile(values, 99)) if len(values) else float("nan")


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run the embedded broker on a free port and give the port."""
    port = pick_free_port()
    process: subprocess.Popen[bytes] = child.start(
        ["simulators.live.broker", "--port", str(port)], log=folder / "broker.log"
    )
    try:
        wait_until(lambda: accepts("127.0.0.1", port), what="the broker")
        yield port
    finally:
        child.stop([process])


@contextmanager
def running(site: SmallSite, *roles: str) -> Iterator[State]:
    """Run a site's roles, with a person who may sign in, and give its state."""
    state = State.in_folder(site.folder / "data")
    save_person(state, PERSON, PASSWORD, "administrator", "en", now_us=1)
    try:
        site.start_desk()
        site.start(*roles)
        wait_until(lambda: "connected" in site.log("keep"), what="the connection to the broker")
        if "web" in roles:
            site.wait_for_web()
        yield state
    finally:
        site.stop()
        state.close()


def session(site: SmallSite) -> httpx.Client:
    """Return an HTTP client that is signed in."""
    client = httpx.Client(base_url=site.web, timeout=30)
    client.post("/api/v1/login", json={"name": PERSON, "password": PASSWORD}).raise_for_status()
    return client


@contextmanager
def page_of(site: SmallSite) -> Iterator[Any]:
    """Open the control room in Chromium, signed in, and give its page. Raises SystemExit without Chromium."""
    from playwright.sync_api import sync_playwright

    program = find_program("chromium")
    if program is None:
        raise SystemExit("this benchmark needs Chromium (scripts/install-services.sh installs it on Debian 12)")
    with contextlib.closing(session(site)) as client, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=chromium_arguments())
        context = browser.new_context(viewport={"width": 1920, "height": 1080})
        context.add_cookies([{"name": name, "value": value, "url": site.web} for name, value in client.cookies.items()])
        page = context.new_page()
        page.goto(site.web)
        page.wait_for_timeout(3000)
        yield page
        browser.close()
