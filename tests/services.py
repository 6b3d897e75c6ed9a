"""Real servers for the tests: found on the machine, started on loopback, ended with the test run."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCAL_SERVICES = ROOT / ".services" / "bin"
READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0
_PORTS, _SHARES = range(20_000, 32_000), 8
_picked = set[int]()

PROGRAMS: dict[str, tuple[str, ...]] = {
    "mosquitto": ("mosquitto",),
    "influxd": ("influxd",),
    "victoria-metrics": ("victoria-metrics",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "mbpoll": ("mbpoll",),
    "glewlwyd": ("glewlwyd",),
}

# The first two are pages for the list below the address bar, which every context would load and nobody sees. The others
# are those that Playwright switches off: of two such arguments only the last counts.
WITHOUT_FEATURES = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
)

# Asks the kernel to kill this process when the one that started it dies, then becomes the server. A helper program and
# not preexec_fn, which forks a process that may have threads.
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the test run is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def in_ci() -> bool:
    """Say whether a missing service is an error (CI=true) or a reason to skip."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def find_program(name: str) -> str | None:
    """Return the path of a program from PROGRAMS, or None. Looks in PATH, the sbin folders and .services/bin."""
    folders = [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", str(LOCAL_SERVICES)]
    for candidate in PROGRAMS[name]:
        if found := shutil.which(candidate, path=os.pathsep.join(folders)):
            return found
    return None


def need(name: str) -> str:
    """Return the path of a program from PROGRAMS; without it the test is skipped, in CI it fails."""
    if found := find_program(name):
        return found
    reason = f"{name} is not installed on this machine (scripts/install-services.sh installs it on Debian 12)"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need_module(name: str) -> None:
    """Skip the test where a module of an extra is not installed; in CI it fails."""
    if importlib.util.find_spec(name) is None:
        reason = f"{name} is not installed: install gasgate with its extra, gasgate[simulators]"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def pick_free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now and that this process was not given before.

    Nothing reserves it. It lies below those that the kernel gives to connections, and each worker of a run of tests
    picks from a share of its own, so that nobody takes it between the look and the use.
    """
    worker = int("0" + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"))
    share = range(_PORTS.start + worker % _SHARES, _PORTS.stop, _SHARES)
    for port in random.SystemRandom().sample(share, len(share)):
        if port in _picked:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _picked.add(port)
            return port
    raise RuntimeError(f"no free port in {share}")


def spawn(command: Sequence[str], log: Path, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one, even by SIGKILL. Its output is appended to `log`.

    The kernel ties the child to the calling thread, so call this from the main one.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
        )


def accepts(host: str, port: int) -> bool:
    """Say whether something accepts TCP connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
        return True
    return False


class Server:
    """One server process on a fixed loopback port: `stop()` and `start()` any number of times, the data stay.

    `ready` is asked until it says yes; without it an accepted connection counts.
    """

    host = "127.0.0.1"

    def __init__(
        self, command: Sequence[str], port: int, folder: Path, ready: Callable[[], bool] | None = None
    ) -> None:
        self.command = tuple(command)
        self.port = port
        self.folder = folder
        self.log = folder / "server.log"
        self._ready = ready or (lambda: accepts(self.host, self.port))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base address without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return when it serves; nothing happens when it runs already."""
        if self.running:
            return
        self._process = spawn(self.command, self.log, self.folder)
        until = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"{self.command[0]} does not serve on port {self.port}:\n{self.log_end()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server and return when it is gone; SIGKILL follows a SIGTERM that is not obeyed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log_end(self) -> str:
        """Return the last lines the server wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


def mosquitto_server(folder: Path) -> Server:
    """Describe a Mosquitto that keeps its sessions over restarts and bounds no queue; not started yet."""
    program, port = need("mosquitto"), pick_free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\n"
        "allow_anonymous true\n"
        "persistence true\n"
        f"persistence_location {folder}/\n"
        "autosave_interval 1\n"
        "max_inflight_messages 0\n"
        "max_queued_messages 0\n"
        "log_dest stdout\n" + ("user root\n" if os.geteuid() == 0 else "")
        # Without this a broker started by root becomes a user who may not write into the folder.
    )
    return Server([program, "-c", str(config)], port, folder)


def influxd_server(folder: Path) -> Server:
    """Describe an InfluxDB 1.x with its files under `folder`; not started yet."""
    program, port, backup_port = need("influxd"), pick_free_port(), pick_free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        "reporting-disabled = true\n"
        f'bind-address = "127.0.0.1:{backup_port}"\n'
        f'[meta]\ndir = "{folder}/meta"\nlogging-enabled = false\n'
        f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\nquery-log-enabled = false\n'
        f'[http]\nenabled = true\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
        "[monitor]\nstore-enabled = false\n"
    )
    return Server([program, "run", "-config", str(config)], port, folder)


def victoria_metrics_server(folder: Path) -> Server:
    """Describe a VictoriaMetrics with its files under `folder`; not started yet."""
    program, port = need("victoria-metrics"), pick_free_port()
    command = [
        program,
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-search.latencyOffset=0s",
        "-loggerLevel=WARN",
    ]
    return Server(command, port, folder)


def chromium_arguments() -> list[str]:
    """Return what Chromium needs here: root may not use its sandbox, containers have a small /dev/shm."""
    features = f"--disable-features={','.join(WITHOUT_FEATURES)}"
    return ["--disable-dev-shm-usage", features, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
