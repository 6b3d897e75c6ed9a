"""Modbus TCP servers that answer for the city's stations, correctors and concentrators (pymodbus)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.model.profile import RegisterTable
from simulators.live.encoder import RegisterImage, Values

_TABLES = {1: RegisterTable.COIL, 2: RegisterTable.DISCRETE, 3: RegisterTable.HOLDING, 4: RegisterTable.INPUT}
_WRITTEN = {5: RegisterTable.COIL, 6: RegisterTable.HOLDING, 15: RegisterTable.COIL, 16: RegisterTable.HOLDING}
_WRITES_OF_ONE = (5, 6)

Order = Callable[[RegisterTable, int, Sequence[int]], ExcCodes | None]
"""Takes what was written from an address on; returns why it did nothing, or None."""


def _no_orders(_table: RegisterTable, _address: int, _values: Sequence[int]) -> ExcCodes:
    return ExcCodes.ILLEGAL_FUNCTION


@dataclass(frozen=True, slots=True)
class Unit:
    """One Modbus unit: its registers, where its values come from, and whether it is silent now."""

    image: RegisterImage
    values: Callable[[], Values]
    silent: Callable[[], bool] = lambda: False
    order: Order = _no_orders


class _Units:
    """What pymodbus asks for values; it answers from the city's state at the moment of the question."""

    def __init__(self, units: Mapping[int, Unit]) -> None:
        self._units = units
        self._echo: dict[tuple[int, int], list[int] | list[bool]] = {}

    def device_ids(self) -> list[int]:
        return list(self._units)

    async def async_getValues(  # noqa: N802  (pymodbus calls it)
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        unit = self._units.get(device_id)
        if unit is None or unit.silent():
            raise NoSuchIdException  # the server then leaves the question unanswered
        if func_code in _WRITES_OF_ONE:
            return self._echo.pop((device_id, address))  # the answer to a write repeats what was written
        table = _TABLES.get(func_code)
        words = unit.image.read(table, address, count, unit.values()) if table is not None else None
        if words is None or table is None:
            return ExcCodes.ILLEGAL_ADDRESS
        return [bool(word) for word in words] if table.of_bits else words

    async def async_setValues(  # noqa: N802  (pymodbus calls it)
        self, device_id: int, func_code: int, address: int, values: list[int] | list[bool]
    ) -> ExcCodes | None:
        unit = self._units.get(device_id)
        if unit is None or unit.silent():
            raise NoSuchIdException
        problem = unit.order(_WRITTEN[func_code], address, [int(value) for value in values])
        if problem is None and func_code in _WRITES_OF_ONE:
            self._echo[device_id, address] = values[:1]
        return problem


class CityModbusServer:
    """One listening port with its units."""

    def __init__(self, port: int, units: Mapping[int, Unit], address: str = "127.0.0.1") -> None:
        self.port = port
        self.address = address
        self.framer = FramerType.SOCKET
        """set it to RTU before the start for what a serial line behind a converter is like"""
        self._units = units
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Listen. Raises RuntimeError if the port is taken."""
        placeholder = SimDevice(id=0, simdata=[SimData(0, datatype=DataType.REGISTERS)])
        self._server = ModbusTcpServer(
            placeholder, framer=self.framer, address=(self.address, self.port), ignore_missing_devices=True
        )
        self._server.context = _Units(self._units)  # type: ignore[assignment]
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError as error:
            self._server = None
            raise RuntimeError(
                f"cannot listen on port {self.port} of {self.address}: another program has it"
            ) from error

    async def stop(self) -> None:
        """Close the port and all connections; may be called twice."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None
