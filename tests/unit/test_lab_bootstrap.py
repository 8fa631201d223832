"""lab/bootstrap on machines that lack something, made of stand-ins for the programs it calls."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
# Tests run as root too, in CI's container; what is tested here is not to be root.
UNPRIVILEGED = 65534 if os.geteuid() == 0 else None
TOOLS = ["awk", "cat", "chmod", "cp", "cut", "date", "dirname", "env", "find", "grep", "id", "mkdir", "mktemp", "mv"]
TOOLS += ["gpg", "minisign", "python3", "rm", "sed", "sh", "sha256sum", "sleep", "sort", "ssh", "stat", "tail", "tr"]
ENGINE_RUNS = "exit 0"
ENGINE_DOWN = "exit 1"


class Machine:
    """A checkout on a machine that has these programs and no others, used by somebody who is not root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool, path="/usr/bin:/bin")
            assert found, tool
            (self.bin / tool).symlink_to(found)
        shutil.copytree(ROOT / "lab", root / "checkout" / "lab", ignore=shutil.ignore_patterns("__pycache__", "server"))
        shutil.copy(ROOT / "requirements.lock", root / "checkout")
        self.checkout = root / "checkout"

    def program(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, command: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "DOCKER_SOCKET": str(self.root / "docker.sock"), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            user=UNPRIVILEGED,
            group=UNPRIVILEGED,
        )
        return done.returncode, done.stdout

    def bootstrap(self, **environment: str) -> tuple[int, str]:
        return self.run("lab/bootstrap", **environment)

    def own(self) -> None:
        if UNPRIVILEGED:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        made = Machine(Path(directory))
        made.own()
        yield made


def inputs_hash(machine: Machine, suite: str) -> str:
    return machine.run(f". lab/lib/images.sh; inputs_hash {suite}")[1].strip()


def stamp(machine: Machine) -> None:
    """Pretend that the venv is current."""
    machine.run(
        "mkdir -p .venv/bin && cp /bin/sh .venv/bin/python"
        " && . lab/lib/venv.sh && venv_stamp .venv requirements.lock >.venv/stamp"
    )


def images(machine: Machine, *suites: str) -> None:
    """Pretend that the engine runs and has these images."""
    hashes = {suite: inputs_hash(machine, suite) for suite in suites}
    own = {suite: f"rustdesk-lab/{suite}:trixie" for suite in ("browser", "windows")}
    tags = {suite: f"rustdesk-lab/host:{suite}" for suite in suites} | own
    lines = "\n".join(f"echo {hashes[suite]} {tags[suite]}" for suite in suites)
    machine.program("docker", f'echo "$@" >>{machine.root}/docker.log\n[ "$1" = image ] || exit 0\n{lines}')


def test_missing_packages_need_root(machine: Machine) -> None:
    machine.program("apt-get", "exit 0")
    packages = "docker.io iptables iproute2 ca-certificates mmdebstrap debian-archive-keyring"
    remedy = "run 'sudo lab/bootstrap' once, then go on as you are."
    assert machine.bootstrap() == (1, f"error: installing {packages} needs root: {remedy}\n")


def test_old_python_is_replaced(machine: Machine) -> None:
    machine.program("apt-get", "exit 0")
    machine.program("docker", ENGINE_RUNS)
    machine.program("python3", "exit 1")
    status, said = machine.run("sed -i 's# /usr/bin/python3;#;#' lab/lib/venv.sh && lab/bootstrap")
    assert status == 1
    assert said.startswith("error: installing python3 python3-venv needs root:")


def test_another_system_is_told_what_is_missing(machine: Machine) -> None:
    status, said = machine.bootstrap()
    assert status == 1
    assert "this system has no apt-get: install the equivalents with its package manager" in said
    assert len(said.splitlines()) == 1


def test_engine_that_refuses_names_the_group(machine: Machine) -> None:
    machine.program("docker", ENGINE_DOWN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(machine.root / "docker.sock"))
        (machine.root / "docker.sock").chmod(0)
        status, said = machine.bootstrap()
    assert status == 1
    assert said.startswith("error: no access to the container engine: join its group (sudo usermod -aG docker ")
    assert len(said.splitlines()) == 1


def test_engine_that_is_down_needs_root(machine: Machine) -> None:
    machine.program("docker", ENGINE_DOWN)
    machine.program("dockerd", "exit 1")
    status, said = machine.bootstrap()
    assert status == 1
    assert said.startswith(
        "error: the container engine does not run, and starting it needs root: run 'sudo lab/bootstrap'"
    )


