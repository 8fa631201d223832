"""The packed programs, run as a service manager would run them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACK = Path(__file__).resolve().parents[3] / "lab" / "pack"


def pack(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PACK), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the unpacked archive."""
    directory = tmp_path_factory.mktemp("release")
    assert pack("--output", str(directory / "release.zip")).returncode == 0
    with zipfile.ZipFile(directory / "release.zip") as archive:
        archive.extractall(directory)
    return directory / "amd64"


def free_port() -> int:
    """Find a port P with P - 1 and P + 2 free too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = int(probe.getsockname()[1])
        try:
            for number in (port - 1, port, port + 2):
                with socket.socket() as probe:
                    probe.bind(("", number))
        except OSError:
            continue
        return port


class Daemon:
    """A running program, its output in files."""

    def __init__(self, program: Path, directory: Path, *arguments: str, **env: str) -> None:
        self.log = directory / f"{program.name}.log"
        command = [sys.executable, "-I", str(program), *arguments]
        environment = {"HOME": str(directory), "PATH": os.environ["PATH"], **env}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def wait_for(self, text: str) -> str:
        """Return the log once it holds a text; fail when the program ends before."""
        deadline = time.monotonic() + 10
        while text not in (log := self.log.read_text()):
            assert self.process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.02)
        return log

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(5)


@pytest.fixture
def start(programs: Path, tmp_path: Path) -> Iterator[Any]:
    """Start programs in the test's directory; what still runs at the end is killed."""
    daemons = []

    def run(name: str, *arguments: str, **env: str) -> Daemon:
        daemons.append(Daemon(programs / name, tmp_path, *arguments, **env))
        return daemons[-1]

    yield run
    for daemon in daemons:
        daemon.process.kill()
        daemon.process.wait()


def console(port: int, line: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 3) as connection:
        connection.sendall(line.encode())
        return connection.makefile().read()


# --- the archive -------------------------------------------------------------------------------------------------


def test_the_same_sources_give_the_same_archive(tmp_path: Path) -> None:
    results = [pack("--output", str(tmp_path / name)) for name in ("one.zip", "two.zip")]
    one, two = ((tmp_path / name).read_bytes() for name in ("one.zip", "two.zip"))
    assert one == two
    assert results[0].stdout.split()[0] == results[1].stdout.split()[0]


@pytest.mark.parametrize("arch", ["amd64", "arm64v8", "armv7", "i386"])
def test_the_archive_has_upstreams_layout(tmp_path: Path, arch: str) -> None:
    assert pack("--output", str(tmp_path / "new" / "x.zip"), "--arch", arch).returncode == 0
    with zipfile.ZipFile(tmp_path / "new" / "x.zip") as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
    assert modes == {
        f"{arch}/": "0o40755",
        **{f"{arch}/{name}": "0o100755" for name in ("hbbr", "hbbs", "rustdesk-utils")},
    }


def test_the_programs_start_by_themselves(programs: Path) -> None:
    for name in ("hbbr", "hbbs", "rustdesk-utils"):
        assert (programs / name).read_bytes().startswith(b"#!/usr/bin/python3 -I\nPK")


def test_an_unknown_architecture_and_an_unwritable_file_are_refused(tmp_path: Path) -> None:
    assert pack("--output", str(tmp_path / "x.zip"), "--arch", "mips").returncode == 2
    result = pack("--output", "/proc/x.zip")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("lab/pack: cannot write /proc/x.zip: ")


# --- the daemons -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_both_daemons_cleanly(start: Any, number: int) -> None:
    port = free_port()
    hbbs = start("hbbs", "-p", str(port), HTTPS_PROXY="127.0.0.1:9")
    hbbr = start("hbbr", "-p", str(free_port()), "-k", "key")
    log = hbbs.wait_for(" Start\n")
    assert " INFO [src/keys.py:" in log
    assert "] Key: " in log
    hbbr.wait_for("SINGLE_BANDWIDTH")
    assert console(port - 1, "h\n").startswith("relay-servers(rs)")
    assert [daemon.stop(number) for daemon in (hbbs, hbbr)] == [0, 0]
    assert "] signal " in hbbs.log.read_text()


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["not text", "a directory"])
def test_both_daemons_run_open_when_the_key_is_unreadable(start: Any, tmp_path: Path, content: bytes | None) -> None:
    key = tmp_path / "id_ed25519"
    if content is None:
        key.mkdir()
    else:
        key.write_bytes(content)
    hbbs = start("hbbs", "-p", str(free_port()), HTTPS_PROXY="127.0.0.1:9")
    hbbr = start("hbbr", "-p", str(free_port()), "-k", "_")
    assert "Key: " not in hbbs.wait_for(" Start\n")
    assert "Key: " not in hbbr.wait_for("SINGLE_BANDWIDTH")


