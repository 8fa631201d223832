"""The look at a host: what of it is ours, what is in the way, and what runs with an earlier configuration."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import platform
import pwd
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_server_info as info
from ansible.module_utils.listeners import Listener
from ansible.module_utils.release import DIRECTORIES, MACHINES, install

from .support import GROUP, USER, Archive, as_nobody, evaluated, pair, release_archive, run_module, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAIR = pair(1)
HBBS, HBBR = "rustdesk-hbbs.service", "rustdesk-hbbr.service"
NUMBERS = {HBBS: 4711, HBBR: 4712}
"""Their processes."""


class Host:
    """A machine in a directory: systemd's directories, the deployment's, and a systemctl that says what it is told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.install_dir = root / "opt" / "rustdesk-server"
        self.state_dir = root / "state"
        self.unit_dir = root / "units"
        self.systemd = root / "systemd"
        self.tools = root / "bin"
        self.proc = root / "proc"
        self.shown = root / "shown"
        for directory in (self.install_dir, self.state_dir, self.unit_dir, self.systemd, self.tools, self.proc):
            directory.mkdir(parents=True)
        self.says("")

    def says(self, text: str) -> None:
        """Make systemctl print a text, and note how it was called."""
        self.shown.write_text(text, encoding="ascii")
        script = self.tools / "systemctl"
        script.write_text(f'#!/bin/sh\necho "$*" >>{self.root}/calls\ncat {self.shown}\n', encoding="ascii")
        script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        log = self.root / "calls"
        return log.read_text(encoding="ascii").splitlines() if log.exists() else []

    def runs(
        self,
        *,
        since: float,
        active: str = "active",
        reload: str = "no",
        units: tuple[str, ...] = (HBBS, HBBR),
        restarts: int = 0,
    ) -> None:
        """Let the units run since a moment of the monotonic clock, in seconds, each with a number of its own."""
        self.says(
            "\n".join(
                f"Id={unit}\nLoadState=loaded\nActiveState={active}\nUnitFileState=enabled\nNeedDaemonReload={reload}\n"
                f"ExecMainStartTimestampMonotonic={int(since * 1e6)}\nMainPID={NUMBERS[unit]}\nNRestarts={restarts}\n"
                for unit in units
            )
        )

    def commanded(self, unit: str, *command: str) -> None:
        """Let a unit's process have been started by a command."""
        process = self.proc / str(NUMBERS[unit])
        process.mkdir(exist_ok=True)
        (process / "cmdline").write_bytes(b"".join(argument.encode() + b"\0" for argument in command))

    def deploy(self, archive: Archive) -> None:
        install(archive.path, self.install_dir, "1.1.16", "amd64", archive.sha256)
        (self.install_dir / "check-key").touch()
        for name, text in (("id_ed25519", PAIR.private_text), ("id_ed25519.pub", PAIR.public_text)):
            (self.state_dir / name).write_text(text, encoding="ascii")
        (self.state_dir / "blocklist.txt").write_text("192.0.2.9\n", encoding="ascii")
        for unit in (HBBS, HBBR):
            (self.unit_dir / unit).touch()
            (self.unit_dir / f"{unit}.d").mkdir()
            (self.unit_dir / f"{unit}.d" / "10-hardening.conf").touch()

    def looked_at(self, *, check: bool = False, **more: object) -> dict[str, Any]:
        arguments = {
            "install_dir": str(self.install_dir),
            "state_dir": str(self.state_dir),
            "user": USER,
            "group": GROUP,
            "version": "1.1.16",
        }
        result = run_module(info.main, arguments | more, check=check)
        assert PAIR.private_text[:20] not in json.dumps(result)
        assert "Traceback" not in json.dumps(result)
        return result


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "host")
    monkeypatch.setattr(info, "UNIT_DIR", made.unit_dir)
    monkeypatch.setattr(info, "SYSTEMD", made.systemd)
    monkeypatch.setattr(info, "PROC", made.proc)
    monkeypatch.setenv("PATH", f"{made.tools}:{os.environ['PATH']}")
    return made


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return release_archive(tmp_path / "good.zip")


@pytest.fixture
def deployed(host: Host, archive: Archive) -> Host:
    host.deploy(archive)
    return host


QUIET = {"command_fault": "", "restarts": 0, "restart_fault": ""}
"""What there is to say of a unit that does nothing unusual."""


def a_moment() -> None:
    """Let the clock of the file system tick, which is coarser than the monotonic one."""
    time.sleep(0.02)


