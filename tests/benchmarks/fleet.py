"""What the endpoint roles cost on a fleet: ``playbooks/endpoints.yml`` on many machines at once, twice.

The first run configures them, the second finds nothing to do. Next to each is its floor on the same machines: as many
pings as it executed modules there.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench import CACHE, HERE, LAB, ROOT, BenchError, aligned, counted, create, public_key, undisturbed

sys.path.append(str(ROOT / "inventories" / "lab"))

import hosts  # made importable by the line before
import inotify  # by bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench import Commands, Counted

SERVER = "server-deb12"
"""The one that the lab's endpoints are configured for."""
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
GROUP = "rustdesk_endpoints_linux"
PLAYBOOK = ROOT / "playbooks" / "endpoints.yml"
INVENTORY = CACHE / "bench-fleet.json"

BATCH = 10
"""How many endpoints boot side by side: of more, some take longer than a machine is waited for."""


# --- Numbers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run over all endpoints, and as many pings; ``load`` is the computer's after it.

    ``executions`` are those of each endpoint. The rest is about the endpoint with the most: its executions by module,
    and what went there besides modules, which the floor leaves out: commands, such as temporary directories, and files.
    """

    name: str
    seconds: float
    floor_seconds: float
    load: float
    executions: list[int]
    by_module: dict[str, int]
    commands: int
    files: int

    @property
    def ratio(self) -> float:
        """How much longer than the floor it took."""
        return self.seconds / self.floor_seconds

    @property
    def each(self) -> float:
        """Seconds per endpoint."""
        return self.seconds / len(self.executions)

    @property
    def shown_executions(self) -> str:
        """Executions per endpoint; where these differ, the fewest and the most."""
        fewest, most = min(self.executions), max(self.executions)
        return str(most) if fewest == most else f"{fewest} to {most}"

    def as_json(self) -> dict[str, Any]:
        """What was measured, and what follows from it."""
        return asdict(self) | {
            "ratio": self.ratio,
            "seconds_each": self.each,
            "executions_each": statistics.mean(self.executions),
        }


def endpoint_names(count: int) -> list[str]:
    """Names of the endpoints, which sort as they are numbered."""
    return [f"fleet-{number:0{len(str(count))}}" for number in range(1, count + 1)]


def summed_up(name: str, done: Counted, names: Sequence[str], load: float) -> Run:
    """A run of these endpoints.

    Raises:
        BenchError: an endpoint was left out, and the seconds are not those of all of them.
    """
    missing = [host for host in names if not done.counts.get(host, {}).get("remote") or host not in done.changed]
    if missing:
        raise BenchError(f"the {name} run executed nothing on {len(missing)} of {len(names)} endpoints: {missing[0]}")
    counts = [done.counts[host] for host in names]
    most = max(counts, key=lambda count: int(count["remote"]))
    return Run(
        name=name,
        seconds=done.seconds,
        floor_seconds=done.floor_seconds,
        load=load,
        executions=[count["remote"] for count in counts],
        by_module=dict(most["by_module"]),
        commands=most["commands"],
        files=most["files"],
    )


def refuse_changes(changed: Mapping[str, int]) -> None:
    """See that a run is a steady one.

    Raises:
        BenchError: it changed something.
    """
    if moved := sorted(host for host, number in changed.items() if number):
        raise BenchError(
            f"the second run changed {len(moved)} of {len(changed)} endpoints, such as {moved[0]}, so it is no steady "
            "run, and its time says nothing"
        )


# --- Table ------------------------------------------------------------------------------------------------------------


def fleet_table(runs: Sequence[Run]) -> list[str]:
    """Both runs next to their floors, and what the endpoints are."""
    count = len(runs[0].executions)
    head = ["seconds", "per endpoint", "executions each", "commands", "files", "as pings", "ratio", "load"]
    rows = [[f"Fleet, {count} endpoints", *head]]
    rows += [
        [
            f"{run.name} run",
            f"{run.seconds:.1f}",
            f"{run.each:.2f} s",
            run.shown_executions,
            str(run.commands),
            str(run.files),
            f"{run.floor_seconds:.1f} s",
            f"{run.ratio:.2f}",
            f"{run.load:.1f}",
        ]
        for run in runs
    ]
    modules = ", ".join(f"{name} {number}" for name, number in sorted(runs[-1].by_module.items()))
    return [
        *aligned(rows),
        f"Executed on an endpoint by the {runs[-1].name} run: {modules}.",
        f"Endpoints: containers with systemd, in turns {' and '.join(SUITES.values())}, each with one user and the",
        f"stub client running as a service. No firewall is active on them. Each run proves that all reach {SERVER}.",
    ]


# --- Measuring --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def room_for(machines: int, setting: Path = inotify.SETTING) -> Iterator[None]:
    """While the block runs, this computer has inotify instances for so many machines besides the present ones.

    Where they would take more than half of what is allowed, the limit is raised, and put back afterwards unless
    somebody else has changed it meanwhile.

    Raises:
        BenchError: there are too few of them, and this user cannot change that.
    """
    limit, needed = int(setting.read_text(encoding="ascii")), machines * inotify.EACH
    raised = limit + needed if needed > limit // 2 else limit
    if raised > limit:
        try:
            setting.write_text(str(raised), encoding="ascii")
        except OSError:
            if needed > limit:
                raise BenchError(
                    f"{machines} machines take about {needed} inotify instances, and fs.inotify.max_user_instances is "
                    f"{limit}: raise it with sysctl as root, or measure fewer with --endpoints"
                ) from None
    try:
        yield
    finally:
        with undisturbed():
            if raised > limit and int(setting.read_text(encoding="ascii")) == raised:
                setting.write_text(str(limit), encoding="ascii")


def image(suite: str) -> str:
    """The image of an endpoint."""
    return f"rustdesk-lab/endpoint:{suite}"


def build_images(commands: Commands) -> None:
    """Build what the endpoints are started from; does little where nothing has changed."""
    for suite, system in SUITES.items():
        options = ["--quiet", "--network", "none", "--build-arg", f"SUITE={suite}", "--tag", image(suite)]
        file = HERE / "endpoint.Dockerfile"
        command = ["docker", "build", *options, "--file", str(file), str(ROOT / "lab" / "client")]
        commands.run(f"build an endpoint with {system}", command)


def inventory(count: int) -> dict[str, Any]:
    """The endpoints as one more inventory beside the lab's, which has the variables of their group."""
    suites = list(SUITES)
    machines = tuple(
        hosts.Machine(name, GROUP, suites[number % len(suites)]) for number, name in enumerate(endpoint_names(count))
    )
    variables: Any = hosts.inventory(LAB, machines, hosts.uplink_mtu())["_meta"]
    return {
        GROUP: {
            "hosts": {
                machine.name: variables["hostvars"][machine.name] | {"lab_image": image(machine.suite)}
                for machine in machines
            }
        }
    }


