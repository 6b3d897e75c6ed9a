"""Only a named proxy is believed when it says for whom it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from gateway.runtime.http import serve
from tests.services import pick_free_port


async def who_asks(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = f"{scope['client'][0]} {scope['scheme']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("proxies", "told"),
    [
        (("127.0.0.1",), "203.0.113.9 https"),
        (("192.0.2.1",), "127.0.0.1 http"),
        ((), "127.0.0.1 http"),
    ],
)
async def test_an_address_is_taken_from_a_named_proxy_only(proxies: Sequence[str], told: str) -> None:
    port = pick_free_port()
    serving = asyncio.create_task(serve(who_asks, f"127.0.0.1:{port}", proxies=proxies))
    try:
        # a browser may send the header too: the proxy appends what it sees, and only that counts
        headers = {"x-forwarded-for": "10.9.8.7, 203.0.113.9", "x-forwarded-proto": "https"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(200):
                try:
                    answer = await client.get("/", headers=headers)
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        assert answer.text == told
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