# --- The whole --------------------------------------------------------------------------------------------------------


def test_a_bare_host(host: Host) -> None:
    result = host.looked_at()
    assert result["changed"] is False
    assert result["machine"] == platform.machine()
    assert (result["current_version"], result["release_fault"]) == ("", "version 1.1.16 is not installed")
    assert (result["archive_fault"], result["bind_fault"], result["occupied"], result["unresolved"]) == ("", "", [], [])
    assert result["foreign"] == {"install_dir": [], "state_dir": []}
    assert result["key"]["state"] == "absent"
    unit = dict.fromkeys(("loaded", "active", "up", "stale", "present", "drop_in_dir", "shared"), False) | QUIET
    assert result["units"] == {HBBS: unit, HBBR: unit}
    assert (result["systemd"], result["env_file"], result["address_lists"]) == (True, False, [])


def test_a_deployed_host(deployed: Host, archive: Archive) -> None:
    a_moment()
    deployed.runs(since=time.monotonic())
    result = deployed.looked_at(sha256={MACHINES[platform.machine()]: archive.sha256})
    assert (result["current_version"], result["release_fault"]) == ("1.1.16", "")
    assert result["key"] == {
        "state": "valid",
        "public_key": PAIR.public_text,
        "fingerprint": PAIR.fingerprint,
        "detail": "",
        "public_file_fits": True,
    }
    assert result["address_lists"] == ["blocklist.txt"]
    running = dict.fromkeys(("loaded", "active", "up", "present", "drop_in_dir"), True)
    unit = running | {"stale": False, "shared": False} | QUIET
    assert result["units"] == {HBBS: unit, HBBR: unit}


def test_a_look_changes_nothing(deployed: Host) -> None:
    before = tree(deployed.root / "opt"), tree(deployed.state_dir), tree(deployed.unit_dir)
    first, second = deployed.looked_at(), deployed.looked_at(check=True)
    # Others use the disk, too.
    assert first.pop("free_bytes").keys() == second.pop("free_bytes").keys()
    assert first == second
    assert (tree(deployed.root / "opt"), tree(deployed.state_dir), tree(deployed.unit_dir)) == before


def test_a_look_takes_no_time(deployed: Host, tmp_path: Path) -> None:
    """With programs as large as upstream's: most of the time goes into their digests."""
    large = {f"amd64/{name}": os.urandom(5 * 10**6) for name in ("hbbs", "hbbr", "rustdesk-utils")}
    archive = release_archive(tmp_path / "large.zip", members=large)
    install(archive.path, deployed.install_dir, "1.1.16", "amd64", archive.sha256)
    ports = [f"{port}/{protocol}" for port in range(21115, 21120) for protocol in ("tcp", "udp")]
    spent = []
    for _attempt in range(3):
        began = time.process_time()
        result = deployed.looked_at(ports=ports, sha256=dict.fromkeys(DIRECTORIES, archive.sha256))
        spent.append(time.process_time() - began)
        assert result["release_fault"] == ""
    assert min(spent) < 0.25


def test_what_cannot_be_looked_into_is_told(reachable: Path) -> None:
    closed = reachable / "closed"
    closed.mkdir()
    closed.chmod(0)
    arguments = {"version": "1.1.16", "install_dir": str(closed / "programs"), "state_dir": str(reachable)}
    told = as_nobody(lambda: str(run_module(info.main, arguments)["msg"]))
    assert told == f"{closed / 'programs' / 'current'} cannot be looked at (Permission denied)"


@pytest.mark.parametrize("entry", ["21116", "21116/sctp", "port/tcp", "/tcp", "21116/tcp/udp", "123456/tcp", ""])
def test_a_malformed_port_is_told(entry: str, host: Host) -> None:
    result = host.looked_at(ports=[entry])
    assert result["failed"] is True
    assert result["msg"] == f"ports: '{entry}' is not a port; write it like 21116/udp"


# --- Units ------------------------------------------------------------------------------------------------------------

TOUCHED: dict[str, Callable[[Host], Path]] = {
    "unit": lambda host: host.unit_dir / HBBS,
    "drop-in": lambda host: host.unit_dir / f"{HBBS}.d" / "10-hardening.conf",
    "private key": lambda host: host.state_dir / "id_ed25519",
    "public key": lambda host: host.state_dir / "id_ed25519.pub",
    "list of addresses": lambda host: host.state_dir / "blocklist.txt",
    "program": lambda host: host.install_dir / "1.1.16" / "hbbs",
}


