#!/usr/bin/env python3
"""Measure what the server role and its hardening cost: ``make bench``.

Creates a lab of its own, measures in one run, removes the lab again, also after a failure or an interruption, prints a
table and writes ``.cache/bench.json``. Everything is next to something measured in the same run, since absolute
numbers of a shared machine say little:

- a converge of ``playbooks/server.yml``, next to as many pings as it executed modules (the floor);
- the proofs, as a client machine sees them;
- relay throughput and round trips through the hardened unit, next to the same program started bare: by the same user
  on the same machine, without a unit around it. Both get limits that they cannot reach, or one would measure those.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "lab" / "lib"))

from console import Console, tool_environment  # noqa: E402  # made importable by the line before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

HERE = Path(__file__).resolve().parent
CACHE = ROOT / ".cache"
LOG = CACHE / "bench.log"
LAST_LINES = 40
"""How much of what a failed command said is shown: Ansible's reason stands before its recap."""
LAB = "bench"
SERVERS = ("server-deb13", "server-deb12")
RELAY_SERVER = SERVERS[0]
CLIENT = "client-deb12"
MACHINES = (*SERVERS, CLIENT, "outside")

LIMIT_SECONDS = 360.0
"""What the whole run may take, without the removal of the lab."""
REMOVAL_SECONDS = 60.0
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask the bench to end; it removes its lab first."""
PROBE_RUNS = 20
RELAY_ROUNDS = 10

RELAY_PORT, BARE_PORT = 21117, 31117
SERVICE_USER = "rustdesk-server"
PROGRAM = "/opt/rustdesk-server/current/hbbr"
PUBLIC_KEY = "/var/lib/rustdesk-server/id_ed25519.pub"
BARE_PID = "/tmp/bare.pid"
CLIENT_DIRECTORY = "/opt/bench"
UNREACHABLE_MBIT = 1_000_000
"""Bandwidth limit for both relays, in Mbit/s: more than any machine moves."""
LIMIT_VARIABLES = {f"rustdesk_server_bandwidth_{name}_mbit": UNREACHABLE_MBIT for name in ("single", "total", "slowed")}
LIMIT_ENVIRONMENT = {name: str(UNREACHABLE_MBIT) for name in ("SINGLE_BANDWIDTH", "TOTAL_BANDWIDTH", "LIMIT_SPEED")}


class BenchError(Exception):
    """The bench cannot go on; the text is a sentence for the person who started it."""


# --- Numbers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """Where the values of a series lie."""

    median: float
    low: float
    high: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of a series that is not empty; p95 is the smallest value that 95 % do not exceed."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1], ordered[math.ceil(0.95 * len(ordered)) - 1])


@dataclass(frozen=True)
class Converge:
    """One run of the playbook on one server, and as many pings."""

    host: str
    run: str
    seconds: float
    executions: int
    commands: int
    by_module: dict[str, int]
    floor_seconds: float

    @property
    def ratio(self) -> float:
        """How much longer than the floor it took."""
        return self.seconds / self.floor_seconds


@dataclass(frozen=True)
class Sample:
    """One measurement of a relay: bytes per second both ways, seconds of a small message there and back, and the
    relay's processor seconds per gigabyte.
    """

    forward: float
    backward: float
    round_trip: float
    cpu: float

    @property
    def speed(self) -> float:
        """Bytes per second, of both ways together."""
        return 2 / (1 / self.forward + 1 / self.backward)


QUANTITIES = ("speed", "round_trip", "cpu")
"""What is compared of two samples."""


@dataclass(frozen=True)
class Relay:
    """The rounds of both relays, in the order they were measured in."""

    hardened: list[Sample]
    bare: list[Sample]

    def ratio(self, quantity: str) -> Spread:
        """Hardened to bare, round by round, so that what slowed the machine down slowed both."""
        rounds = zip(self.hardened, self.bare, strict=True)
        return Spread.of([getattr(ours, quantity) / getattr(theirs, quantity) for ours, theirs in rounds])


@dataclass
class Results:
    """All that was measured."""

    environment: dict[str, Any] = field(default_factory=dict)
    converges: list[Converge] = field(default_factory=list)
    probe: dict[str, list[float]] = field(default_factory=dict)
    relay: Relay = field(default_factory=lambda: Relay([], []))

    def as_json(self) -> dict[str, Any]:
        """Everything measured and what follows from it. Seconds, milliseconds for the probe, bytes per second."""
        return {
            "environment": self.environment,
            "converges": [asdict(converge) | {"ratio": converge.ratio} for converge in self.converges],
            "probe_ms": {
                name: {"values": values, "spread": asdict(Spread.of(values))} for name, values in self.probe.items()
            },
            "relay": asdict(self.relay)
            | {f"{name}_ratio": asdict(self.relay.ratio(name)) for name in QUANTITIES if self.relay.bare},
        }


# --- Table ------------------------------------------------------------------------------------------------------------


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


def converge_table(converges: Sequence[Converge]) -> list[str]:
    """Converge times next to their floors."""
    rows = [["Converge", "seconds", "executions", "as pings", "ratio"]]
    rows += [
        [f"{c.host}, {c.run}", f"{c.seconds:.1f}", str(c.executions), f"{c.floor_seconds:.1f} s", f"{c.ratio:.2f}"]
        for c in converges
    ]
    return aligned(rows)


def probe_table(probe: Mapping[str, Sequence[float]]) -> list[str]:
    """Latency of the proofs."""
    rows = [[f"Probe, {max(map(len, probe.values()))} times", "median", "p95"]]
    for name, values in probe.items():
        spread = Spread.of(values)
        rows.append([name, f"{spread.median:.1f} ms", f"{spread.p95:.1f} ms"])
    return aligned(rows)


def relay_table(relay: Relay) -> list[str]:
    """Throughput, round trip and processor time of both relays, and the ratios."""

    def row(name: str, samples: Sequence[Sample]) -> list[str]:
        speed, trip, cpu = (Spread.of([getattr(sample, quantity) for sample in samples]) for quantity in QUANTITIES)
        return [
            name,
            f"{speed.median / 1e6:.0f} ({speed.low / 1e6:.0f} to {speed.high / 1e6:.0f}) MB/s",
            f"{trip.median * 1e6:.0f} ({trip.low * 1e6:.0f} to {trip.high * 1e6:.0f}) µs",
            f"{cpu.median:.2f} ({cpu.low:.2f} to {cpu.high:.2f}) s/GB",
        ]

    ratios = [relay.ratio(quantity) for quantity in QUANTITIES]
    rows = [[f"Relay, {len(relay.bare)} times", "throughput", "round trip", "processor time"]]
    rows += [row("hardened unit", relay.hardened), row("bare", relay.bare)]
    rows += [["hardened : bare", *(f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" for ratio in ratios)]]
    return aligned(rows)


def report(results: Results) -> list[str]:
    """The whole table."""
    about = results.environment
    machine = (
        f"{about['processors']} processors, load {about['load_before']:.1f} before and {about['load_after']:.1f} after"
    )
    return [
        about["server"]["sentence"],
        f"{machine}, ansible-core {about['ansible_core']}, Python {about['python']}, engine {about['engine']}.",
        "",
        *converge_table(results.converges),
        "",
        *probe_table(results.probe),
        "",
        *relay_table(results.relay),
        f"One session at a time. hbbr's limits were set to {UNREACHABLE_MBIT} Mbit/s: in the unit by role variables,",
        "for the bare one by its environment.",
    ]


# --- Running things ---------------------------------------------------------------------------------------------------


def container(host: str) -> str:
    """The name of a machine's container."""
    return f"rustdesk-{LAB}-{host}"


