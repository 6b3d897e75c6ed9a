"""`gasgate check` of ten thousand devices: Modbus units, their meters, as many meters over MQTT."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.end_to_end.small_site import SmallSite

DEVICES = 10_000
UNITS = 20
"""on a link"""


def run(*, quick: bool) -> dict[str, float]:
    """Check a good site, and one in which every device is wrong; a tenth of the devices if quick."""
    devices = DEVICES // 10 if quick else DEVICES
    with tempfile.TemporaryDirectory(prefix="gasgate-check-") as name:
        site = large_site(Path(name), devices)
        good_s, good_cpu_s, code, _ = _check(site.config)
        assert code == 0, code
        text = site.config.read_text(encoding="utf-8")
        site.config.write_text(text.replace('asset = "M-', 'asset = "X-'), encoding="utf-8")
        bad_s, bad_cpu_s, code, found = _check(site.config)
        assert code == 2, code
    return {
        "devices": float(devices),
        "good_s": good_s,
        "good_processor_s": good_cpu_s,
        "all_wrong_s": bad_s,
        "all_wrong_processor_s": bad_cpu_s,
        "all_wrong_findings": float(found),
    }


def large_site(folder: Path, devices: int) -> SmallSite:
    """Write a site with so many Modbus devices."""
    site = SmallSite(folder / "site", 1883, meters=2 * devices)
    (site.folder / "desk.secret").chmod(0o600)
    parts = ['[[source]]\nkind = "modbus"\nname = "customers"\n']
    for number in range(devices):
        if number % UNITS == 0:
            at = number // UNITS
            parts.append(f'[[source.link]]\nname = "l{at}"\nurl = "tcp://10.{at >> 8}.{at & 255}.1:502"\n')
        parts.append(
            f"[[source.link.unit]]\nunit = {number % UNITS + 1}\n"
            f'profile = "diaphragm_rs485"\nasset = "M-{number:06d}"\n'
        )
    site.extra = "".join(parts)
    site.write_config()
    return site


def _check(config: Path) -> tuple[float, float, int, int]:
    began, used = time.perf_counter(), _children_s()
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "check", str(config)], capture_output=True, text=True, check=False
    )
    return time.perf_counter() - began, _children_s() - used, done.returncode, len(done.stderr.splitlines())


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