@pytest.mark.parametrize("name", TOUCHED)
def test_a_daemon_is_stale_when_what_it_read_has_changed(name: str, deployed: Host) -> None:
    a_moment()
    deployed.runs(since=time.monotonic())
    assert not any(unit["stale"] for unit in deployed.looked_at()["units"].values())
    a_moment()
    # Contents do not matter, and the time of the last write can be set: the inode's own time cannot.
    TOUCHED[name](deployed).chmod(0o600)
    os.utime(TOUCHED[name](deployed), (0, 0))
    units = deployed.looked_at()["units"]
    assert units[HBBS]["stale"] is (name != "list of addresses")
    assert units[HBBR]["stale"] is (name not in ("unit", "drop-in"))


def test_a_daemon_is_stale_when_the_link_leads_to_another_release(deployed: Host) -> None:
    a_moment()
    deployed.runs(since=time.monotonic())
    a_moment()
    (deployed.install_dir / "current").unlink()
    (deployed.install_dir / "current").symlink_to("1.1.16")
    assert deployed.looked_at()["units"][HBBS]["stale"] is True


def test_what_hbbs_writes_itself_makes_nothing_stale(deployed: Host) -> None:
    a_moment()
    deployed.runs(since=time.monotonic())
    a_moment()
    for name in ("db_v2.sqlite3", "db_v2.sqlite3-wal", "id_ed25519.previous"):
        (deployed.state_dir / name).touch()
    assert deployed.looked_at()["units"][HBBS]["stale"] is False


def test_a_unit_that_systemd_has_not_read_again_is_stale(deployed: Host) -> None:
    a_moment()
    deployed.runs(since=time.monotonic(), reload="yes")
    assert deployed.looked_at()["units"][HBBS]["stale"] is True


@pytest.mark.parametrize(
    ("active", "file_state", "up"),
    [
        ("active", "enabled", True),
        ("active", "disabled", False),
        ("active", "", False),
        ("activating", "enabled", False),
        ("failed", "enabled", False),
    ],
)
def test_only_what_also_starts_at_boot_is_up(active: str, file_state: str, up: bool, host: Host) -> None:
    host.says(f"Id={HBBS}\nLoadState=loaded\nActiveState={active}\nUnitFileState={file_state}\n")
    assert host.looked_at()["units"][HBBS]["up"] is up


@pytest.mark.parametrize(
    ("active", "counts"),
    [("active", True), ("activating", True), ("reloading", True), ("inactive", False), ("failed", False), ("", False)],
)
def test_only_what_runs_is_stale(active: str, counts: bool, deployed: Host) -> None:
    deployed.runs(since=0, active=active)
    unit = deployed.looked_at()["units"][HBBS]
    assert (unit["active"], unit["stale"]) == (counts, counts)


def test_a_daemon_that_has_not_come_to_its_start_is_stale(deployed: Host) -> None:
    deployed.says(f"Id={HBBS}\nLoadState=loaded\nActiveState=activating\nExecMainStartTimestampMonotonic=\n")
    assert deployed.looked_at()["units"][HBBS]["stale"] is True


