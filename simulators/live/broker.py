"""The embedded MQTT broker (iotcore) in a process of its own, so that it can be stopped and started again."""

from __future__ import annotations

import argparse
import logging
import socket
import subprocess
import time

from gateway.runtime import child

_START_LIMIT_S = 10.0


def local_address(address: str) -> str:
    """Return where this machine reaches what listens on an address."""
    return "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104  (compared, not bound)


class BrokerProcess:
    """A broker that dies with the process that started it. Start it from the main thread."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.port = port
        self.address = address
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process; `running` tells when it listens."""
        if self._process is None:
            self._process = child.start(["simulators.live.broker", "--port", str(self.port), "--address", self.address])

    def running(self) -> bool:
        """Say whether it accepts connections. Raises RuntimeError if the process has ended."""
        if self._process is None:
            return False
        if self._process.poll() is not None:
            raise RuntimeError(f"the broker on port {self.port} ended with code {self._process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((local_address(self.address), self.port)) == 0

    def start(self) -> None:
        """Start and wait until it listens. Raises RuntimeError if it does not."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Return when it listens. Raises RuntimeError if it has ended or takes too long."""
        end = time.monotonic() + _START_LIMIT_S
        while not self.running():
            if time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"the broker did not listen on port {self.port} within {_START_LIMIT_S:.0f} s")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; may be called twice."""
        if self._process is not None:
            child.stop([self._process])
            self._process = None


def main() -> None:
    """Run the broker until the process is ended."""
    child.die_with_parent()
    parser = argparse.ArgumentParser(description="embedded MQTT broker")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1")
    given = parser.parse_args()
    # every packet would be logged as an error record of the broker's tracing
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)

    from iotcore import IotCoreBroker

    IotCoreBroker(listen=given.address, port=given.port).run_forever()


if __name__ == "__main__":
    main()
