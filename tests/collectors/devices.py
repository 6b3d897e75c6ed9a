"""A Modbus TCP server of forty lines that shares no code with pymodbus and can misbehave."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[["Question"], bytes | Awaitable[bytes | None] | None]


@dataclass(frozen=True)
class Question:
    transaction: int
    unit: int
    function: int
    start: int
    count: int

    def frame(self, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
        number = self.transaction if transaction is None else transaction
        return struct.pack(">HHHB", number, 0, len(pdu) + 1, self.unit if unit is None else unit) + pdu

    def registers(self, words: list[int]) -> bytes:
        return self.frame(struct.pack(f">BB{len(words)}H", self.function, 2 * len(words), *words))

    def refusal(self, code: int) -> bytes:
        return self.frame(bytes([self.function | 0x80, code]))


@dataclass
class Device:
    """Answers each request as `answer` says: bytes are sent, None is silence."""

    answer: Answer
    port: int = 0
    connections: int = 0
    asked: list[Question] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readexactly(7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                function, start, count = struct.unpack(">BHH", await reader.readexactly(length - 1))
                question = Question(transaction, unit, function, start, count)
                self.asked.append(question)
                reply = self.answer(question)
                if isinstance(reply, Awaitable):
                    reply = await reply
                if reply is not None:
                    writer.write(reply)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(answer: Answer) -> AsyncIterator[Device]:
    device = Device(answer)
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    device.port = server.sockets[0].getsockname()[1]
    try:
        yield device
    finally:
        server.close()


def in_turn(*answers: Answer) -> Answer:
    """Answer the first question with the first answer, and so on."""
    left = iter(answers)

    def answer(question: Question) -> bytes | Awaitable[bytes | None] | None:
        return next(left)(question)

    return answer


MEMORY = {10: 0x0012, 11: 0xD687, 12: 0xFFFF, 13: 0xFB2E, 20: 42, 21: 1}


def words(question: Question) -> list[int]:
    return [MEMORY.get(address, 0) for address in range(question.start, question.start + question.count)]


def honest(question: Question) -> bytes:
    return question.registers(words(question))