def test_a_clock_that_was_set_back_makes_nothing_stale(deployed: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.runs(since=time.monotonic())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert deployed.looked_at()["units"][HBBS]["stale"] is False


def test_units_are_asked_for_in_one_call(host: Host) -> None:
    host.looked_at()
    (call,) = host.calls
    assert call.startswith("show --property=Id,")
    asked = set(call.split()[1].removeprefix("--property=").split(","))
    assert {"ActiveState", "UnitFileState", "NeedDaemonReload", "ExecMainStartTimestampMonotonic"} <= asked
    assert {"MainPID", "NRestarts"} <= asked
    assert call.endswith(f"-- {HBBS} {HBBR}")


def test_each_unit_gets_what_is_said_of_it(host: Host) -> None:
    host.says(
        f"Id={HBBR}\nLoadState=not-found\nActiveState=inactive\n\nId={HBBS}\nLoadState=loaded\nActiveState=failed\n"
        "Description=a=b\n"
    )
    units = host.looked_at()["units"]
    assert (units[HBBS]["loaded"], units[HBBR]["loaded"]) == (True, False)
    assert units[HBBS]["active"] is False


def test_what_a_removal_left_behind_is_present(host: Host) -> None:
    (host.unit_dir / f"{HBBS}.d").mkdir()
    (host.unit_dir / HBBR).touch()
    units = host.looked_at()["units"]
    assert (units[HBBS]["present"], units[HBBS]["drop_in_dir"]) == (True, True)
    assert (units[HBBR]["present"], units[HBBR]["drop_in_dir"]) == (True, False)


def test_what_an_administrator_has_put_beside_our_files_is_not_ours(host: Host) -> None:
    for unit in (HBBS, HBBR):
        (host.unit_dir / f"{unit}.d").mkdir()
        (host.unit_dir / f"{unit}.d" / "99-colleague.conf").touch()
    (host.unit_dir / f"{HBBS}.d" / info.DROP_IN).touch()
    units = host.looked_at()["units"]
    assert (units[HBBS]["present"], units[HBBS]["shared"]) == (True, True)
    assert (units[HBBR]["present"], units[HBBR]["shared"], units[HBBR]["drop_in_dir"]) == (False, True, True)


def test_an_empty_directory_beside_a_package_of_the_distribution_is_not_ours(host: Host) -> None:
    (host.unit_dir / f"{HBBS}.d").mkdir()
    host.says(f"Id={HBBS}\nLoadState=loaded\nActiveState=active\n")
    assert host.looked_at()["units"][HBBS]["present"] is False


@pytest.mark.parametrize(("target", "ours"), [("units", True), ("lib", False)])
def test_a_link_that_starts_our_unit_at_boot_is_ours(target: str, ours: bool, host: Host) -> None:
    """It stays when the unit's files are removed by hand; one to a package's unit is the package's."""
    wants = host.unit_dir / "multi-user.target.wants"
    wants.mkdir()
    (wants / HBBS).symlink_to(host.root / target / HBBS)
    assert host.looked_at()["units"][HBBS]["present"] is ours


def test_the_drop_in_is_the_one_that_the_role_writes() -> None:
    assert evaluated("{{ __rustdesk_server_hardening }}") == info.DROP_IN


def test_without_systemd_nothing_is_asked(host: Host) -> None:
    host.systemd.rmdir()
    result = host.looked_at()
    assert result["systemd"] is False
    assert result["units"][HBBS]["loaded"] is False
    assert host.calls == []


def test_without_systemctl_the_rest_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.get_bin_path", lambda *_arguments: None)
    assert host.looked_at()["units"][HBBS]["active"] is False


# --- What a unit really runs ------------------------------------------------------------------------------------------

PROGRAM = "/opt/rustdesk-server/current/hbbs"
WANTED = [PROGRAM, "--port=21116", "--key=_"]
SECRET = pair(2).private_text


@pytest.mark.parametrize(
    "command",
    [
        WANTED,
        [PROGRAM, "--key=_", "--port=21116"],
        # What starts it: the interpreter of a script, or env with a variable that systemd cannot set.
        ["/usr/bin/python3", "-I", *WANTED],
        ["/usr/bin/env", "LOCAL-IP=192.0.2.1", *WANTED],
        # systemd has forked, and the program is still to come.
        ["(hbbs)"],
        ["/usr/lib/systemd/systemd-executor", "--deserialize", "37"],
        [],
    ],
)
def test_a_daemon_with_its_arguments_is_not_accused(command: list[str], host: Host) -> None:
    host.runs(since=time.monotonic())
    host.commanded(HBBS, *command)
    assert host.looked_at(commands={HBBS: WANTED})["units"][HBBS]["command_fault"] == ""
    with_slash = ["/opt/rustdesk-server//current/hbbs", *WANTED[1:]]
    assert host.looked_at(commands={HBBS: with_slash})["units"][HBBS]["command_fault"] == ""


LOOK = f"; look for a drop-in with `systemctl cat {HBBS}`"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        # hbbs signs nothing with a key that is neither - nor _ nor a secret one, and every proof over the wire passes.
        ([*WANTED[:2], f"--key={PAIR.public_text}"], f"`--key={PAIR.public_text}` instead of `--key=_`"),
        ([*WANTED[:2], f"--key={SECRET}"], "`--key=SECRET` instead of `--key=_`"),
        ([*WANTED[:2], "-k", SECRET], "`-k SECRET` instead of `--key=_`"),
        ([*WANTED[:2], f"--key={SECRET} Environment=X"], "`'--key=SECRET Environment=X'` instead of `--key=_`"),
        ([*WANTED[:2], "--key=_ Environment=X=Y"], "`'--key=_ Environment=X=Y'` instead of `--key=_`"),
        ([*WANTED[:2], "--key="], "`--key=` instead of `--key=_`"),
        ([*WANTED[:2], "--key=a\nb"], "`'--key=a?b'` instead of `--key=_`"),
        ([*WANTED, "--mask=10.0.0.0/8"], "`--mask=10.0.0.0/8` besides"),
        (WANTED[:2], "nothing instead of `--key=_`"),
        ([*WANTED, "--key=_"], "`--key=_` besides"),
        (["/usr/bin/hbbs", *WANTED[1:]], f"`/usr/bin/hbbs --port=21116 --key=_` instead of `{' '.join(WANTED)}`"),
    ],
)
def test_other_arguments_are_told_without_a_secret(command: list[str], said: str, host: Host) -> None:
    host.runs(since=time.monotonic())
    host.commanded(HBBS, *command)
    result = host.looked_at(commands={HBBS: WANTED})
    runs = "runs" if command[0] != PROGRAM else "runs with"
    assert result["units"][HBBS]["command_fault"] == f"{HBBS} {runs} {said}{LOOK}"
    assert result["units"][HBBR]["command_fault"] == ""
    assert SECRET[:20] not in json.dumps(result["units"])


