"""A serial line as an asyncio transport, straight over the operating system's terminal interface (POSIX)."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios

from collectors.modbus_config import SerialConfig

_MOST_AT_ONCE = 4096
_INPUT, _OUTPUT, _CONTROL, _LOCAL, _INPUT_SPEED, _OUTPUT_SPEED, _CHARACTERS = range(7)


def open_line(path: str, config: SerialConfig, protocol: asyncio.Protocol) -> SerialTransport:
    """Open and set up a line for one owner, and attach `protocol`. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        _set_up(descriptor, config)
    except termios.error as error:
        os.close(descriptor)
        raise OSError(f"{path} is no serial line, or cannot be set as configured") from error
    except OSError:
        os.close(descriptor)
        raise
    return SerialTransport(descriptor, protocol)


def _set_up(descriptor: int, config: SerialConfig) -> None:
    """Set raw mode: no echo, no translation of any character, no flow control."""
    settings = termios.tcgetattr(descriptor)
    control = termios.CREAD | termios.CLOCAL | (termios.CS8 if config.data_bits == 8 else termios.CS7)
    if config.parity != "none":
        control |= termios.PARENB | (termios.PARODD if config.parity == "odd" else 0)
    if config.stop_bits == 2:
        control |= termios.CSTOPB
    speed = getattr(termios, f"B{config.baud}")
    settings[_INPUT] = termios.INPCK | termios.IGNBRK if config.parity != "none" else termios.IGNBRK
    settings[_OUTPUT] = settings[_LOCAL] = 0
    settings[_CONTROL], settings[_INPUT_SPEED], settings[_OUTPUT_SPEED] = control, speed, speed
    settings[_CHARACTERS][termios.VMIN], settings[_CHARACTERS][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    termios.tcflush(descriptor, termios.TCIOFLUSH)


class SerialTransport(asyncio.Transport):
    """Carries the bytes of one open line. A request fits into the system's buffer, so `write` never waits."""

    def __init__(self, descriptor: int, protocol: asyncio.Protocol) -> None:
        """Begin to read."""
        super().__init__()
        self._descriptor = descriptor
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._closing = False
        protocol.connection_made(self)
        self._loop.add_reader(descriptor, self._readable)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; a line that takes nothing any more is closed."""
        if self._closing:
            return
        try:
            sent = os.write(self._descriptor, data)
        except OSError as error:
            self._end(error)
            return
        if sent < len(data):
            self._end(OSError("the line takes no more bytes"))

    def is_closing(self) -> bool:
        """Say whether the line was closed."""
        return self._closing

    def close(self) -> None:
        """Let the line go; may be called twice."""
        self._end(None)

    abort = close

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _MOST_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._end(OSError("the line was unplugged"))

    def _end(self, error: OSError | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._loop.call_soon(self._protocol.connection_lost, error)
