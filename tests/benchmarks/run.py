#!/usr/bin/env python3
"""Measure what the roles cost: ``make bench``.

Creates a lab of its own, measures in one run, removes the lab again, also after a failure or an interruption, prints a
table and writes ``.cache/bench.json``. Everything is next to something measured in the same run, since absolute
numbers of a shared machine say little. What is measured, and how, stands in ``server_role.py`` and ``fleet.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fleet
import server_role
from bench import CACHE, ENDINGS, ROOT, BenchError, Commands, alone, lab
from console import Console  # made importable by bench
from server_role import CLIENT, RELAY_SERVER, SERVERS, Spread

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import FrameType

SECONDS = {"converge": 150.0, "probe": 30.0, "relay": 60.0, "fleet": 120.0}
"""What each figure may take, besides what the lab does."""
LAB_SECONDS = 120.0
ENDPOINT_SECONDS = 60.0
"""What each endpoint may add to the fleet's, also where this computer is busy otherwise."""
ENDPOINTS = 50


@dataclass
class Results:
    """All that was measured; a figure that was not asked for is empty."""

    environment: dict[str, Any] = field(default_factory=dict)
    converges: list[server_role.Converge] = field(default_factory=list)
    probe: dict[str, list[float]] = field(default_factory=dict)
    relay: server_role.Relay | None = None
    fleet: list[fleet.Run] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Everything measured and what follows from it. Seconds, milliseconds for the probe, bytes per second."""
        return {
            "environment": self.environment,
            "converges": [asdict(converge) | {"ratio": converge.ratio} for converge in self.converges],
            "probe_ms": {
                name: {"values": values, "spread": asdict(Spread.of(values))} for name, values in self.probe.items()
            },
            "relay": self.relay.as_json() if self.relay else {},
            "fleet": [run.as_json() for run in self.fleet],
        }


def report(results: Results) -> list[str]:
    """The whole table."""
    about = results.environment
    machine = (
        f"{about['processors']} processors, load {about['load_before']:.1f} before and {about['load_after']:.1f} after"
    )
    tables = (
        server_role.converge_table(results.converges) if results.converges else [],
        server_role.probe_table(results.probe) if results.probe else [],
        server_role.relay_table(results.relay) if results.relay else [],
        fleet.fleet_table(results.fleet) if results.fleet else [],
    )
    return [
        about["server"]["sentence"],
        f"{machine}, ansible-core {about['ansible_core']}, Python {about['python']}, engine {about['engine']}.",
        *(line for table in tables if table for line in ("", *table)),
    ]


def describe_environment(commands: Commands, archive: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers depend on."""
    engine = commands.run("ask the engine", ["docker", "version", "--format", "{{ .Server.Version }}"])
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": {name: archive[name] for name in ("kind", "version", "sha256", "sentence")},
        "servers": list(SERVERS),
        "client": CLIENT,
        "relay_limits_mbit": server_role.UNREACHABLE_MBIT,
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


def needed_servers(figures: Collection[str]) -> list[str]:
    """The servers that these figures are measured with."""
    needed = {
        "converge": SERVERS,
        "probe": (RELAY_SERVER,),
        "relay": (RELAY_SERVER,),
        "fleet": (fleet.SERVER,),
    }
    return [server for server in SERVERS if any(server in needed[figure] for figure in figures)]


def seconds_for(figures: Collection[str], endpoints: int) -> float:
    """What the whole run may take, without the removal of the lab."""
    of_endpoints = ENDPOINT_SECONDS * endpoints if "fleet" in figures else 0.0
    return LAB_SECONDS + sum(SECONDS[figure] for figure in figures) + of_endpoints


def measure(commands: Commands, figures: Collection[str], endpoints: int) -> Results:
    """These figures, in a lab that is gone afterwards."""
    archive = chosen_archive(commands)
    commands.console.say(archive["sentence"])
    results = Results(environment=describe_environment(commands, archive))
    servers = needed_servers(figures)
    machines = [*servers, CLIENT, "outside"]
    more = endpoints if "fleet" in figures else 0
    room = fleet.room_for(len(machines) + more) if more else contextlib.nullcontext()
    with room, lab(commands, archive, machines, more):
        if "converge" in figures:
            results.converges = server_role.measure_converges(commands, archive)
        else:
            for server in servers:
                server_role.deploy(commands, archive, server)
        server_role.prepare_client(commands)
        if "probe" in figures:
            results.probe = server_role.measure_probe(commands)
        if "relay" in figures:
            results.relay = server_role.measure_relay(commands)
        # Last, so that its machines disturb no other figure.
        if "fleet" in figures:
            results.fleet = fleet.measure_fleet(commands, archive, endpoints)
        results.environment["load_after"] = os.getloadavg()[0]
    return results


# --- Command line -----------------------------------------------------------------------------------------------------


def endpoints(text: str) -> int:
    """A number of endpoints.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' has to be 1 or more")
    return int(text)


def interrupted(_number: int, _frame: FrameType | None) -> None:
    """Treat a request to end like Ctrl-C."""
    raise KeyboardInterrupt


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure what the roles cost.")
    parser.add_argument(
        "--only", action="append", choices=list(SECONDS), help="measure this figure; may be repeated (default: all)"
    )
    parser.add_argument(
        "--endpoints", type=endpoints, default=ENDPOINTS, help="machines of the fleet (default: %(default)d)"
    )
    parser.add_argument(
        "--output", type=Path, default=CACHE / "bench.json", help="the JSON file (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, write; a fault is told on stderr and is exit status 1, an interruption 130."""
    arguments = parsed()
    figures = arguments.only or list(SECONDS)
    if not Path(sys.executable).with_name("ansible-playbook").exists():
        print("error: this Python has no Ansible beside it: use make bench, or .venv/bin/python", file=sys.stderr)
        return 1
    for number in ENDINGS:
        signal.signal(number, interrupted)
    console = Console()
    start = time.monotonic()
    try:
        with alone(), console.alive():
            commands = Commands(console, seconds_for(set(figures), arguments.endpoints))
            results = measure(commands, figures, arguments.endpoints)
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