def test_a_long_command_line_is_cut(host: Host) -> None:
    host.runs(since=time.monotonic())
    host.commanded(HBBS, "sh", "-c", "a. " * 5000)
    assert len(host.looked_at(commands={HBBS: WANTED})["units"][HBBS]["command_fault"]) < 600


def test_a_unit_nobody_asks_about_is_not_judged(host: Host) -> None:
    host.runs(since=time.monotonic(), restarts=99)
    host.commanded(HBBS, "/bin/sleep")
    unit = host.looked_at()["units"][HBBS]
    assert (unit["command_fault"], unit["restart_fault"], unit["restarts"]) == ("", "", 99)


@pytest.mark.parametrize(
    ("restarts", "ago", "active", "told"),
    [
        (0, 1, "active", False),
        # A daemon that was killed once has come back, as it is to.
        (2, 1, "active", False),
        (3, 1, "active", True),
        (40, 59, "active", True),
        (40, 61, "active", False),
        (40, 1, "activating", True),
        (40, 1, "inactive", False),
    ],
)
def test_a_unit_that_keeps_ending_is_told(restarts: int, ago: float, active: str, told: bool, host: Host) -> None:
    host.runs(since=time.monotonic() - ago, restarts=restarts, active=active)
    unit = host.looked_at(commands={HBBS: WANTED})["units"][HBBS]
    assert unit["restarts"] == restarts
    assert bool(unit["restart_fault"]) is told
    if told:
        assert unit["restart_fault"] == (
            f"{HBBS} keeps ending: systemd has started it again {restarts} times, the last time {ago:.0f} s ago; "
            "its journal says why"
        )


# --- What hbbs names to clients ---------------------------------------------------------------------------------------

RELAYS = ["a.example.org", "b.example.org:21117"]


@contextlib.contextmanager
def a_console(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A console that gives an answer, or for None closes with a reset; and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = server.accept()[0]
                    with connection:
                        if answer is None:
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        else:
                            asked.append(connection.recv(1024))
                            connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("answer", "unnamed", "stale"),
    [
        (b"", RELAYS, True),
        (b"another.example.org\n", RELAYS, True),
        (b"a.example.org\n", RELAYS[1:], False),
        (b"b.example.org:21117\na.example.org\n", [], False),
        (b"\xff\n", RELAYS, True),
        # No answer says nothing: hbbs may be about to start.
        (None, [], False),
    ],
)
def test_hbbs_that_names_no_relay_is_stale(
    answer: bytes | None, unnamed: list[str], stale: bool, deployed: Host
) -> None:
    a_moment()
    deployed.runs(since=time.monotonic())
    with a_console(answer) as (port, asked):
        result = deployed.looked_at(relays=RELAYS, console_port=port)
        assert asked == ([] if answer is None else [b"rs"])
    assert result["relays_unnamed"] == unnamed
    assert (result["units"][HBBS]["stale"], result["units"][HBBR]["stale"]) == (stale, False)


def test_nobody_is_asked_where_there_is_nothing_to_ask(deployed: Host) -> None:
    a_moment()
    deployed.runs(since=time.monotonic())
    with a_console(b"") as (port, asked):
        assert deployed.looked_at(console_port=port)["relays_unnamed"] == []
        assert deployed.looked_at(relays=RELAYS)["relays_unnamed"] == []
        deployed.runs(since=time.monotonic(), active="inactive")
        assert deployed.looked_at(relays=RELAYS, console_port=port)["relays_unnamed"] == []
        assert asked == []


