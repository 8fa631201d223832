"""``make test``: everything CI checks, in the order that uses two cores best, with a table at the end.

While the machines start, linters and unit tests run. Then the scenarios: half the time one only waits for its machines,
so two run side by side, each in a lab of its own. A stage that fails does not keep the others from telling what they
know.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from console import Console, run
from lint import lint
from machines import CACHE, OWNER, create, destroy, lab_name
from results import Counts, pytest_counts
from scenario import run_scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE_BY_SIDE = ("--numprocesses=2", "--dist=loadfile")
"""Options of pytest's: unit tests on both cores, those of a file one after the other, as they share what is dear."""
NOT_RUN = Counts(failed=1)
LANES = ((OWNER, "rustdesk_server", "rustdesk_firewall"), ("rustdesk_bundle", "rustdesk_client"))
"""Scenarios that share a lab, in their order: what machines are and the server on untouched ones, the rest as long."""


def lab_of(lane: int) -> str:
    """The lab that a lane's scenarios run in."""
    return lab_name() + (str(lane + 1) if lane else "")


@dataclass(frozen=True)
class Stage:
    """A line of the closing table."""

    name: str
    seconds: float
    counts: Counts
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the run is red because of it; a stage that checked nothing is no success."""
        return bool(self.counts.failed) or bool(self.counts.skipped) or not self.counts.passed


def timed(name: str, act: Callable[[], tuple[Counts, str]]) -> Stage:
    """Run a stage and take its time."""
    began = time.monotonic()
    counts, note = act()
    return Stage(name, time.monotonic() - began, counts, note)


def lint_stage(console: Console) -> tuple[Counts, str]:
    """All linters."""
    return lint(console), ""


def unit_stage(console: Console) -> tuple[Counts, str]:
    """The tests that need no machine, shown when they are through."""
    report = CACHE / "results" / "unit.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    with console.doing("unit tests"):
        status, output = run(["pytest", "-q", *SIDE_BY_SIDE, "tests/unit", f"--junitxml={report}"])
    console.write(f"==> unit tests\n{output}")
    counts = pytest_counts(report)
    if status and not counts.failed:
        counts += Counts(failed=1)
    return counts, f"{counts.skipped} skipped" if counts.skipped else ""


def machines_stage(lab: str, console: Console) -> tuple[Counts, str]:
    """New machines, in place of those that are there."""
    up = destroy(console, lab) and create(console, lab)
    return (Counts(passed=1), "") if up else (NOT_RUN, "the machines did not start")


def scenario_stage(name: str, lab: str, console: Console) -> tuple[Counts, str]:
    """One scenario on a lab's machines."""
    outcome = run_scenario(name, "test", console, lab, label=f"{name.removeprefix('rustdesk_')} | ")
    for fault in outcome.faults:
        console.say(f"{name} failed: {fault}")
    return outcome.counts, "; ".join(outcome.faults)


def all_machines(console: Console) -> list[Stage]:
    """The machines of every lane, one lab after the other."""
    return [
        timed(f"machines of {lab}", partial(machines_stage, lab, console)) for lab in map(lab_of, range(len(LANES)))
    ]


def lane_stages(names: tuple[str, ...], lab: str, console: Console, *, up: bool) -> list[Stage]:
    """Scenarios one after the other on the machines of one lab, if those are up."""
    if not up:
        return [Stage(name, 0.0, NOT_RUN, "not run") for name in names]
    return [timed(name, partial(scenario_stage, name, lab, console)) for name in names]


def run_all(console: Console) -> list[Stage]:
    """Every stage, in the table's order."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        machines = pool.submit(all_machines, console)
        aside = [
            pool.submit(timed, "lint", partial(lint_stage, console)),
            pool.submit(timed, "unit", partial(unit_stage, console)),
        ]
        stages = [*(future.result() for future in aside), *machines.result()]
    with ThreadPoolExecutor(max_workers=len(LANES)) as pool:
        lanes = [
            pool.submit(lane_stages, names, lab_of(lane), console, up=not started.failed)
            for lane, (names, started) in enumerate(zip(LANES, machines.result(), strict=True))
        ]
        return [*stages, *(stage for lane in lanes for stage in lane.result())]


def table(stages: list[Stage], total: float) -> str:
    """The closing table: what ran, what came of it, how long it took."""
    width = max(len(stage.name) for stage in stages)
    lines = [
        f"{stage.name:<{width}}  {'FAILED' if stage.failed else 'ok':<6}  {stage.seconds:7.1f} s"
        f"  {stage.counts.passed:5d} passed  {stage.counts.failed:3d} failed  {stage.note}".rstrip()
        for stage in stages
    ]
    return "\n".join([*lines, f"{'total':<{width}}  {'':<6}  {total:7.1f} s"])


def report(stages: list[Stage], seconds: float, archive: str) -> str:
    """What is printed at the end: the table, which server was used, and the sum alone on the last line."""
    counts = sum((stage.counts for stage in stages), Counts())
    labs = " and ".join(map(lab_of, range(len(LANES))))
    look = (
        f"The machines of {labs} are left for a look: RUSTDESK_LAB=… make scenario NAME=… STEP=verify runs on them, "
        "make clean removes all.\n"
    )
    return (
        f"\n{table(stages, seconds)}\n\n{archive}\n{look if any(stage.failed for stage in stages) else ''}"
        f"{counts.passed} passed, {counts.failed} failed\n"
    )


def main() -> int:
    """Run everything; exit status 1 when anything failed, 130 when it was interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bootstrap-seconds", type=float, default=0.0, help="what went before, for the table")
    before: float = parser.parse_args().bootstrap_seconds
    began = time.monotonic()
    console = Console()
    try:
        with console.alive():
            status, said = run(["lab/archive"], console)
            if status:
                return 1
            stages = [Stage("bootstrap", before, Counts(passed=1)), *run_all(console)]
    except KeyboardInterrupt:
        console.say("interrupted")
        return 130
    console.write(report(stages, before + time.monotonic() - began, said.splitlines()[-1]))
    return int(any(stage.failed for stage in stages))


if __name__ == "__main__":
    sys.exit(main())