@pytest.mark.parametrize("name", ["hbbs", "hbbr"])
def test_a_malformed_key_ends_the_daemon(start: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "id_ed25519").write_text("garbage")
    daemon = start(name, "-p", str(free_port()), "-k", "_", HTTPS_PROXY="127.0.0.1:9")
    assert daemon.process.wait(5) == 1
    assert daemon.log.read_text() == "Fatal error: malformed private key in id_ed25519.\n"


@pytest.mark.parametrize(
    ("name", "arguments", "env", "message"),
    [
        ("hbbs", ["-p", "2"], {}, "Error: Invalid port\n"),
        ("hbbr", ["-p", "x"], {}, "Error: invalid digit found in string\n"),
        ("hbbs", [], {"TEST_HBBS": "localhost:1"}, "Error: invalid socket address syntax\n"),
        ("hbbs", [], {"DB_URL": "/nonexistent/db"}, "unable to open database file\n"),
    ],
)
def test_a_daemon_that_cannot_start_says_why(
    start: Any, name: str, arguments: list[str], env: dict[str, str], message: str
) -> None:
    daemon = start(name, *(arguments or ["-p", str(free_port())]), HTTPS_PROXY="127.0.0.1:9", **env)
    assert daemon.process.wait(5) == 1
    assert daemon.log.read_text().endswith(message)


def test_a_taken_port_ends_the_daemon(start: Any) -> None:
    with socket.create_server(("", 0)) as taken:
        daemon = start("hbbr", "-p", str(taken.getsockname()[1]))
        assert daemon.process.wait(5) == 1
        assert daemon.log.read_text().endswith("Error: Address already in use (os error 98)\n")


def test_the_self_test_ends_hbbs_when_its_port_does_not_answer(start: Any) -> None:
    daemon = start("hbbs", "-p", str(free_port()), TEST_HBBS="255.255.255.255:9", HTTPS_PROXY="127.0.0.1:9")
    assert daemon.process.wait(5) == 1
    assert daemon.log.read_text().endswith(" Start\n"), "upstream ends without a word"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_hbbs_asks_for_a_newer_version_through_the_environments_proxy(start: Any, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(10)
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        daemon = start("hbbs", "-p", str(free_port()), RUST_LOG="debug", **{variable: address})
        connection, _ = proxy.accept()
        with connection:
            assert connection.recv(1000).startswith(b"CONNECT api.rustdesk.com:443 HTTP/1.")
        daemon.wait_for("DEBUG [src/phonehome.py:")
        assert daemon.process.poll() is None
    assert (daemon.log.parent / ".config/rustdesk/RustDesk.toml").stat().st_mode & 0o777 == 0o600


def test_hbbr_asks_nobody(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(1)
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        start("hbbr", "-p", str(free_port()), HTTPS_PROXY=address).wait_for("SINGLE_BANDWIDTH")
        with pytest.raises(TimeoutError):
            proxy.accept()


# --- rustdesk-utils ----------------------------------------------------------------------------------------------


@pytest.fixture
def utils(programs: Path) -> Any:
    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-I", str(programs / "rustdesk-utils"), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        return result.returncode, result.stdout

    return run


def test_a_generated_pair_is_valid(utils: Any) -> None:
    code, output = utils("GenKeyPair")
    public, secret = (line.split(":  ")[1] for line in output.splitlines())
    assert (code, len(public), len(secret)) == (0, 44, 88)
    assert utils("validatekeypair", public, secret) == (0, "Key pair is VALID\n")
    other = utils("genkeypair")[1].splitlines()[0].split(":  ")[1]
    assert utils("validatekeypair", other, secret) == (1, "Key pair is INVALID\n")
    assert utils("validatekeypair", public + "\n", secret) == (1, "Invalid public key\n")
    assert utils("validatekeypair", secret, secret) == (1, "Invalid Public key\n")
    assert utils("validatekeypair", public, public) == (1, "Invalid Secret key\n")
    assert utils("validatekeypair", "*", "*") == (1, "Invalid secret key\n")


@pytest.mark.parametrize("arguments", [[], ["--version"], ["nonsense"]])
def test_help_is_the_answer_to_anything_else(utils: Any, arguments: list[str]) -> None:
    code, output = utils(*arguments)
    assert code == 1
    assert output.startswith("Usage:\n    rustdesk-utils [command]\n")


@pytest.mark.parametrize("command", ["validatekeypair", "doctor"])
def test_a_missing_argument_is_named(utils: Any, command: str) -> None:
    code, output = utils(command)
    assert code == 1
    assert output.startswith("ERROR: You must supply ")


def test_the_doctor_looks_at_the_tcp_ports(utils: Any) -> None:
    code, output = utils("doctor", "127.0.0.1")
    assert code == 0
    assert output.startswith("Checking server:  127.0.0.1\n\n\nChecking IP address: 127.0.0.1\nIs IPV4: true\n")
    assert "\nTCP Port 21117 (hbbr tcp): " in output