def test_a_console_that_does_not_answer_is_not_waited_for(deployed: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "CONSOLE_SECONDS", 0.2)
    deployed.runs(since=time.monotonic())
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = deployed.looked_at(relays=RELAYS, console_port=server.getsockname()[1])
    assert result["relays_unnamed"] == []
    assert deployed.looked_at(relays=RELAYS, console_port=1)["relays_unnamed"] == []
    assert time.monotonic() - began < 5


# --- What is in the way -----------------------------------------------------------------------------------------------


def test_a_port_that_another_process_holds_is_told(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = host.looked_at(ports=[f"{port}/tcp", f"{port}/udp"])
        assert result["occupied"] == [
            f"{port}/tcp is taken by {Path('/proc/self/comm').read_text(encoding='utf-8').strip()} (pid {os.getpid()})"
        ]
        assert host.looked_at(ports=[f"{port}/tcp"], bind_address="192.0.2.1")["occupied"] == []


def test_the_own_units_are_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Listener("tcp", "::", 21116, "hbbs", 7, HBBS),
        Listener("tcp", "::", 21117, "hbbr", 8, "other.service"),
        Listener("tcp", "0.0.0.0", 21117, "hbbr", 8, "other.service"),
        Listener("udp", "::", 21116, "hbbs", 9, ""),
    ]
    monkeypatch.setattr(info, "listeners", lambda _ports: found)
    assert info.occupied([], "", [HBBS, HBBR]) == [
        "21116/udp is taken by hbbs (pid 9)",
        "21117/tcp is taken by hbbr (pid 8) of other.service",
    ]


@pytest.mark.parametrize(("name", "fits"), [("archive of the release", True), ("another digest", False)])
def test_an_archive_on_the_host_is_looked_at(name: str, fits: bool, host: Host, archive: Archive) -> None:
    digest = archive.sha256 if fits else "0" * 64
    result = host.looked_at(archive=str(archive.path), architecture="amd64", sha256={"amd64": digest})
    assert name
    assert (result["archive_fault"] == "") is fits