class Commands:
    """Runs commands within what is left of the time, and leaves none behind."""

    def __init__(self, console: Console, limit: float = LIMIT_SECONDS) -> None:
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
            last = "\n".join(text.splitlines()[-LAST_LINES:])
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
    ) -> float:
        """The seconds a playbook took."""
        command = ["ansible-playbook", "--inventory", str(ROOT / "inventories" / "lab"), str(playbook), *options]
        settings = {"RUSTDESK_LAB": LAB, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **(environment or {})}
        start = time.perf_counter()
        self.run(name, command, settings, limit)
        return time.perf_counter() - start


def end(process: subprocess.Popen[str]) -> None:
    """End a process that still runs, and what it started; Ansible is given a moment to end its own."""
    if process.poll() is not None:
        return
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5.0)


# --- Measuring --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lab(commands: Commands, archive: Mapping[str, Any]) -> Iterator[None]:
    """The machines while the block runs. Nothing interrupts their removal.

    Raises:
        BenchError: they cannot be made.
    """
    molecule = ROOT / "molecule" / "default"

    def remove(name: str) -> None:
        commands.playbook(name, molecule / "destroy.yml", limit=REMOVAL_SECONDS)

    remove("remove what an earlier bench left")
    try:
        commands.console.say(f"creating the machines of lab {LAB}")
        options = ["--limit", ",".join(MACHINES), *extra_variables(lab_archive=dict(archive))]
        commands.playbook("create the machines", molecule / "create.yml", *options)
        yield
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDINGS}
        try:
            commands.console.say(f"removing lab {LAB}")
            remove("remove the machines")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def extra_variables(**variables: Any) -> list[str]:
    """The options that give Ansible these variables."""
    return ["--extra-vars", json.dumps(variables)]


