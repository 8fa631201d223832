"""The text consoles: for this host only, on hbbs's NAT test port and hbbr's port."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab

ASK = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3)
connection.sendall(sys.argv[2].encode())
answer = b""
while data := connection.recv(4096):
    answer += data
sys.stdout.buffer.write(answer)
"""


@pytest.fixture
def ask(pytestconfig: pytest.Config) -> Callable[..., str]:
    """Send one line to a port of the server's loopback address, from the server itself."""
    prefix = shlex.split(pytestconfig.getoption("--console-exec"))
    python = "/usr/bin/python3" if prefix else sys.executable

    def run(port: int, line: str) -> str:
        command = [*prefix, python, "-c", ASK, str(port), line]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout

    return run


@pytest.mark.hbbs
@pytest.mark.parametrize("line", [b"h\n", b"rs", b"pr\n", b"aur Y\n"])
def test_hbbs_gives_no_console_to_the_network(lab: Lab, line: bytes) -> None:
    for target in (lab.nat_test, lab.rendezvous):
        with lab.connect(target) as client:
            client.socket.sendall(line)
            assert client.is_silent() or client.is_closed()


@pytest.mark.parametrize("line", [b"h\n", b"u", b"Ba 192.0.2.1\n"])
def test_hbbr_gives_no_console_to_the_network(lab: Lab, line: bytes) -> None:
    with lab.connect(lab.relay) as client:
        client.socket.sendall(line)
        assert client.is_silent() or client.is_closed()


@pytest.mark.console
@pytest.mark.hbbs
def test_hbbs_lists_its_commands(lab: Lab, ask: Callable[..., str]) -> None:
    answer = ask(lab.nat_test[1], "h\n")
    for command in ("relay-servers(rs)", "ip-blocker(ib)", "ip-changes(ic)", "punch-requests(pr)", "always-use-relay"):
        assert command in answer


@pytest.mark.console
@pytest.mark.hbbs
def test_hbbs_tells_whether_it_always_relays(lab: Lab, ask: Callable[..., str]) -> None:
    assert ask(lab.nat_test[1], "aur\n") == f"ALWAYS_USE_RELAY: {str(lab.always_relay).lower()}\n"


@pytest.mark.console
@pytest.mark.hbbs
def test_hbbs_lists_who_wanted_whom(lab: Lab, ask: Callable[..., str]) -> None:
    device = lab.device().join()
    for _ in range(2):
        with lab.connect(lab.rendezvous) as client:
            client.send(lab.punch(device.id))
            assert device.receive() is not None
    lines = [line for line in ask(lab.nat_test[1], "pr 0 10000\n").splitlines() if device.id in line]
    (line,) = lines  # a repetition within a minute is not listed again
    pattern = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {re.escape(lab.sources.own)} -> {device.id}@{re.escape(device.ip)}"
    assert re.fullmatch(pattern, line)


@pytest.mark.console
@pytest.mark.hbbs
def test_hbbs_counts_registrations_per_address(lab: Lab, ask: Callable[..., str]) -> None:
    address = lab.sources.fresh()
    for _ in range(3):
        lab.device(address).join()
    answer = ask(lab.nat_test[1], f"ib ::ffff:{address}\n")
    assert re.fullmatch(r"\d+\n2/\d+s 2/\d+s\n", answer), answer


@pytest.mark.console
@pytest.mark.hbbs
@pytest.mark.parametrize("line", ["nonsense\n", "rg\n", "\x0c\xa2\x01"])
def test_hbbs_answers_nothing_to_an_unknown_command(lab: Lab, ask: Callable[..., str], line: str) -> None:
    assert ask(lab.nat_test[1], line) == ""


@pytest.mark.console
def test_hbbr_lists_its_commands(lab: Lab, ask: Callable[..., str]) -> None:
    answer = ask(lab.relay[1], "h\n")
    for command in ("blacklist-add(ba)", "blocklist(B)", "total-bandwidth(tb)", "single-bandwidth(sb)", "usage(u)"):
        assert command in answer


@pytest.mark.console
@pytest.mark.parametrize("command", ["tb", "sb", "ls"])
def test_hbbr_tells_its_limits(lab: Lab, ask: Callable[..., str], command: str) -> None:
    assert re.fullmatch(r"[\d.]+Mb/s\n", ask(lab.relay[1], command))


@pytest.mark.console
def test_hbbr_shows_the_traffic_of_a_running_pair(lab: Lab, ask: Callable[..., str]) -> None:
    with lab.pair() as (first, second):
        for _ in range(6):
            first.socket.sendall(bytes(1 << 20))
            second.read_exactly(1 << 20)
            second.is_silent()
        port = second.address[1]
        (line,) = [line for line in ask(lab.relay[1], "u\n").splitlines() if f":{port}: " in line]
    assert re.search(rf"{re.escape(lab.sources.own)}:{port}: \d+s \d+\.\d\dMB \d+kb/s \d+kb/s \d+kb/s$", line)
    assert f":{port}: " not in ask(lab.relay[1], "u\n"), "a line ends with its pair"


@pytest.mark.console
def test_hbbr_blocks_an_address_from_its_console(lab: Lab, ask: Callable[..., str]) -> None:
    address = lab.sources.fresh()
    assert ask(lab.relay[1], f"Ba {address}\n") == ""
    assert ask(lab.relay[1], f"B {address}\n") == "true\n"
    with lab.connect(lab.relay, address) as client:
        assert client.is_closed()
    ask(lab.relay[1], f"Br {address}\n")
    with lab.connect(lab.relay, address) as client:
        assert client.is_silent()
