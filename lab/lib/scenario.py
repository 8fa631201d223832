"""Runs one molecule scenario so that its success means something.

Molecule passes a scenario that had no machines (it finds the shared settings only inside a git work tree), and
one whose verifier found no test. Ansible warns of deprecated features and goes on. Here all three are faults.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from dataclasses import dataclass

from console import ROOT, Console, run
from machines import CACHE, OWNER, destroy, forget_lost_machines, lab_name, molecule_memory
from results import Counts, Play, plays, pytest_counts

SETTINGS = ROOT / ".config" / "molecule" / "config.yml"
STEPS = ("test", "converge", "idempotence", "verify", "check", "side-effect", "syntax")
DEPRECATION = re.compile(r"\[DEPRECATION WARNING\].*")
FIRST_CONVERGING = frozenset({"test", "converge", "idempotence", "check"})
VERIFYING = frozenset({"test", "verify"})


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario: the checks it made, and in a sentence each what makes it a failure."""

    counts: Counts
    faults: tuple[str, ...]


def judge(name: str, step: str, status: int, output: str, played: list[Play], tests: Counts) -> Outcome:
    """Weigh what a run left behind."""
    verified = [play for play in played if play.playbook == "verify"]
    counts = sum((play.total for play in verified), tests)
    faults = []
    if status:
        faults.append(f"molecule ended with status {status}")
    else:
        converged = any(play.playbook == "converge" and play.total.executed for play in played)
        if step in FIRST_CONVERGING and name != OWNER and not converged:
            faults.append("it converged no machine, so nothing was tested: its inventory or its plays' hosts are empty")
        if step in VERIFYING and not counts.executed:
            faults.append("it verified nothing: neither a test nor a task of verify.yml ran on a machine")
    if counts.skipped:
        faults.append(f"{counts.skipped} tests were skipped, and a test that does not run proves nothing")
    faults += [f"deprecated: {warning}" for warning in sorted(set(DEPRECATION.findall(output)))]
    if faults and not counts.failed:
        counts += Counts(failed=1)
    return Outcome(counts, tuple(faults))


def run_scenario(
    name: str, step: str, console: Console, lab: str, extra: tuple[str, ...] = (), *, label: str = ""
) -> Outcome:
    """Run a step of a scenario on a lab's machines that are there, or on new ones; they are left standing.

    ``label`` goes before each line of the output, where several scenarios run side by side.
    """
    forget_lost_machines(lab)
    results = CACHE / "results" / lab / name
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    record, report = results / "plays.jsonl", results / "pytest.xml"
    environment = {
        "RUSTDESK_LAB": lab,
        "MOLECULE_EPHEMERAL_DIRECTORY": str(molecule_memory(lab)),
        "MOLECULE_COMMAND_BORDERS": "false",
        "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT}/plugins/callback:{ROOT}/lab/lib/callback",
        "ANSIBLE_DEPRECATION_WARNINGS": "True",
        "LAB_RECORD": str(record),
        "PYTEST_ADDOPTS": f"--junitxml={report}",
    }
    command = ["molecule", "--base-config", str(SETTINGS), step, "--scenario-name", name]
    if step == "test":
        command += ["--destroy", "never"]
    with console.doing(f"{name} {step}"):
        status, output = run([*command, *extra], console, environment, label=label)
    return judge(name, step, status, output, plays(record), pytest_counts(report))


def scenarios() -> list[str]:
    """The scenarios of the repository, by name."""
    return sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def main() -> int:
    """Command line of ``make scenario``; exit status 1 and a sentence per fault when the scenario failed."""
    parser = argparse.ArgumentParser(description="Run one molecule scenario on the lab's machines, which stay.")
    parser.add_argument("name", choices=scenarios())
    parser.add_argument("--step", choices=STEPS, default="test")
    parser.add_argument("--fresh", action="store_true", help="remove the machines that are there first")
    parser.add_argument("extra", nargs="*", help="after --: arguments for ansible-playbook")
    arguments = parser.parse_args()
    console = Console()
    with console.alive():
        if arguments.fresh and not destroy(console, lab_name()):
            return 1
        extra = ("--", *arguments.extra) if arguments.extra else ()
        outcome = run_scenario(arguments.name, arguments.step, console, lab_name(), extra)
    for fault in outcome.faults:
        console.say(f"{arguments.name} failed: {fault}")
    console.write(f"{outcome.counts.passed} passed, {outcome.counts.failed} failed\n")
    return bool(outcome.faults)


if __name__ == "__main__":
    sys.exit(main())