def measure_converges(commands: Commands, archive: Mapping[str, Any]) -> list[Converge]:
    """Two runs of the playbook on each server, and as many pings as each of them executed modules."""
    counted = CACHE / "bench-executions.json"
    found = []
    for host in SERVERS:
        for run in ("first", "second"):
            commands.console.say(f"{run} converge of {host}")
            seconds = commands.playbook(
                f"{run} converge of {host}",
                ROOT / "playbooks" / "server.yml",
                *("--limit", host, *extra_variables(lab_archive=dict(archive), **LIMIT_VARIABLES)),
                environment={"COUNT_EXECUTIONS_FILE": str(counted)},
            )
            count = json.loads(counted.read_text(encoding="utf-8"))[host]
            counted.unlink()
            floor = commands.playbook(
                f"{count['remote']} pings of {host}",
                HERE / "floor.yml",
                *("--limit", host, *extra_variables(bench_executions=count["remote"])),
            )
            found.append(Converge(host, run, seconds, count["remote"], count["commands"], count["by_module"], floor))
    return found


def prepare_client(commands: Commands) -> None:
    """Put the measuring programs on the client machine, the project's libraries beside them."""
    commands.on(CLIENT, "prepare the client", "mkdir", "-p", CLIENT_DIRECTORY)
    for source in (HERE / "probe_latency.py", HERE / "relay_speed.py", ROOT / "plugins" / "module_utils"):
        commands.run("prepare the client", ["docker", "cp", str(source), f"{container(CLIENT)}:{CLIENT_DIRECTORY}/"])


def public_key(commands: Commands, host: str) -> str:
    """The key that the server's clients need."""
    return commands.on(host, "read the public key", "cat", PUBLIC_KEY).strip()


def measure_probe(commands: Commands) -> dict[str, list[float]]:
    """Milliseconds of each proof and of all of them, of every run."""
    commands.console.say(f"{PROBE_RUNS} probes of {RELAY_SERVER} from {CLIENT}")
    program = ["python3", f"{CLIENT_DIRECTORY}/probe_latency.py", f"{RELAY_SERVER}.lab.test"]
    key = public_key(commands, RELAY_SERVER)
    found: dict[str, list[float]] = json.loads(commands.on(CLIENT, "probe", *program, key, "--count", str(PROBE_RUNS)))
    return found


def start_bare(commands: Commands) -> None:
    """Start the deployed program once more, without a unit, and wait until it listens."""
    environment = [f"--env={name}={value}" for name, value in {**LIMIT_ENVIRONMENT, "RUST_LOG": "info"}.items()]
    daemon = [PROGRAM, f"--port={BARE_PORT}", f"--key={public_key(commands, RELAY_SERVER)}"]
    shell = ["sh", "-c", f'echo $$ >{BARE_PID}; exec "$@"', "sh", *daemon]
    place = ["--detach", f"--user={SERVICE_USER}", "--workdir=/tmp", *environment, container(RELAY_SERVER)]
    commands.run("start the bare relay", ["docker", "exec", *place, *shell])
    listens = f"until ss -Hltn 'sport = :{BARE_PORT}' | grep -q .; do sleep 0.1; done"
    commands.on(RELAY_SERVER, "wait for the bare relay", "timeout", "10", "sh", "-c", listens)