def chosen(names: Sequence[str]) -> list[str]:
    """The options that choose these endpoints."""
    return ["--inventory", str(INVENTORY), "--limit", ",".join(names)]


def measure_fleet(commands: Commands, archive: Mapping[str, Any], count: int) -> list[Run]:
    """Create so many endpoints and run the playbook on them twice; the server they are configured for is there.

    Raises:
        BenchError: the second run changed something, or an endpoint was left out.
    """
    say, names = commands.console.say, endpoint_names(count)
    build_images(commands)
    INVENTORY.write_text(json.dumps(inventory(count), indent=2) + "\n", encoding="utf-8")
    for first in range(0, count, BATCH):
        batch = names[first : first + BATCH]
        say(f"creating endpoints up to {batch[-1]}")
        create(commands, chosen(batch), archive)
    # Given here, since the lab's inventory would read it on the server for every endpoint.
    variables = {"rustdesk_key": public_key(commands, SERVER)}
    runs = []
    for name in ("first", "steady"):
        say(f"{name} run of {count} endpoints, and as many pings")
        done = counted(commands, f"{name} run of the endpoints", PLAYBOOK, chosen(names), variables)
        runs.append(summed_up(name, done, names, os.getloadavg()[0]))
    refuse_changes(done.changed)
    return runs
