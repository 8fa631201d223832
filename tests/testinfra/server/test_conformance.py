"""The deployed and hardened daemons do what hbbs and hbbr do: the conformance suite, run against them."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.plays import ROOT, lab_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

SUITE_SECONDS = 300
STATE = "/var/lib/rustdesk-server"


@dataclass(frozen=True)
class Suite:
    """A run of the suite against a machine, with options; fewer tests than ``fewest`` would prove nothing."""

    server: str
    options: tuple[str, ...] = ()
    fewest: int = 100


SUITES = {
    "server-deb12": Suite("server-deb12"),
    "server-deb13": Suite("server-deb13"),
    "relay-deb13": Suite("relay-deb13", ("--relay-only",), fewest=20),
}
CONSOLES = Suite("server-deb13", ("-m", "console"), fewest=10)


def container(machine: str) -> str:
    return f"rustdesk-{lab_name()}-{machine}"


def from_the_client(suite: Suite, key: str) -> subprocess.CompletedProcess[str]:
    """Run the suite on the client machine, which gives itself the further addresses that some tests need."""
    place = f"/root/suite-for-{suite.server}"
    client = container("client-deb12")
    subprocess.run(["docker", "exec", client, "sh", "-c", f"rm -rf {place} && mkdir {place}"], check=True)
    subprocess.run(["docker", "cp", "-q", f"{ROOT}/tests/conformance", f"{client}:{place}/"], check=True)
    python = ["docker", "exec", client, "python3", "-B"]
    return pytest_run(python, f"{place}/conformance", f"{suite.server}.lab.test", key, suite.options)


def from_here(suite: Suite, key: str, address: str) -> subprocess.CompletedProcess[str]:
    """Run the suite on this computer, which can run programs on the server: its consoles answer to nobody else."""
    consoles = f"--console-exec=docker exec -i {container(suite.server)}"
    return pytest_run([sys.executable], f"{ROOT}/tests/conformance", address, key, (consoles, *suite.options))


def pytest_run(
    python: list[str], suite: str, server: str, key: str, options: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    line = [*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite, f"--server={server}", f"--key={key}"]
    return subprocess.run([*line, *options], capture_output=True, text=True, timeout=SUITE_SECONDS, check=False)


@pytest.fixture(scope="module")
def finished(on: Callable[[str], Host]) -> dict[str, subprocess.CompletedProcess[str]]:
    """All suites, run side by side: they mostly wait for time-outs of the daemons."""
    keys = {
        "server-deb12": on("server-deb12").check_output("cat %s/id_ed25519.pub", STATE),
        "server-deb13": on("server-deb13").check_output("cat %s/id_ed25519.pub", STATE),
    }
    keys["relay-deb13"] = keys["server-deb12"]
    with ThreadPoolExecutor() as pool:
        started = {name: pool.submit(from_the_client, suite, keys[suite.server]) for name, suite in SUITES.items()}
        return {name: future.result() for name, future in started.items()}


@pytest.mark.parametrize("name", SUITES)
def test_conforms(finished: dict[str, subprocess.CompletedProcess[str]], name: str) -> None:
    judge(finished[name], SUITES[name].fewest)


def test_consoles_conform(on: Callable[[str], Host]) -> None:
    server = on(CONSOLES.server)
    key = server.check_output("cat %s/id_ed25519.pub", STATE)
    judge(from_here(CONSOLES, key, server.check_output("hostname -I").split()[0]), CONSOLES.fewest)


def judge(done: subprocess.CompletedProcess[str], fewest: int) -> None:
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) >= fewest, done.stdout
