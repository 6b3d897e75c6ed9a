"""Make the README's pictures from a demo that starts afresh: `make screenshots`, about four minutes.

The control room is taken while an emergency ticket is out, the loss page after the gas day closed.
`--address` takes them from a demo that runs already. Needs Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

from api.auth import SESSION_COOKIE
from gateway.demo import PASSWORD

ROOT = Path(__file__).resolve().parent.parent
STORY_WITHIN_S = 300.0
SETTLE_MS = 2500
WIDTH, HEIGHT = 1440, 900


@dataclass(frozen=True)
class Picture:
    """One page in one language and theme."""

    name: str
    path: str
    language: str
    theme: str

    @property
    def file_name(self) -> str:
        """Name of the PNG."""
        return f"{self.name}-{self.language}-{self.theme}.png"


CONTROL_ROOM = (
    Picture("control-room", "/", "zh", "dark"),
    Picture("control-room", "/", "en", "light"),
)
LOSS = (
    Picture("loss", "/loss", "zh", "light"),
    Picture("loss", "/loss", "en", "dark"),
)
SYSTEM = (Picture("system", "/system", "en", "light"),)


def main() -> int:
    """Take all pictures; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", help="of a demo that runs already, for example http://127.0.0.1:8080")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("screenshots: Chromium is not installed (scripts/install-services.sh installs it)", file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    with demo(arguments.address) as address, sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--force-color-profile=srgb", *sandbox],
        )
        take_all(browser, address, arguments.out)
        browser.close()
    return 0


@contextmanager
def demo(address: str | None) -> Iterator[str]:
    """Yield the address of a running demo; without one, start it in a folder of its own and end it afterwards."""
    if address is not None:
        yield address.rstrip("/")
        return
    base = ROOT / ".demo"
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-", dir=base) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo", "--folder", folder],
            cwd=ROOT,
            env={**os.environ, "GASGATE_DIE_WITH_PARENT": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield wait_for_address(process)
        finally:
            process.terminate()
            process.communicate()


def wait_for_address(process: subprocess.Popen[str]) -> str:
    """Return the address that the demo prints when it is usable; what it prints is shown meanwhile."""
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if found := re.search(r"ready after .*(http://127\.0\.0\.1:\d+)", line):
            return found[1]
    raise SystemExit("screenshots: the demo ended before it was ready")


def take_all(browser: Browser, address: str, out: Path) -> None:
    """Take the pictures as the story reaches them."""
    with httpx.Client(base_url=f"{address}/api/v1", timeout=10.0) as client:
        operator, engineer = log_in(client, "operator"), log_in(client, "engineer")
        client.cookies.set(SESSION_COOKIE, engineer)
        balanced = client.get("/loss").json()["last"]
        wait_until("a crew is out and a station is silent, too", lambda: both_are_shown(client))
        for picture in CONTROL_ROOM:
            take(browser, address, operator, picture, out)
        wait_until("the gas day that closed shows a high loss", lambda: is_high(client, after=balanced))
        wait_until("a meter is suspected", lambda: '"theft' in client.get("/findings").text)
        for picture in LOSS + SYSTEM:
            take(browser, address, engineer, picture, out)


def log_in(client: httpx.Client, name: str) -> str:
    """Return a session of one of the demo's people."""
    answer = client.post("/login", json={"name": name, "password": PASSWORD})
    answer.raise_for_status()
    return str(answer.json()["session"])


def both_are_shown(client: httpx.Client) -> bool:
    """Tell whether an emergency ticket is out and one for lost communication."""
    tickets = client.get("/tickets").text
    return '"EMERGENCY"' in tickets and '"URGENT"' in tickets


def is_high(client: httpx.Client, after: str | None) -> bool:
    """Tell whether a later gas day than `after` is balanced and a zone's loss was high on it."""
    loss = client.get("/loss").json()
    return loss["last"] != after and any(zone["verdict"] == "high" for zone in loss["zones"])


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for a moment of the story; ends the script when it does not come."""
    print(f"screenshots: waiting until {what}", flush=True)
    end = time.monotonic() + STORY_WITHIN_S
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"screenshots: waited {STORY_WITHIN_S:.0f} s in vain until {what}")
        time.sleep(1.0)


def take(browser: Browser, address: str, session: str, picture: Picture, out: Path) -> None:
    """Take one picture in a browser context of its own."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    cookies = {
        SESSION_COOKIE: session,
        "gasgate_language": picture.language,
        "gasgate_theme": picture.theme,
    }
    context.add_cookies([{"name": name, "value": value, "url": address} for name, value in cookies.items()])
    page = context.new_page()
    page.goto(address + picture.path, wait_until="load")
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=out / picture.file_name)
    print(f"screenshots: {picture.file_name}", flush=True)
    context.close()


if __name__ == "__main__":
    sys.exit(main())
