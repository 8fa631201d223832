"""The role's last step under Ansible: what the wire does not show is told beside what it does, of what runs now.

The step is the real one. The proofs and the look at the host say what a test needs, each case on a host of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_probe
import rustdesk_server_info
import yaml

from .support import Step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Variables = Mapping[str, Any]

STUB = """\
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in NAMES}, supports_check_mode=True)
case = module.params[CASE]
with open(RECORD, "a") as stream:
    stream.write(case + " " + NAME + "\\n")
result = RESULTS[case]
if "msg" in result:
    module.fail_json(**result)
module.exit_json(**result)
"""

JOURNAL = [{"name": "Journal", "ansible.builtin.set_fact": {"__rustdesk_server_journal": {"stdout": "the last line"}}}]

HBBS, HBBR = "rustdesk-hbbs.service", "rustdesk-hbbr.service"
FAULT, RESTLESS = f"{HBBS} runs with `--key=` instead of `--key=_`", f"{HBBS} keeps ending"


def seen(command: str = "", restart: str = "", unnamed: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a look at the host returns."""
    quiet = {"active": True, "command_fault": "", "restart_fault": ""}
    hbbs = quiet | {"command_fault": command, "restart_fault": restart}
    return {"address": "192.0.2.7", "units": {HBBS: hbbs, HBBR: quiet}, "relays_unnamed": list(unnamed)}


QUIET = seen()
PROVEN: Variables = {"proofs": []}
UNPROVEN: Variables = {"proofs": [], "msg": "failed key_enforced"}
RENEWED: dict[str, Any] = {"__rustdesk_server_hbbs_restart": {"changed": True}}
STARTED: dict[str, Any] = {"__rustdesk_server_started": {"changed": True}}
RELAYS: dict[str, Any] = {"rustdesk_relays": ["a.example.org", "b.example.org"]}
BAD_ARGUMENT = "host must be a host name or an IP address, not ''"
UNREADABLE = "/opt cannot be looked at (Permission denied)"


@dataclass(frozen=True)
class Case:
    """What preflight has seen, what the proofs and another look find, what is told then, and who was asked."""

    before: Variables
    said: str = ""
    asked: tuple[str, ...] = ("probe",)
    after: Variables = field(default_factory=dict)
    proofs: Variables = field(default_factory=lambda: PROVEN)
    variables: Variables = field(default_factory=dict)


TWICE = ("probe", "info")
CASES = {
    "nothing_to_say": Case(QUIET),
    "a_drop_in_that_the_proofs_do_not_show": Case(seen(FAULT), FAULT),
    "a_drop_in_and_what_it_has_broken": Case(
        seen(FAULT), f"failed key_enforced\n{FAULT}", ("probe",) * 3, proofs=UNPROVEN
    ),
    "a_daemon_that_keeps_ending": Case(seen("", RESTLESS), RESTLESS),
    "put_right_by_a_restart": Case(seen(FAULT, RESTLESS), "", TWICE, QUIET, variables=RENEWED),
    "a_daemon_that_had_just_ended": Case(seen("", RESTLESS), RESTLESS, TWICE, QUIET, variables=STARTED),
    "not_put_right_by_a_restart": Case(QUIET, FAULT, TWICE, seen(FAULT, RESTLESS), variables=RENEWED),
    "what_is_over_where_the_proofs_fail": Case(
        seen(FAULT), "failed key_enforced", ("probe",) * 3, proofs=UNPROVEN, variables=RENEWED
    ),
    "relays_that_hbbs_cannot_resolve": Case(
        QUIET,
        "rustdesk_server_relays: hbbs names no relay to clients, because it can resolve none of a.example.org, "
        "b.example.org though the host can; it reads only /etc/hosts and asks only the name servers in "
        "/etc/resolv.conf, so put the name there",
        TWICE,
        seen(unnamed=("a.example.org", "b.example.org")),
        variables=RENEWED | RELAYS,
    ),
    "a_relay_that_is_down": Case(seen(unnamed=("b.example.org",)), variables=RELAYS),
    "an_argument_that_stays_wrong": Case(QUIET, BAD_ARGUMENT, proofs={"msg": BAD_ARGUMENT}),
    "a_look_that_fails": Case(QUIET, UNREADABLE, TWICE, {"msg": UNREADABLE}, variables=RENEWED),
}

CHECKED = {
    "what_a_restart_would_end": Case(seen(FAULT, RESTLESS), variables=RENEWED),
    "what_it_would_not": Case(seen(FAULT), FAULT),
}


@dataclass(frozen=True)
class Run:
    """What a run printed, what was told in each case, and which modules ran for it."""

    printed: str
    told: dict[str, str]
    asked: dict[str, list[str]]


def verified(root: Path, cases: Mapping[str, Case], *options: str) -> Run:
    """Run the step for each case."""
    step = Step(root, "verify.yml", "", "{{ ansible_failed_result.msg }}")
    (step.tasks / "journal.yml").write_text(yaml.safe_dump(JOURNAL), encoding="ascii")
    stand_ins = (
        (rustdesk_probe, "host", {name: case.proofs for name, case in cases.items()}),
        (rustdesk_server_info, "user", {name: case.after for name, case in cases.items()}),
    )
    for module, argument, results in stand_ins:
        known = {"NAME": module.__name__, "CASE": argument, "RESULTS": results, "RECORD": str(root / "asked")}
        step.stand_in(module, STUB, **known)
    hosts = {
        name: {
            "rustdesk_host": "rustdesk.example.org",
            "rustdesk_server_user": name,
            "rustdesk_server_verify_address": name,
            "rustdesk_server_verify_from": "host",
            "__rustdesk_server_host": case.before,
            "__rustdesk_server_keypair": {"public_key": ""},
            **case.variables,
        }
        for name, case in cases.items()
    }
    ended = step.run(hosts, *options)
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 0, printed
    asked: dict[str, list[str]] = {name: [] for name in cases}
    for line in (root / "asked").read_text(encoding="ascii").splitlines():
        case, module_name = line.split()
        asked[case].append(module_name.rpartition("_")[2])
    return Run(printed, step.outcomes(), asked)


def whole(said: str, case: str) -> str:
    """Return the message that says something."""
    head = f"The service on {case} is deployed but not proven:"
    return f"{head}\n{said}\nLast lines of its journal:\nthe last line" if said else ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return verified(tmp_path_factory.mktemp("verified"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_is_told_of_a_deployed_service(name: str, run: Run) -> None:
    assert run.told[name] == whole(CASES[name].said, name)
    assert run.asked[name] == [*CASES[name].asked]


def test_relays_that_clients_do_not_hear_of_are_told(run: Run) -> None:
    assert run.printed.count("to no client: it is down, or could not be resolved") == 1
    assert "hbbs names b.example.org to no client" in run.printed


def test_check_mode_tells_only_what_a_restart_would_not_end(tmp_path: Path) -> None:
    run = verified(tmp_path, CHECKED, "--check")
    assert run.told == {name: whole(case.said, name) for name, case in CHECKED.items()}
    assert set(map(tuple, run.asked.values())) == {("probe",)}
