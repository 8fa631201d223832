"""Who listens on a port: read from a made-up /proc, and from this machine's own."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils.listeners import Listener, listeners, overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
LISTENING, ESTABLISHED, UNCONNECTED = "0A", "01", "07"
ANY_V6 = "0" * 32
ANY_V4 = "0" * 8


@dataclass
class Proc:
    """A made-up /proc."""

    root: Path
    tables: dict[str, list[str]] = field(default_factory=lambda: {"tcp": [], "tcp6": [], "udp": [], "udp6": []})

    def socket(self, table: str, address: str, port: int, inode: int, state: str = LISTENING) -> None:
        peer = "0" * len(address)
        number = len(self.tables[table])
        self.tables[table].append(
            f"{number:4d}: {address}:{port:04X} {peer}:0000 {state} 00000000:00000000 00:00000000 00000000"
            f"   998        0 {inode} 1 0000000000000000 100 0 0 10 0"
        )

    def process(self, pid: int, name: str, inodes: list[int], control_group: str = "0::/init.scope") -> None:
        directory = self.root / str(pid)
        (directory / "fd").mkdir(parents=True)
        (directory / "comm").write_text(f"{name}\n", encoding="utf-8")
        (directory / "cgroup").write_text(f"{control_group}\n", encoding="ascii")
        for number, inode in enumerate(inodes, start=3):
            (directory / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (directory / "fd" / "0").symlink_to("/dev/null")

    def written(self) -> Path:
        (self.root / "net").mkdir(exist_ok=True)
        for table, lines in self.tables.items():
            (self.root / "net" / table).write_text("\n".join([HEADER, *lines]) + "\n", encoding="ascii")
        (self.root / "version").write_text("Linux", encoding="ascii")
        return self.root


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


SERVICE = "0::/system.slice/nginx.service"


def test_a_listener_is_told_with_its_process_and_unit(proc: Proc) -> None:
    proc.socket("tcp", "0100007F", 21117, 4711)
    proc.process(812, "nginx", [4700, 4711], SERVICE)
    found = listeners([("tcp", 21117)], proc.written())
    assert found == [Listener("tcp", "127.0.0.1", 21117, "nginx", 812, "nginx.service")]
    assert found[0].sentence == "21117/tcp is taken by nginx (pid 812) of nginx.service"


def test_only_the_asked_ports_and_protocols_count(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.socket("udp", ANY_V4, 21117, 2, UNCONNECTED)
    proc.socket("tcp", ANY_V4, 22, 3)
    assert listeners([("udp", 21116), ("tcp", 21117)], proc.written()) == []
    assert [entry.port for entry in listeners([("tcp", 21116), ("udp", 21117)], proc.root)] == [21116, 21117]


def test_connections_are_no_listeners(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1, ESTABLISHED)
    proc.socket("tcp6", ANY_V6, 21116, 2, "06")
    proc.socket("udp", ANY_V4, 21116, 3, ESTABLISHED)
    # A state of TCP in the table of UDP, and the other way round, is none.
    proc.socket("udp", ANY_V4, 21116, 4, LISTENING)
    proc.socket("tcp", ANY_V4, 21116, 5, UNCONNECTED)
    assert listeners([("tcp", 21116), ("udp", 21116)], proc.written()) == []


@pytest.mark.parametrize(
    ("table", "text", "address"),
    [
        ("tcp", "00000000", "0.0.0.0"),
        ("tcp", "0A00A8C0", "192.168.0.10"),
        ("tcp6", ANY_V6, "::"),
        ("tcp6", "00000000000000000000000001000000", "::1"),
        ("tcp6", "B80D0120000000000000000001000000", "2001:db8::1"),
        # An IPv4 address on a socket for both.
        ("tcp6", "0000000000000000FFFF00000A00A8C0", "192.168.0.10"),
    ],
)
def test_addresses_are_decoded(table: str, text: str, address: str, proc: Proc) -> None:
    proc.socket(table, text, 21116, 1)
    assert [entry.address for entry in listeners([("tcp", 21116)], proc.written())] == [address]


@pytest.mark.parametrize(
    ("control_group", "unit"),
    [
        ("0::/system.slice/rustdesk-hbbs.service", "rustdesk-hbbs.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/relay.service", "relay.service"),
        ("0::/user.slice/user-1000.slice/session-2.scope", ""),
        ("0::/", ""),
        (
            "12:pids:/system.slice/a.service\n1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service",
            "a.service",
        ),
        ("0::/system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main.service"),
    ],
)
def test_units_are_read_from_control_groups(control_group: str, unit: str, proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.process(100, "hbbs", [1], control_group)
    assert [entry.unit for entry in listeners([("tcp", 21116)], proc.written())] == [unit]


def test_a_socket_without_a_process_is_told_as_such(proc: Proc) -> None:
    proc.socket("udp", ANY_V4, 21116, 99, UNCONNECTED)
    proc.process(100, "another", [1])
    found = listeners([("udp", 21116)], proc.written())
    assert found[0].sentence == "21116/udp is taken by a process that could not be identified"


def test_a_process_that_ends_meanwhile_does_no_harm(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.process(100, "gone", [1])
    (proc.root / "100" / "comm").unlink()
    (proc.root / "200").mkdir()
    assert listeners([("tcp", 21116)], proc.written()) == [Listener("tcp", "0.0.0.0", 21116, "", 0, "")]


def test_a_descriptor_that_is_closed_meanwhile_hides_no_other(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.process(100, "busy", [])
    # What is no link cannot be read as one, just like a link that is gone.
    (proc.root / "100" / "fd" / "3").touch()
    (proc.root / "100" / "fd" / "4").symlink_to("socket:[1]")
    (proc.root / "100" / "fd" / "5").touch()
    assert listeners([("tcp", 21116)], proc.written())[0].process == "busy"


def test_a_service_is_named_rather_than_systemd_that_shares_its_socket(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.process(1, "systemd", [1])
    proc.process(20, "sshd", [1], "0::/system.slice/ssh.service")
    assert listeners([("tcp", 21116)], proc.written())[0].process == "sshd"


def test_systemd_is_named_when_it_alone_holds_a_socket(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.process(1, "systemd", [1])
    proc.process(20, "sshd", [2])
    assert listeners([("tcp", 21116)], proc.written())[0].sentence == "21116/tcp is taken by systemd (pid 1)"


def test_several_sockets_find_their_owners(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21115, 1)
    proc.socket("tcp6", ANY_V6, 21115, 2)
    proc.socket("udp6", ANY_V6, 21116, 3, UNCONNECTED)
    proc.process(10, "one", [1])
    proc.process(11, "two", [2, 3])
    found = listeners([("tcp", 21115), ("udp", 21116)], proc.written())
    assert [(entry.protocol, entry.address, entry.process) for entry in found] == [
        ("tcp", "0.0.0.0", "one"),
        ("tcp", "::", "two"),
        ("udp", "::", "two"),
    ]


def test_a_process_cannot_forge_a_line_with_its_name(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    proc.process(100, "a\nb\x1b[2J\u202e", [1])
    sentence = listeners([("tcp", 21116)], proc.written())[0].sentence
    assert sentence == "21116/tcp is taken by a?b?[2J? (pid 100)"


def test_a_kernel_without_ipv6_has_no_tables_for_it(proc: Proc) -> None:
    proc.socket("tcp", ANY_V4, 21116, 1)
    root = proc.written()
    for table in ("tcp6", "udp6"):
        (root / "net" / table).unlink()
    assert len(listeners([("tcp", 21116)], root)) == 1


def test_nothing_is_read_of_processes_when_no_port_is_taken(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.process(100, "one", [1])
    root = proc.written()

    def read(*_arguments: object) -> None:
        raise AssertionError("processes were read")

    monkeypatch.setattr(Path, "readlink", read)
    assert listeners([("tcp", 21116)], root) == []


def test_ten_thousand_connections_take_no_time(proc: Proc) -> None:
    for number in range(10_000):
        proc.socket("tcp", "0A00A8C0", 21117, 1000 + number, ESTABLISHED)
    proc.socket("tcp", ANY_V4, 21117, 1)
    proc.process(100, "hbbr", list(range(1, 2000)), "0::/system.slice/rustdesk-hbbr.service")
    root = proc.written()
    spent = []
    for _attempt in range(3):
        began = time.process_time()
        assert len(listeners([("tcp", 21117)], root)) == 1
        spent.append(time.process_time() - began)
    assert min(spent) < 0.25


# --- This machine -----------------------------------------------------------------------------------------------------


def has_ipv6() -> bool:
    """Containers often have none."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", *(["::1", "::"] if has_ipv6() else [])])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["tcp", "udp"])
