"""What the server role and its hardening cost:

- a converge of ``playbooks/server.yml``, next to as many pings as it executed modules (the floor);
- the proofs, as a client machine sees them;
- relay throughput and round trips through the hardened unit, next to the same program started bare: by the same user
  on the same machine, without a unit around it. Both get limits that they cannot reach, or one would measure those.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench import HERE, ROOT, aligned, container, counted, extra_variables, public_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench import Commands

SERVERS = ("server-deb13", "server-deb12")
RELAY_SERVER = SERVERS[0]
CLIENT = "client-deb12"
PLAYBOOK = ROOT / "playbooks" / "server.yml"

PROBE_RUNS = 20
RELAY_ROUNDS = 10

RELAY_PORT, BARE_PORT = 21117, 31117
SERVICE_USER = "rustdesk-server"
PROGRAM = "/opt/rustdesk-server/current/hbbr"
BARE_PID = "/tmp/bare.pid"
CLIENT_DIRECTORY = "/opt/bench"
UNREACHABLE_MBIT = 1_000_000
"""Bandwidth limit for both relays, in Mbit/s: more than any machine moves."""
LIMIT_VARIABLES = {f"rustdesk_server_bandwidth_{name}_mbit": UNREACHABLE_MBIT for name in ("single", "total", "slowed")}
LIMIT_ENVIRONMENT = {name: str(UNREACHABLE_MBIT) for name in ("SINGLE_BANDWIDTH", "TOTAL_BANDWIDTH", "LIMIT_SPEED")}


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

    def as_json(self) -> dict[str, Any]:
        """The samples and their ratios, in seconds and bytes per second."""
        return asdict(self) | {f"{name}_ratio": asdict(self.ratio(name)) for name in QUANTITIES}


# --- Table ------------------------------------------------------------------------------------------------------------


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
    return [
        *aligned(rows),
        f"One session at a time. hbbr's limits were set to {UNREACHABLE_MBIT} Mbit/s: in the unit by role variables,",
        "for the bare one by its environment.",
    ]


# --- Measuring --------------------------------------------------------------------------------------------------------


def deploy(commands: Commands, archive: Mapping[str, Any], server: str) -> None:
    """Have the service on a server without measuring it."""
    commands.console.say(f"deploying to {server}")
    variables = extra_variables(lab_archive=dict(archive), **LIMIT_VARIABLES)
    commands.playbook(f"deploy to {server}", PLAYBOOK, "--limit", server, *variables)


def measure_converges(commands: Commands, archive: Mapping[str, Any]) -> list[Converge]:
    """Two runs of the playbook on each server, and as many pings as each of them executed modules."""
    found = []
    for host in SERVERS:
        for run in ("first", "second"):
            commands.console.say(f"{run} converge of {host}")
            variables = {"lab_archive": dict(archive), **LIMIT_VARIABLES}
            done = counted(commands, f"{run} converge of {host}", PLAYBOOK, ["--limit", host], variables)
            count = done.counts[host]
            found.append(
                Converge(
                    host, run, done.seconds, count["remote"], count["commands"], count["by_module"], done.floor_seconds
                )
            )
    return found


def prepare_client(commands: Commands) -> None:
    """Put the measuring programs on the client machine, the project's libraries beside them."""
    commands.on(CLIENT, "prepare the client", "mkdir", "-p", CLIENT_DIRECTORY)
    for source in (HERE / "probe_latency.py", HERE / "relay_speed.py", ROOT / "plugins" / "module_utils"):
        commands.run("prepare the client", ["docker", "cp", str(source), f"{container(CLIENT)}:{CLIENT_DIRECTORY}/"])


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
