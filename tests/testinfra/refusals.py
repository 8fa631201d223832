"""What cannot work: tried with a role, to be told by its variable's name and the way out, and nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.testinfra.plays import play

if TYPE_CHECKING:
    from testinfra.host import Host

ACCEPTED = "it was accepted"

Surroundings = Callable[["Host"], AbstractContextManager[None]]
Variables = Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]


def _untouched(_host: Host) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Case:
    """What the message has to say to variables, or to surroundings, that cannot work.

    Variables stand without the prefix of their role. Those that need files are made by a function of a directory.
    """

    says: tuple[str, ...]
    variables: Variables = field(default_factory=dict)
    surroundings: Surroundings = _untouched

    def named(self, role: str, directory: Path) -> dict[str, Any]:
        """The variables by their whole names."""
        variables = self.variables(directory) if callable(self.variables) else self.variables
        return {f"{role}_{name}": value for name, value in variables.items()}

    def unsaid(self, message: str) -> list[str]:
        """What a message lacks."""
        return [part for part in self.says if part not in message]


def undisturbed(cases: Mapping[str, Case]) -> dict[str, Case]:
    """Those where only the variables are at fault."""
    return {name: case for name, case in cases.items() if case.surroundings is _untouched}


def disturbed(cases: Mapping[str, Case]) -> dict[str, Case]:
    """Those where the machine is at fault."""
    return {name: case for name, case in cases.items() if case.surroundings is not _untouched}


def port_taken(port: int) -> Surroundings:
    """Another program holds a port."""

    @contextmanager
    def taken(host: Host) -> Iterator[None]:
        host.check_output(f"systemd-run --quiet --unit=squatter nc -l -k 0.0.0.0 {port}")
        listening = f"ss -Hltn 'sport = {port}' | grep -q ."
        host.check_output(f"for i in $(seq 600); do {listening} && exit 0; sleep 0.1; done; exit 1")
        try:
            yield
        finally:
            host.check_output("systemctl stop squatter")

    return taken


def small_disk(path: str, size: str) -> Surroundings:
    """A file system without room is mounted somewhere."""

    @contextmanager
    def mounted(host: Host) -> Iterator[None]:
        host.check_output(f"mkdir {path} && mount -t tmpfs -o size={size} tmpfs {path}")
        try:
            yield
        finally:
            host.check_output(f"umount {path} && rmdir {path}")

    return mounted


def _attempt(role: str, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Run the role, and say under the case's name what it said."""
    run = {
        "name": "Run the role",
        "ansible.builtin.include_role": {"name": role, "rolespec_validate": False},
        "vars": dict(variables),
    }
    accepted = {"name": name, "ansible.builtin.debug": {"msg": ACCEPTED}}
    refused = {"name": name, "ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}
    return {"name": name, "block": [run, accepted], "rescue": [refused]}


@dataclass(frozen=True)
class Place:
    """Where a role is tried: the machine, its name in the inventory, and a command that shows all that could change."""

    host: Host
    name: str
    snapshot: str


def told(place: Place, role: str, cases: Mapping[str, Case], directory: Path) -> dict[str, str]:
    """Try each case in one run, which is fast, see the machine unchanged, and return what was said, by case."""
    tasks = [_attempt(role, case, cases[case].named(role, directory)) for case in cases]
    playbook = directory / "refusals.yml"
    playbook.write_text(
        json.dumps([{"name": "Try", "hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}])
    )
    before = place.host.check_output(place.snapshot)
    done = play(place.name, playbook=str(playbook))
    assert place.host.check_output(place.snapshot) == before
    assert done.status == 0, done.output
    assert "Traceback" not in done.output
    messages = {case: str(result["msg"]) for case, result in done.results(place.name) if case in cases}
    assert set(messages) == set(cases)
    return messages


def alone(place: Place, role: str, case: Case, directory: Path, playbook: str) -> str:
    """Run a playbook in the case's surroundings, see the machine unchanged, and return what was said."""
    with case.surroundings(place.host):
        before = place.host.check_output(place.snapshot)
        done = play(place.name, case.named(role, directory), playbook=playbook)
        assert place.host.check_output(place.snapshot) == before
    assert done.status != 0, ACCEPTED
    assert "Traceback" not in done.output
    return done.failure(place.name)
