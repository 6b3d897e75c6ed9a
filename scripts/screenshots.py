"""Make the pictures of the documentation from a demo that starts afresh: `make screenshots`, about five minutes.

The control room is taken while an emergency ticket is out, the other pages after the gas day closed. `--every FOLDER`
also takes every page of the register at two sizes in two themes, to be looked at; they are not kept.
`--address` takes all from a demo that runs already. Needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from api.auth import SESSION_COOKIE
from api.pages.register import PAGES
from api.pages.reports import REPORTS
from gateway.demo import PASSWORD

ROOT = Path(__file__).resolve().parent.parent
STORY_WITHIN_S = 300.0
SETTLE_MS = 2500
SIZES = ((1366, 768), (1920, 1080))
GAS = ".gg-row:has-text('REG-')"
COLOURS = 256
"""of a picture: more cannot be told apart on these pages, and the files stay small"""


@dataclass(frozen=True)
class Picture:
    """One page in one language and theme; braces in the path are filled in from the demo."""

    name: str
    path: str
    language: str
    theme: str
    size: tuple[int, int] = SIZES[0]
    choose: str = ""
    """what is clicked first"""

    @property
    def file_name(self) -> str:
        """Name of the PNG."""
        return f"{self.name}-{self.language}-{self.theme}.png"


ALARMED = (
    Picture("control-room", "/", "zh", "dark", choose=GAS),
    Picture("control-room", "/", "en", "light", choose=GAS),
    Picture("tickets", "/tickets", "en", "light"),
    Picture("ticket", "/tickets/{ticket_no}", "en", "light"),
    Picture("handover", "/handover", "zh", "light"),
    Picture("handover", "/handover", "en", "light"),
)
"""while a crew is out"""
LATER = (
    Picture("loss", "/loss", "zh", "light"),
    Picture("loss", "/loss", "en", "dark"),
    Picture("finding", "/findings/{finding_id}", "en", "light"),
    Picture("meter", "/meters/{meter_id}", "en", "light"),
    Picture("network", "/network", "en", "light"),
    Picture("month", "/reports", "en", "light"),
    Picture("definitions", "/definitions", "en", "light"),
    Picture("system", "/system", "en", "light"),
)
"""after the gas day closed"""


def main() -> int:
    """Take all pictures; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", help="of a demo that runs already, for example http://127.0.0.1:8080")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--every", type=Path, help="folder for pictures of every page, sizes and themes")
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
        take_all(browser, address, arguments.out, arguments.every)
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


@dataclass(frozen=True)
class Camera:
    """What somebody who is logged in sees."""

    browser: Browser
    address: str
    session: str

    def take(self, picture: Picture, out: Path, found: Mapping[str, str]) -> None:
        """Take one picture in a browser context of its own; `found` fills in its path."""
        width, height = picture.size
        context = self.browser.new_context(viewport={"width": width, "height": height})
        cookies = {
            SESSION_COOKIE: self.session,
            "gasgate_language": picture.language,
            "gasgate_theme": picture.theme,
        }
        context.add_cookies([{"name": name, "value": value, "url": self.address} for name, value in cookies.items()])
        page = context.new_page()
        page.goto(self.address + picture.path.format(**found), wait_until="load")
        page.wait_for_timeout(SETTLE_MS)
        if picture.choose:
            page.locator(picture.choose).first.click()
            page.wait_for_timeout(SETTLE_MS)
        with Image.open(io.BytesIO(page.screenshot())) as taken:
            few = taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(out / picture.file_name, optimize=True)
        print(f"screenshots: {picture.file_name}", flush=True)
        context.close()


def take_all(browser: Browser, address: str, out: Path, every: Path | None) -> None:
    """Take the pictures as the story reaches them."""
    with httpx.Client(base_url=f"{address}/api/v1", timeout=10.0) as client:
        operator, engineer, administrator = (
            Camera(browser, address, log_in(client, name)) for name in ("operator", "engineer", "admin")
        )
        client.cookies.set(SESSION_COOKIE, engineer.session)
        balanced = client.get("/loss").json()["last"]
        wait_until("a crew is out and a station is silent, too", lambda: both_are_shown(client))
        for picture in ALARMED:
            operator.take(picture, out, filled_in(client))
        wait_until("the gas day that closed shows a high loss", lambda: is_high(client, after=balanced))
        wait_until("a meter is suspected", lambda: '"theft' in client.get("/findings").text)
        found = filled_in(client)
        for picture in LATER:
            engineer.take(picture, out, found)
        if every is not None:
            every.mkdir(parents=True, exist_ok=True)
            for picture in every_page():
                administrator.take(picture, every, found)


def every_page() -> Iterator[Picture]:
    """Yield every page of the register in both themes and sizes, Chinese in the dark and English in the light."""
    for path in sorted(set(PAGES) - {"/reports/{report}"} | set(REPORTS)):
        for size in SIZES:
            for language, theme in (("zh", "dark"), ("en", "light")):
                name = path.strip("/").replace("/", "-").replace("{", "").replace("}", "") or "control-room"
                yield Picture(f"{name}-{size[0]}", path, language, theme, size)


def filled_in(client: httpx.Client) -> dict[str, str]:
    """Return what stands in addresses: a ticket that is out, a finding, and its meter."""
    tickets = client.get("/tickets").json()
    findings = client.get("/findings").json()
    listed = findings if isinstance(findings, list) else findings["findings"]
    tickets = tickets if isinstance(tickets, list) else tickets["tickets"]
    of_meters = [one for one in listed if one["meter"]]
    return {
        "ticket_no": next((one["ticket_no"] for one in tickets if one["ticket_class"] == "EMERGENCY"), ""),
        "finding_id": str(of_meters[0]["id"]) if of_meters else "",
        "meter_id": of_meters[0]["meter"] if of_meters else "",
    }


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


if __name__ == "__main__":
    sys.exit(main())