def processor_seconds(commands: Commands, pid: int) -> float:
    """Processor time a process of the server has used, its system calls included."""
    text = commands.on(RELAY_SERVER, "read the processor time", "cat", f"/proc/{pid}/stat")
    # proc_pid_stat(5): fields 14 and 15; the second one is a name in parentheses.
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_sample(commands: Commands, port: int, pid: int, key: str) -> Sample:
    """One session through the relay on this port."""
    before = processor_seconds(commands, pid)
    program = ["python3", f"{CLIENT_DIRECTORY}/relay_speed.py", f"{RELAY_SERVER}.lab.test", str(port), key]
    found = json.loads(commands.on(CLIENT, "measure a relayed session", *program))
    used = processor_seconds(commands, pid) - before
    return Sample(found["forward"], found["backward"], found["round_trip"], used / (found["moved"] / 1e9))


def measure_relay(commands: Commands, rounds: int = RELAY_ROUNDS) -> Relay:
    """Both relays in turns; who begins a round alternates, so that being second is nobody's advantage."""
    start_bare(commands)
    key = public_key(commands, RELAY_SERVER)
    unit = ["systemctl", "show", "--property=MainPID", "--value", "rustdesk-hbbr.service"]
    relays = {
        "hardened": (RELAY_PORT, int(commands.on(RELAY_SERVER, "find the hardened relay", *unit))),
        "bare": (BARE_PORT, int(commands.on(RELAY_SERVER, "find the bare relay", "cat", BARE_PID))),
    }
    found: dict[str, list[Sample]] = {name: [] for name in relays}
    for number in range(rounds):
        commands.console.say(f"relay, round {number + 1} of {rounds}")
        for name in sorted(relays, reverse=number % 2 == 0):
            found[name].append(measure_sample(commands, *relays[name], key))
    return Relay(found["hardened"], found["bare"])


def describe_environment(commands: Commands, archive: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers depend on."""
    engine = commands.run("ask the engine", ["docker", "version", "--format", "{{ .Server.Version }}"])
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": {name: archive[name] for name in ("kind", "version", "sha256", "sentence")},
        "servers": list(SERVERS),
        "client": CLIENT,
        "relay_limits_mbit": UNREACHABLE_MBIT,
        "processors": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "kernel": platform.release(),
        "engine": engine.strip(),
        "python": platform.python_version(),
        "ansible_core": version("ansible-core"),
    }


def chosen_archive(commands: Commands) -> dict[str, Any]:
    """The release the lab would run, kept for the whole bench.

    Raises:
        BenchError: there is none.
    """
    commands.run("choose the archive", [str(ROOT / "lab" / "archive")])
    chosen: dict[str, Any] = json.loads((CACHE / "archive.json").read_text(encoding="utf-8"))
    return chosen


def measure(commands: Commands) -> Results:
    """The whole bench, in a lab that is gone afterwards."""
    archive = chosen_archive(commands)
    commands.console.say(archive["sentence"])
    results = Results(environment=describe_environment(commands, archive))
    with lab(commands, archive):
        results.converges = measure_converges(commands, archive)
        prepare_client(commands)
        results.probe = measure_probe(commands)
        results.relay = measure_relay(commands)
        results.environment["load_after"] = os.getloadavg()[0]
    return results


# --- Command line -----------------------------------------------------------------------------------------------------


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


def interrupted(_number: int, _frame: FrameType | None) -> None:
    """Treat a request to end like Ctrl-C."""
    raise KeyboardInterrupt


def main() -> int:
    """Measure, print, write; a fault is told on stderr and is exit status 1, an interruption 130."""
    parser = argparse.ArgumentParser(description="Measure what the server role and its hardening cost.")
    parser.add_argument(
        "--output", type=Path, default=CACHE / "bench.json", help="the JSON file (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if not Path(sys.executable).with_name("ansible-playbook").exists():
        print("error: this Python has no Ansible beside it: use make bench, or .venv/bin/python", file=sys.stderr)
        return 1
    for number in ENDINGS:
        signal.signal(number, interrupted)
    console = Console()
    start = time.monotonic()
    try:
        with alone(), console.alive():
            results = measure(Commands(console))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; the lab was removed", file=sys.stderr)
        return 130
    arguments.output.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
    console.write("\n" + "\n".join(report(results)) + "\n\n")
    console.say(f"done in {time.monotonic() - start:.0f} s; all values are in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
