"""Modbus TCP servers that answer for the city's stations, correctors and concentrators (pymodbus)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.model.profile import RegisterTable
from simulators.encoder import RegisterImage, Values

_TABLES = {1: RegisterTable.COIL, 2: RegisterTable.DISCRETE, 3: RegisterTable.HOLDING, 4: RegisterTable.INPUT}


@dataclass(frozen=True, slots=True)
class Unit:
    """One Modbus unit: its registers, where its values come from, and whether it is silent now."""

    image: RegisterImage
    values: Callable[[], Values]
    silent: Callable[[], bool] = lambda: False


class _Units:
    """What pymodbus asks for values; it answers from the city's state at the moment of the question."""

    def __init__(self, units: Mapping[int, Unit]) -> None:
        self._units = units

    def device_ids(self) -> list[int]:
        return list(self._units)

    async def async_getValues(  # noqa: N802  (pymodbus calls it)
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        unit = self._units.get(device_id)
        if unit is None or unit.silent():
            raise NoSuchIdException  # the server then leaves the question unanswered
        table = _TABLES.get(func_code)
        words = unit.image.read(table, address, count, unit.values()) if table is not None else None
        if words is None or table is None:
            return ExcCodes.ILLEGAL_ADDRESS
        return [bool(word) for word in words] if table.of_bits else words

    async def async_setValues(  # noqa: N802  (pymodbus calls it)
        self, device_id: int, func_code: int, address: int, values: list[int] | list[bool]
    ) -> ExcCodes:
        del device_id, func_code, address, values
        return ExcCodes.ILLEGAL_FUNCTION


class CityModbusServer:
    """One listening port with its units, on loopback only."""

    def __init__(self, port: int, units: Mapping[int, Unit]) -> None:
        self.port = port
        self._units = units
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Listen. Raises RuntimeError if the port is taken."""
        placeholder = SimDevice(id=0, simdata=[SimData(0, datatype=DataType.REGISTERS)])
        self._server = ModbusTcpServer(placeholder, address=("127.0.0.1", self.port), ignore_missing_devices=True)
        self._server.context = _Units(self._units)  # type: ignore[assignment]
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        """Close the port and all connections; may be called twice."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None