def bound(request: pytest.FixtureRequest, address: str) -> Iterator[tuple[str, int]]:
    kind = socket.SOCK_STREAM if request.param == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
        sock.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        yield request.param, sock.getsockname()[1]


def test_a_real_socket_is_found(bound: tuple[str, int], address: str) -> None:
    (found,) = listeners([bound])
    assert (found.protocol, found.port, found.address) == (*bound, address)
    assert found.pid == os.getpid()
    assert found.process == Path("/proc/self/comm").read_text(encoding="utf-8").strip()


def test_a_real_connection_is_no_listener() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert listeners([("tcp", client.getsockname()[1])]) == []


@pytest.mark.parametrize(
    ("taken", "wanted", "in_the_way"),
    [
        ("0.0.0.0", "", True),
        ("127.0.0.1", "", True),
        ("::", "", True),
        ("::1", "", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("0.0.0.0", "192.0.2.1", True),
        ("::", "192.0.2.1", True),
        ("::", "2001:db8::1", True),
        ("0.0.0.0", "2001:db8::1", False),
        ("192.0.2.1", "2001:db8::1", False),
        ("2001:db8::1", "192.0.2.1", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "0.0.0.0", True),
        ("192.0.2.1", "::", True),
        ("2001:db8::1", "::", True),
        ("2001:db8::1", "0.0.0.0", False),
        ("192.0.2.1", "no address", True),
    ],
)
def test_addresses_stand_in_each_others_way(taken: str, wanted: str, in_the_way: bool) -> None:
    assert overlaps(taken, wanted) is in_the_way