def test_an_archive_for_an_unknown_machine_is_not(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    result = host.looked_at(archive="/no/such/file")
    assert (result["architecture"], result["archive_fault"]) == ("", "")


def test_what_was_there_before_is_told(host: Host) -> None:
    """What a failed deployment may remove is only what it made."""
    assert host.looked_at()["install_dir_exists"] is True
    host.install_dir.rmdir()
    assert host.looked_at()["install_dir_exists"] is False
    host.install_dir.symlink_to("/no/such/directory")
    assert host.looked_at()["install_dir_exists"] is True
    host.install_dir.unlink()
    host.install_dir.touch()
    assert host.looked_at()["install_dir_exists"] is True


def test_a_directory_that_is_a_link_is_told_with_what_it_leads_to(host: Host) -> None:
    assert host.looked_at()["links"] == {"install_dir": "", "state_dir": ""}
    real = host.state_dir.rename(host.root / "real")
    # Links above it are the operator's business.
    (host.root / "way").symlink_to(host.root)
    assert host.looked_at(state_dir=f"{host.root}/way/real")["links"]["state_dir"] == ""
    for target, told in (("real", str(real)), ("/no/such/directory", "/no/such/directory")):
        host.state_dir.symlink_to(target)
        assert host.looked_at(state_dir=f"{host.state_dir}/")["links"]["state_dir"] == told
        host.state_dir.unlink()


def test_missing_parents_are_told(host: Host) -> None:
    assert host.looked_at()["state_dir_parent_exists"] is True
    assert host.looked_at(state_dir=f"{host.root}/missing/")["state_dir_parent_exists"] is True
    assert host.looked_at(state_dir=f"{host.root}/missing/state/")["state_dir_parent_exists"] is False


def test_mount_points_are_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bind mount of the same file system as well, which the device's number does not show."""
    assert host.looked_at()["mounted"] == {"install_dir": False, "state_dir": False}
    table = host.root / "mountinfo"
    table.write_text(
        f"36 35 98:0 / / rw,noatime master:1 - ext4 /dev/root rw\n"
        f"37 36 98:0 /srv {host.state_dir} rw,noatime - ext4 /dev/root rw\n",
        encoding="ascii",
    )
    monkeypatch.setattr(info, "MOUNTS", table)
    assert host.looked_at()["mounted"] == {"install_dir": False, "state_dir": True}
    (host.root / "way").symlink_to(host.root)
    assert host.looked_at(state_dir=f"{host.root}/way/state/")["mounted"]["state_dir"] is True
    monkeypatch.setattr(info, "MOUNTS", host.root / "none")
    assert host.looked_at()["mounted"]["state_dir"] is False


@pytest.mark.parametrize(
    ("names", "foreign"),
    [
        ([], []),
        (["1.1.16", "1.1.11-1", "current", ".staging", "check-key", "lost+found"], []),
        (["bin", "current"], ["bin"]),
        (["1.1.16.bak"], ["1.1.16.bak"]),
        (["a", "b", "c", "d"], ["a", "b", "c"]),
    ],
)
def test_programs_of_somebody_else_are_noticed(names: list[str], foreign: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert info.foreign_programs(tmp_path) == foreign
    assert info.foreign_programs(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("names", "foreign"),
    [
        ([], []),
        (["id_ed25519", "notes.txt"], []),
        (["id_ed25519.previous"], []),
        (["db_v2.sqlite3-wal"], []),
        (["blacklist.txt"], []),
        ([".config"], []),
        ([".env"], []),
        (["lost+found"], []),
        (["lost+found", "id_ed25519", "notes.txt"], []),
        (["lost+found", "base"], ["base"]),
        ([".config", "mail"], ["mail"]),
        ([".env", "customers", "postgres"], ["customers", "postgres"]),
        (["base", "global"], ["base", "global"]),
        (["a", "b", "c", "d"], ["a", "b", "c"]),
        (["id_ed25519x"], ["id_ed25519x"]),
    ],
)
def test_a_state_directory_of_somebody_else_is_noticed(names: list[str], foreign: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert info.foreign_state(tmp_path, None) == foreign
    assert info.foreign_state(tmp_path, os.geteuid() + 1) == foreign
    # In the directory of the service's user lies what the operator put there.
    assert info.foreign_state(tmp_path, os.geteuid()) == []
    assert info.foreign_state(tmp_path / "missing", None) == []


def test_a_list_that_was_emptied_keeps_its_restart_pending(deployed: Host) -> None:
    """A removed one would be forgotten when the run ends before the restart, while hbbr goes on with what it read."""
    a_moment()
    deployed.runs(since=time.monotonic())
    a_moment()
    (deployed.state_dir / "blocklist.txt").write_text("", encoding="ascii")
    result = deployed.looked_at()
    assert result["address_lists"] == []
    assert result["units"][HBBR]["stale"] is True


@pytest.mark.parametrize("name", ["blocklist.txt", "blacklist.txt"])
def test_a_trap_in_place_of_a_list_is_told(name: str, deployed: Host) -> None:
    assert deployed.looked_at()["traps"] == []
    path = deployed.state_dir / name
    traps: list[Callable[[], None]] = [
        lambda: path.symlink_to("/etc/shadow"),
        lambda: path.symlink_to("/no/such/file"),
        lambda: os.mkfifo(path),
        path.mkdir,
    ]
    for trap in traps:
        path.unlink(missing_ok=True)
        trap()
        assert deployed.looked_at()["traps"] == [name]


def test_files_of_another_owner_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state" / "deep").mkdir(parents=True)
    (tmp_path / "state" / "deep" / "file").touch()
    (tmp_path / "state" / "link").symlink_to("/")
    mine = os.geteuid()
    assert info.foreign_owner(tmp_path / "state", mine) is False
    assert info.foreign_owner(tmp_path / "state", mine + 1) is True
    assert info.foreign_owner(tmp_path / "state", None) is True
    assert info.foreign_owner(tmp_path / "missing", None) is False
    lstat = Path.lstat

    def deep(path: Path) -> os.stat_result:
        uid = mine + 1 if path.name == "file" else mine
        return os.stat_result((*lstat(path)[:4], uid, *lstat(path)[5:]))

    monkeypatch.setattr(Path, "lstat", deep)
    assert info.foreign_owner(tmp_path / "state", mine) is True

    def vanishing(path: Path) -> os.stat_result:
        if path.name == "file":
            raise FileNotFoundError(path)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", vanishing)
    assert info.foreign_owner(tmp_path / "state", mine) is False


def test_files_of_the_deployment_are_told_by_their_digest(host: Host, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.touch(mode=0o644)
    link = tmp_path / "link"
    link.symlink_to("/etc/passwd")
    asked = {"/etc/passwd": "0644", str(link): "0644", "/no/such/file": "0644", "/etc": "0755"}
    assert host.looked_at(files=asked)["files"] == dict.fromkeys(asked, "") | {
        "/etc/passwd": hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest()
    }
    assert info.digest_as_wanted(Path("/etc/passwd"), "0600") == ""


def test_a_file_of_somebody_else_is_not_as_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o644)
    lstat = Path.lstat

    def owned(uid: int, gid: int) -> Callable[[Path], os.stat_result]:
        return lambda path: os.stat_result((*lstat(path)[:4], uid, gid, *lstat(path)[6:]))

    for uid, gid, wanted in ((0, 0, True), (1, 0, False), (0, 1, False)):
        monkeypatch.setattr(Path, "lstat", owned(uid, gid))
        assert bool(info.digest_as_wanted(path, "0644")) is wanted
        assert info.digest_as_wanted(path, "0640") == ""


def test_a_state_directory_is_kept_when_it_is_the_services_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    mine = os.geteuid()
    assert info.is_kept(state, mine, GROUP) is False
    state.mkdir(mode=0o700)
    assert info.is_kept(state, mine, GROUP) is True
    assert info.is_kept(state, mine + 1, GROUP) is False
    assert info.is_kept(state, None, GROUP) is False
    assert info.is_kept(state, mine, "no-such-group") is False
    other = next(entry.gr_name for entry in grp.getgrall() if entry.gr_gid != os.getegid())
    assert info.is_kept(state, mine, other) is False
    state.chmod(0o750)
    assert info.is_kept(state, mine, GROUP) is False
    state.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(state)
    assert info.is_kept(link, mine, GROUP) is False


# --- Names, accounts, addresses ---------------------------------------------------------------------------------------


def test_names_that_do_not_resolve_are_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def answer(name: str, *arguments: object) -> object:
        if name == "nowhere.example.org":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1" if name == "relay.example.org" else name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    names = ["relay.example.org", "nowhere.example.org", "a" * 64 + ".example.org", "192.0.2.1"]
    assert host.looked_at(resolve=names)["unresolved"] == names[1:3]


def test_accounts_are_looked_up(host: Host) -> None:
    found = host.looked_at()
    assert (found["user_exists"], found["group_exists"]) == (True, True)
    assert found["user_home"] == pwd.getpwnam(USER).pw_dir
    missing = host.looked_at(user="no-such-user", group="no-such-group")
    assert (missing["user_exists"], missing["user_home"], missing["group_exists"]) == (False, "", False)


@pytest.mark.parametrize(
    ("address", "fault"),
    [("", ""), ("127.0.0.1", ""), ("192.0.2.1", "Cannot assign requested address"), ("nonsense", "Name or service")],
)
def test_an_address_that_is_not_the_hosts_is_told(address: str, fault: str) -> None:
    assert info.bind_fault(address).startswith(fault)
    assert bool(info.bind_fault(address)) is bool(fault)


def test_an_ipv6_address_is_bound_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    families = []

    def refused(family: int, _kind: int) -> socket.socket:
        families.append(family)
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refused)
    assert info.bind_fault("2001:db8::1") == "Address family not supported by protocol"
    assert families == [socket.AF_INET6]


def test_the_own_address_is_the_one_towards_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    class Routed:
        """A socket on a host with IPv6 only."""

        def __init__(self, family: int, kind: int) -> None:
            assert kind == socket.SOCK_DGRAM
            self.family = family

        def __enter__(self) -> Routed:
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def connect(self, _address: tuple[str, int]) -> None:
            if self.family == socket.AF_INET:
                raise OSError(101, "Network is unreachable")

        def getsockname(self) -> tuple[str, int]:
            return ("2001:db8::7", 1)

    with monkeypatch.context() as patches:
        patches.setattr(socket, "socket", Routed)
        assert info.own_address() == "2001:db8::7"

    def none(*_arguments: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", none)
    assert info.own_address() == ""


def test_free_space_is_that_of_the_nearest_directory(tmp_path: Path) -> None:
    missing = info.free_bytes(tmp_path / "a" / "b" / "c")
    assert missing == pytest.approx(info.free_bytes(tmp_path), rel=0.5)
    assert missing > 0


def test_an_env_file_is_noticed(host: Host) -> None:
    (host.state_dir / ".env").touch()
    assert host.looked_at()["env_file"] is True
