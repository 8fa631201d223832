"""``make test``: everything CI checks, in the order that uses two cores best, with a table at the end.

While the machines start, linters and unit tests run; then each scenario in turn, undisturbed, as some measure
time. A stage that fails does not keep the others from telling what they know.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from console import ROOT, Console, run
from lint import lint
from machines import CACHE, create, destroy
from results import Counts, pytest_counts
from scenario import run_scenario, scenarios

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_RUN = Counts(failed=1)


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


def pytest_stage(name: str, console: Console) -> tuple[Counts, str]:
    """One suite that needs no machine, shown when it is through."""
    report = CACHE / "results" / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    with console.doing(f"tests/{name}"):
        status, output = run(["pytest", "-q", f"tests/{name}", f"--junitxml={report}"])
    console.write(f"==> tests/{name}\n{output}")
    counts = pytest_counts(report)
    if status and not counts.failed:
        counts += Counts(failed=1)
    return counts, f"{counts.skipped} skipped" if counts.skipped else ""


def machines_stage(console: Console) -> tuple[Counts, str]:
    """New machines, in place of those that are there."""
    up = destroy(console) and create(console)
    return (Counts(passed=1), "") if up else (NOT_RUN, "the machines did not start")


def scenario_stage(name: str, console: Console) -> tuple[Counts, str]:
    """One scenario on the machines."""
    outcome = run_scenario(name, "test", console)
    for fault in outcome.faults:
        console.say(f"{name} failed: {fault}")
    return outcome.counts, "; ".join(outcome.faults)


def run_all(console: Console) -> list[Stage]:
    """Every stage, in the table's order."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        aside = [
            pool.submit(timed, "machines", partial(machines_stage, console)),
            pool.submit(timed, "lint", partial(lint_stage, console)),
            pool.submit(timed, "unit", partial(pytest_stage, "unit", console)),
        ]
        stages = [future.result() for future in aside]
    for name in scenarios():
        if stages[0].failed:
            stages.append(Stage(name, 0.0, NOT_RUN, "not run"))
        else:
            stages.append(timed(name, partial(scenario_stage, name, console)))
    return stages


def table(stages: list[Stage], total: float) -> str:
    """The closing table: what ran, what came of it, how long it took."""
    width = max(len(stage.name) for stage in stages)
    lines = [
        f"{stage.name:<{width}}  {'FAILED' if stage.failed else 'ok':<6}  {stage.seconds:7.1f} s"
        f"  {stage.counts.passed:5d} passed  {stage.counts.failed:3d} failed  {stage.note}".rstrip()
        for stage in stages
    ]
    return "\n".join([*lines, f"{'total':<{width}}  {'':<6}  {total:7.1f} s"])


def main() -> int:
    """Run everything; exit status 1 when anything failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bootstrap-seconds", type=float, default=0.0, help="what went before, for the table")
    before: float = parser.parse_args().bootstrap_seconds
    began = time.monotonic()
    console = Console()
    with console.alive():
        status, said = run(["lab/archive"], console)
        if status:
            return 1
        stages = [Stage("bootstrap", before, Counts(passed=1)), *run_all(console)]
    sentence = json.loads((CACHE / "archive.json").read_text(encoding="utf-8"))["sentence"] if said else ""
    counts = sum((stage.counts for stage in stages), Counts())
    failed = any(stage.failed for stage in stages)
    console.write(f"\n{table(stages, before + time.monotonic() - began)}\n\n{sentence}\n")
    if failed:
        console.write(
            "The machines are left for a look: make scenario NAME=… STEP=verify runs on them, make clean removes all.\n"
        )
    console.write(f"{counts.passed} passed, {counts.failed} failed\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
