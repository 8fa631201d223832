"""What every figure needs: commands that end in time, a lab that is removed, and runs next to their floor."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "lab" / "lib"))

from console import Console, tool_environment  # noqa: E402  # made importable by the line before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).resolve().parent
CACHE = ROOT / ".cache"
LOG = CACHE / "bench.log"
LAST_LINES = 40
"""How much of what a failed command said is shown."""
LAB = "bench"
PUBLIC_KEY = "/var/lib/rustdesk-server/id_ed25519.pub"
INVENTORY = ROOT / "inventories" / "lab"
CREATION = ROOT / "molecule" / "default"

REMOVAL_SECONDS = 60.0
REMOVAL_SECONDS_EACH = 2.0
"""What the removal may take besides, for each machine."""
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask the bench to end; it removes its lab first."""

RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=\d+\s+changed=(?P<changed>\d+)", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class BenchError(Exception):
    """The bench cannot go on; the text is a sentence for the person who started it."""


@dataclass(frozen=True)
class Played:
    """A playbook's seconds, and how many tasks changed something, by host."""

    seconds: float
    changed: dict[str, int]


@dataclass(frozen=True)
class Counted:
    """A playbook next to its floor: as many pings on each host as it executed modules there.

    ``counts`` is what the callback plugin count_executions has counted, by host.
    """

    seconds: float
    floor_seconds: float
    changed: dict[str, int]
    counts: dict[str, dict[str, Any]]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


# --- Running things ---------------------------------------------------------------------------------------------------


def container(host: str) -> str:
    """The name of a machine's container."""
    return f"rustdesk-{LAB}-{host}"


class Commands:
    """Runs commands within what is left of the time, and leaves none behind."""

    def __init__(self, console: Console, limit: float) -> None:
        """Start the clock: ``limit`` seconds for all commands together."""
        self.console = console
        self._deadline = time.monotonic() + limit

    def run(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> str:
        """What the command printed. ``name`` says what it does; ``limit`` in seconds replaces what is left.

        Raises:
            BenchError: it failed, or time is up.
        """
        process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env=tool_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # An interruption reaches this program alone, which then ends its command and removes the lab.
            start_new_session=True,
        )
        with process, self.console.doing(name):
            try:
                left = max(self._deadline - time.monotonic(), 0.0) if limit is None else limit
                output, errors = process.communicate(timeout=left)
            except subprocess.TimeoutExpired:
                raise BenchError(
                    f"{name}: not done in the time that was left; is this machine busy otherwise?"
                ) from None
            finally:
                end(process)
        if process.returncode:
            text = (output + errors).strip()
            LOG.write_text(text + "\n", encoding="utf-8")
            # Ansible's reason stands before its recap, which has a line for each host.
            last = "\n".join(text.partition("PLAY RECAP")[0].strip().splitlines()[-LAST_LINES:])
            program = Path(command[0]).name
            raise BenchError(
                f"{name}: {program} ended with status {process.returncode}; all it said is in {LOG}:\n{last}"
            )
        return output

    def on(self, host: str, name: str, *command: str) -> str:
        """What a command printed on a machine of the lab."""
        return self.run(name, ["docker", "exec", container(host), *command])

    def playbook(
        self,
        name: str,
        playbook: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> Played:
        """How long a playbook took, and what it changed."""
        command = ["ansible-playbook", "--inventory", str(INVENTORY), str(playbook), *options]
        settings = {"RUSTDESK_LAB": LAB, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **(environment or {})}
        start = time.perf_counter()
        output = self.run(name, command, settings, limit)
        return Played(time.perf_counter() - start, changes(output))


def changes(output: str) -> dict[str, int]:
    """How many tasks changed something, by host, as the recap of a playbook tells."""
    return {found["host"]: int(found["changed"]) for found in RECAP.finditer(COLOURS.sub("", output))}


def end(process: subprocess.Popen[str]) -> None:
    """End a process that still runs, and what it started; Ansible is given a moment to end its own."""
    if process.poll() is not None:
        return
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5.0)


def extra_variables(**variables: Any) -> list[str]:
    """The options that give Ansible these variables."""
    return ["--extra-vars", json.dumps(variables)]


def counted(
    commands: Commands, name: str, playbook: Path, where: Sequence[str], variables: Mapping[str, Any]
) -> Counted:
    """Run a playbook, and right after it the floor on the same hosts.

    ``where`` are the options that choose the hosts; only the playbook gets the variables.
    """
    file = CACHE / "bench-executions.json"
    file.unlink(missing_ok=True)
    played = commands.playbook(
        name, playbook, *where, *extra_variables(**variables), environment={"COUNT_EXECUTIONS_FILE": str(file)}
    )
    counts: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    commands.console.say(f"{name}: {played.seconds:.1f} s")
    pings = {host: count["remote"] for host, count in counts.items()}
    floor = commands.playbook(
        f"{name}: as many pings", HERE / "floor.yml", *where, *extra_variables(bench_executions=pings)
    )
    commands.console.say(f"{name}: {floor.seconds:.1f} s as pings")
    return Counted(played.seconds, floor.seconds, played.changed, counts)


# --- The lab ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """While the block runs, requests to end are ignored."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def lab(commands: Commands, archive: Mapping[str, Any], machines: Sequence[str], more: int = 0) -> Iterator[None]:
    """These machines while the block runs. Nothing interrupts their removal.

    ``more`` is how many machines the block may create besides.

    Raises:
        BenchError: they cannot be made.
    """

    def remove(name: str) -> None:
        limit = REMOVAL_SECONDS + REMOVAL_SECONDS_EACH * more
        commands.playbook(name, CREATION / "destroy.yml", limit=limit)

    remove("remove what an earlier bench left")
    try:
        commands.console.say(f"creating the machines of lab {LAB}")
        create(commands, ["--limit", ",".join(machines)], archive)
        yield
    finally:
        with undisturbed():
            commands.console.say(f"removing lab {LAB}")
            remove("remove the machines")


def create(commands: Commands, where: Sequence[str], archive: Mapping[str, Any]) -> None:
    """Start machines, in the lab that removes them; ``where`` are the options that choose them."""
    commands.playbook(
        "create the machines", CREATION / "create.yml", *where, *extra_variables(lab_archive=dict(archive))
    )


def public_key(commands: Commands, host: str) -> str:
    """The key that a server's clients need."""
    return commands.on(host, "read the public key", "cat", PUBLIC_KEY).strip()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep a second bench away while the block runs.

    Raises:
        BenchError: one is running already.
    """
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError("another bench is running, and two would measure each other: wait for its end") from None
        yield
