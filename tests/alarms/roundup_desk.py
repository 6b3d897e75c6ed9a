"""A real Roundup tracker on loopback: processes of its own, that can be killed and told to misbehave.

Run as a program it serves one tracker until it is killed: `python -m tests.alarms.roundup_desk HOME PORT WORKERS`.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, cast
from wsgiref.handlers import BaseHandler
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

USER, PASSWORD = "gasgate", "a long random password"
ADMIN_PASSWORD = "another"
_START_S = 20.0
_ROUNDS = "1000"
CUT = b"cut"
FAULTY_SHARE = 0.3


def make_tracker(home: Path, port: int, *, events_url: str = "", secret: str = "") -> None:
    """Install and initialise a tracker as docs/tickets.md tells people to."""
    from roundup import configuration, init, instance, password

    template = Path(sys.prefix) / "share" / "roundup" / "templates" / "minimal"
    init.install(str(home), str(template))
    ours = importlib.resources.files("alarms.tickets") / "roundup_tracker"
    for name in ("schema", "initial_data"):
        with (home / f"{name}.py").open("a", encoding="utf-8") as file:
            file.write((ours / f"{name}_gasgate.py").read_text(encoding="utf-8"))
    shutil.copyfile(str(ours / "detectors" / "gasgate.py"), home / "detectors" / "gasgate.py")
    if events_url:
        (home / "gasgate.secret").write_text(secret)
        (home / "detectors" / "config.ini").write_text(
            f"[main]\ngasgate_url = {events_url}\ngasgate_secret_file = {home / 'gasgate.secret'}\n"
        )
    config = configuration.CoreConfig()
    config["TRACKER_HOME"] = str(home)
    config["TRACKER_WEB"] = f"http://127.0.0.1:{port}/"
    config["MAIL_DOMAIN"] = "localhost"
    config["MAIL_DEBUG"] = "/dev/null"
    config["DATABASE"] = "db"
    config["RDBMS_BACKEND"] = "sqlite"
    config["WEB_ENABLE_REST"] = "yes"
    config["PASSWORD_PBKDF2_DEFAULT_ROUNDS"] = _ROUNDS
    config.save(str(home / "config.ini"))
    tracker = instance.open(str(home))
    tracker.init(password.Password(ADMIN_PASSWORD, config=config))
    database = tracker.open("admin")
    database.user.create(username=USER, password=password.Password(PASSWORD, config=config), roles="Gateway")
    database.user.create(username="crew", password=password.Password(PASSWORD, config=config), roles="User")
    database.commit()
    database.close()


class RoundupDesk:
    """A tracker's processes. `mode` and `chance` apply to requests of the REST interface."""

    def __init__(self, home: Path, port: int, *, workers: int = 1) -> None:
        self.home, self.port, self.workers = home, port, workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.alarms.roundup_desk", str(self.home), str(self.port), str(self.workers)],
            start_new_session=True,
        )
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError("Roundup did not start")

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def faults(self, *modes: str) -> None:
        """Misbehave at random in these ways from now on; none = behave well."""
        (self.home / "faults").write_text("\n".join(modes))

    def behave(self, *modes: str) -> None:
        """Answer the next posts in these ways, then well again."""
        (self.home / "next").write_text("\n".join(modes))

    def tickets(self) -> list[dict[str, Any]]:
        """Return all tickets as the tracker's own database has them."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.home / "db" / "db")) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM _ticket WHERE __retired__ = 0 ORDER BY id")]

    def count(self, dedup_key: str) -> int:
        return sum(row["_dedup_key"] == dedup_key for row in self.tickets())

    def advance(self, dedup_key: str, *states: str) -> None:
        self.set_state(next(str(row["id"]) for row in self.tickets() if row["_dedup_key"] == dedup_key), *states)

    def set_state(self, number: str, *states: str) -> None:
        """Move a ticket on as a crew does, inside the tracker."""
        self._set(number, "state", "ticketstate", states)

    def set_result(self, number: str, result: str) -> None:
        """Say what was found, as a crew does, inside the tracker."""
        self._set(number, "result", "ticketresult", [result])

    def _set(self, number: str, name: str, kind: str, words: Iterable[str]) -> None:
        from roundup import instance

        database = instance.open(str(self.home)).open("crew")
        for word in words:
            database.getclass("ticket").set(number, **{name: database.getclass(kind).lookup(word)})
        database.commit()
        time.sleep(0.2)
        database.close()


class _Faulty:
    """Stands in front of the tracker and spoils requests in the ways that are ordered."""

    def __init__(self, app: Any, home: Path) -> None:
        self._app, self._home = app, home
        self._dice = random.Random(os.getpid())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        mode = self._mode(environ)
        if mode in ("500", "503", "429", "302", "400", "401", "409", "410", "202"):
            headers = [("content-length", "0"), ("retry-after", "7")]
            start_response(f"{mode} Ordered", headers if mode == "429" else headers[:1])
            return [b""]
        if mode == "reset":
            return [CUT]
        answer: list[Any] = []

        def begun(*args: Any) -> Callable[[bytes], None]:
            answer.extend(args)
            return answer.append

        written = list(self._app(environ, begun))
        status, headers, *body = answer
        content = b"".join([*body, *written])
        if mode == "hang":
            time.sleep(float(os.environ.get("ROUNDUP_DESK_HANG_S", "1.5")))
        if mode == "cut":
            return [CUT]
        if mode == "garbage":
            content = b"\xff\xfe<html>"
        if mode == "huge":
            content = b"[" * 200_000
        kept = [pair for pair in headers if pair[0].lower() != "content-length"]
        start_response(status, [*kept, ("content-length", str(len(content)))])
        return [content]

    def _mode(self, environ: dict[str, Any]) -> str:
        if environ["REQUEST_METHOD"] == "POST":
            with contextlib.suppress(OSError):
                ordered = (self._home / "next").read_text().split()
                if ordered:
                    (self._home / "next").write_text("\n".join(ordered[1:]))
                    return ordered[0]
        with contextlib.suppress(OSError):
            modes = (self._home / "faults").read_text().split()
            if modes and self._dice.random() < FAULTY_SHARE:
                return self._dice.choice(modes)
        return ""


class _Quiet(ServerHandler):
    """Cuts the connection where it is told to, and says nothing about it."""

    def handle_error(self) -> None:
        """The sender went away."""

    def close(self) -> None:
        BaseHandler.close(self)

    def finish_response(self) -> None:
        if self.result != [CUT]:  # type: ignore[attr-defined]
            super().finish_response()


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if self.raw_requestline and self.parse_request():
            stdin, stdout = cast("IO[bytes]", self.rfile), cast("IO[bytes]", self.wfile)
            handler = _Quiet(stdin, stdout, sys.stderr, self.get_environ(), multithread=False)
            handler.http_version = "1.0"
            handler.run(self.server.get_app())  # type: ignore[attr-defined]


def serve(home: Path, port: int, workers: int) -> None:
    """Serve with so many processes until killed."""
    from roundup.cgi.wsgi_handler import RequestDispatcher

    app = _Faulty(RequestDispatcher(str(home)), home)
    server = WSGIServer(("127.0.0.1", port), _Handler)
    server.socket.listen(512)
    server.set_app(app)
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