def test_ready_machine_is_left_alone_and_nothing_is_said(machine: Machine) -> None:
    stamp(machine)
    images(machine, "bookworm", "trixie", "noble", "windows", "browser")
    assert machine.bootstrap() == (0, "")
    assert (machine.checkout / ".cache" / "lab-suites").read_text() == "bookworm\nbrowser\nnoble\ntrixie\nwindows\n"
    calls = (machine.root / "docker.log").read_text().splitlines()
    assert {call.split()[0] for call in calls} == {"version", "image"}


def test_ubuntu_is_left_out_when_its_archive_does_not_answer(machine: Machine) -> None:
    stamp(machine)
    images(machine, "bookworm", "trixie", "windows", "browser")
    nowhere = "http://127.0.0.1:9/ubuntu"
    assert machine.bootstrap(UBUNTU_MIRROR=nowhere) == (
        0,
        "==> Ubuntu 24.04 is left out: its archive does not answer\n",
    )
    assert (machine.checkout / ".cache" / "lab-suites").read_text() == "bookworm\nbrowser\ntrixie\nwindows\n"
    assert machine.bootstrap(UBUNTU_MIRROR=nowhere) == (0, ""), "a refusal is remembered for a day"


def test_windows_is_left_out_on_another_processor(machine: Machine) -> None:
    stamp(machine)
    images(machine, "bookworm", "trixie", "noble", "browser")
    machine.program("docker", (machine.bin / "docker").read_text().replace("|| exit 0", "|| { echo arm64; exit 0; }"))
    said = "==> the Windows machine is left out: it needs an amd64 processor\n"
    assert machine.bootstrap() == (0, said)
    assert (machine.checkout / ".cache" / "lab-suites").read_text() == "bookworm\nbrowser\nnoble\ntrixie\n"


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ("lab/images/host/container-init", "windows\nbrowser\n"),
        ("lab/images/windows/gate", "bookworm\ntrixie\nbrowser\n"),
        ("lab/windows/windows_lab/powershell.py", "bookworm\ntrixie\nbrowser\n"),
        ("lab/images/browser/Dockerfile", "bookworm\ntrixie\nwindows\n"),
        ("lab/windows/README.md", "bookworm\ntrixie\nwindows\nbrowser\n"),
    ],
)
def test_image_is_built_anew_when_its_inputs_change(machine: Machine, changed: str, left: str) -> None:
    images(machine, "bookworm", "trixie", "windows", "browser")
    ask = "lab() { . lab/lib/images.sh; current bookworm trixie windows browser; }; lab"
    assert machine.run(ask) == (0, "bookworm\ntrixie\nwindows\nbrowser\n")
    with (machine.checkout / changed).open("a") as file:
        file.write("# changed\n")
    assert machine.run(ask) == (0, left)


def test_venv_is_made_anew_in_another_place(machine: Machine) -> None:
    ask = ". lab/lib/venv.sh; venv_current .venv requirements.lock"
    stamp(machine)
    assert machine.run(ask)[0] == 0
    machine.checkout = machine.checkout.rename(machine.root / "moved")
    assert machine.run(ask)[0] == 1


def test_venv_is_made_anew_for_another_lock(machine: Machine) -> None:
    stamp(machine)
    with (machine.checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert machine.run(". lab/lib/venv.sh; venv_current .venv requirements.lock")[0] == 1


def test_hiccup_is_retried_and_bounded(machine: Machine) -> None:
    machine.program("sleep", "exit 0")
    status, said = machine.run(". lab/lib/console.sh; attempt() { echo tried; return 1; }; retry 3 attempt")
    assert status == 1
    assert said.splitlines().count("tried") == 3


def test_failed_job_shows_its_last_lines(machine: Machine) -> None:
    program = ". lab/lib/console.sh; act() { echo the reason; false; }; job tools act; await || die 'not ready.'"
    status, said = machine.run(f"set -eu; {program}")
    assert status == 1
    assert said == "error: tools failed; its last lines:\n    the reason\nerror: not ready.\n"


def test_long_silence_is_broken(machine: Machine) -> None:
    program = ". lab/lib/console.sh; watch; act() { sleep 4; }; job tools act; await"
    status, said = machine.run(program, LAB_SILENCE="1")
    assert status == 0
    assert said.startswith("==> still working after ")
    assert said.splitlines()[0].endswith(" s: tools")
