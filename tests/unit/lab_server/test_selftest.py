"""hbbs's watchdog."""

from __future__ import annotations

import asyncio

import pytest

from rustdesk_lab import codec, selftest
from rustdesk_lab.errors import DaemonError


class Echo(asyncio.DatagramProtocol):
    """Answers, or only listens, and remembers what it was asked."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.asked: list[codec.Message | None] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(codec.decode_message(data))
        if self.answers:
            self.transport.sendto(codec.encode_message(codec.RegisterPeerResponse()), addr)


async def watch(echo: Echo, host: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: echo, local_addr=("127.0.0.1", 0))
    try:
        async with asyncio.timeout(seconds):
            await selftest.self_test((host, transport.get_extra_info("sockname")[1]))
    finally:
        transport.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "INTERVAL_S", 0.1)
    monkeypatch.setattr(selftest, "SILENCE_S", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_answering_port_is_asked_for_ever(host: str) -> None:
    echo = Echo(answers=True)
    with pytest.raises(TimeoutError):
        asyncio.run(watch(echo, host, 1.3))
    assert len(echo.asked) > 8
    assert echo.asked[0] == codec.RegisterPeer("(:test_hbbs:)")


def test_a_silent_port_ends_hbbs() -> None:
    with pytest.raises(DaemonError):
        asyncio.run(watch(Echo(answers=False), "127.0.0.1", 5))


def test_a_dual_stack_port_is_asked_over_ipv4_when_ipv6_fails() -> None:
    echo = Echo(answers=True)
    with pytest.raises(TimeoutError):
        asyncio.run(watch(echo, "::", 1.6))
    assert echo.asked
