from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants

from callback import rustdesk_proofs
from callback.rustdesk_proofs import CallbackModule, Proof, Service

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 79
GOOD = {"name": "dns", "state": "passed", "latency_ms": 0.42, "detail": "resolves to 192.0.2.7", "remedy": ""}
BAD = {
    "name": "relay_enforced",
    "state": "failed",
    "latency_ms": 104.6,
    "detail": "hbbr connects two clients that have a wrong key",
    "remedy": "Start hbbr with -k and the server's public key.",
}
SKIPPED = {"name": "key_accepted", "state": "skipped", "latency_ms": None, "detail": "no key was given", "remedy": ""}


@dataclass
class Screen:
    """Stands in for Ansible's display."""

    columns: int = WIDTH
    verbosity: int = 0
    lines: list[str] = field(default_factory=list)
    colors: dict[str, str | None] = field(default_factory=dict)

    def display(self, text: str, color: str | None = None) -> None:
        self.lines.append(text)
        self.colors[text] = color

    def banner(self, text: str) -> None:
        self.lines.append(f"*** {text} ***")


def callback() -> tuple[CallbackModule, Screen]:
    screen = Screen()
    return CallbackModule(display=screen), screen


def task_result(
    result: dict[str, Any],
    inventory_name: str = "server-a",
    /,
    *,
    delegate_to: str | None = None,
    action: str = "rustdesk_probe",
    **arguments: Any,
) -> Any:
    task = SimpleNamespace(action=action, args=arguments, delegate_to=delegate_to)
    if arguments:
        result = {**result, "invocation": {"module_args": arguments}}
    return SimpleNamespace(host=SimpleNamespace(get_name=lambda: inventory_name), task=task, result=result)


def facts_result(inventory_name: str, /, **facts: str) -> Any:
    result = {"ansible_facts": {"rustdesk_server_facts": facts}}
    return task_result(result, inventory_name, action="ansible.builtin.set_fact")


# --- rustdesk_proofs --------------------------------------------------------------------------------------------------


def test_a_run_without_a_probe_and_without_facts_prints_nothing() -> None:
    plugin, screen = callback()
    plugin.v2_runner_on_ok(task_result({"changed": False}, action="ansible.builtin.stat"))
    plugin.v2_playbook_on_stats(None)
    assert screen.lines == []


def test_the_table_tells_service_origin_state_latency_and_detail() -> None:
    plugin, screen = callback()
    result = {"proofs": [GOOD, SKIPPED]}
    plugin.v2_runner_on_ok(task_result(result, delegate_to="client", host="server-a", port=21116))
    plugin.v2_runner_on_ok(task_result(result, delegate_to="client", action="ansible.legacy.rustdesk_probe", host="b"))
    plugin.v2_playbook_on_stats(None)
    assert screen.lines == [
        "*** PROOFS ***",
        "b from client: 1 of 2 passed, 1 skipped",
        "  dns           passed     0.4 ms  resolves to 192.0.2.7",
        "  key_accepted  skipped         -  no key was given",
        "server-a from client: 1 of 2 passed, 1 skipped",
        "  dns           passed     0.4 ms  resolves to 192.0.2.7",
        "  key_accepted  skipped         -  no key was given",
        "",
        "All 2 services are proven.",
    ]


def test_a_failed_proof_stands_below_the_table_with_its_remedy() -> None:
    plugin, screen = callback()
    plugin.v2_runner_on_failed(task_result({"failed": True, "proofs": [GOOD, BAD]}, host="server-a"))
    plugin.v2_playbook_on_stats(None)
    assert screen.lines == [
        "*** PROOFS ***",
        "server-a from server-a: 1 of 2 passed, 1 failed",
        "  dns             passed    0.4 ms  resolves to 192.0.2.7",
        "  relay_enforced  failed    105 ms  hbbr connects two clients that have a wrong",
        "                                    key",
        "",
        "server-a from server-a, relay_enforced:",
        "  Start hbbr with -k and the server's public key.",
        "",
        "0 of 1 service is proven.",
    ]
    colors = {screen.colors[line] for line in screen.lines if "relay_enforced" in line}
    assert colors == {constants.COLOR_ERROR}


@pytest.mark.parametrize("width", [79, 120])
def test_the_table_stays_within_the_screen(width: int) -> None:
    wordy = Proof("relay_enforced", "failed", 12.3, "detail " * 40, "remedy " * 40)
    service = Service("server-deb12.lab.test", "client-deb12", (wordy,))
    table = list(rustdesk_proofs.proof_lines([service], width))
    remedies = list(rustdesk_proofs.remedy_lines([service], width))
    assert max(len(line.text) for line in table + remedies) <= width
    assert " ".join(line.text for line in table).count("detail") == 40
    assert " ".join(line.text for line in remedies).count("remedy") == 40


def test_the_items_of_a_loop_count_and_their_sum_does_not() -> None:
    plugin, screen = callback()
    plugin.v2_runner_item_on_ok(task_result({"proofs": [GOOD]}, host="a", relay="relay-1"))
    plugin.v2_runner_item_on_failed(task_result({"failed": True, "proofs": [BAD]}, host="a", relay="relay-2:21117"))
    plugin.v2_runner_on_failed(task_result({"failed": True, "results": [{"proofs": [BAD]}], "msg": "One failed"}))
    plugin.v2_playbook_on_stats(None)
    assert [line for line in screen.lines if "passed," in line or line.endswith("passed")] == [
        "a with relay relay-1 from server-a: 1 of 1 passed",
        "a with relay relay-2:21117 from server-a: 0 of 1 passed, 1 failed",
    ]
    assert screen.lines[-1] == "1 of 2 services are proven."


def test_the_last_probe_of_a_service_from_a_place_counts() -> None:
    plugin, screen = callback()
    plugin.v2_runner_on_failed(task_result({"failed": True, "proofs": [BAD]}, host="a"))
    plugin.v2_runner_on_ok(task_result({"proofs": [GOOD]}, host="a", relay="a:21117"))
    plugin.v2_playbook_on_stats(None)
    assert screen.lines[-1] == "The service is proven."
    assert not any("relay_enforced" in line for line in screen.lines)


def test_a_probe_that_could_not_run_is_no_proof() -> None:
    plugin, screen = callback()
    unreachable = task_result(
        {"unreachable": True, "msg": "Failed to create temporary\ndirectory"}, delegate_to="client"
    )
    unreachable.task.args = {"host": "{{ address }}", "port": "{{ port }}"}
    plugin.v2_runner_on_unreachable(unreachable)
    plugin.v2_playbook_on_stats(None)
    assert screen.lines[1:] == [
        "server-a from client: the probe did not run",
        "",
        "server-a from client, no proof:",
        "  Failed to create temporary directory",
        "",
        "0 of 1 service is proven.",
    ]


def test_only_skipped_proofs_prove_nothing() -> None:
    assert not Service("a", "b", (Proof.of(SKIPPED),)).proven


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"host": "a"}, "a"),
        ({"host": "a", "port": 21116, "relay": "a"}, "a"),
        ({"host": "a", "port": 21116, "relay": "a:21117"}, "a"),
        ({"host": "a", "port": 30000}, "a:30000"),
        ({"host": "a", "port": 30000, "relay": "a:30001"}, "a:30000"),
        ({"host": "a", "port": 30000, "relay": "a"}, "a:30000 with relay a"),
        ({"host": "a", "relay": "b"}, "a with relay b"),
        ({}, "an unnamed service"),
    ],
)
def test_a_service_is_named_by_what_is_unusual(arguments: dict[str, Any], name: str) -> None:
    assert rustdesk_proofs.service_name(arguments) == name


def test_hosts_of_one_service_share_what_clients_need() -> None:
    plugin, screen = callback()
    string = "x" * 150
    needs = {"host": "rd.example.org", "public_key": "key=", "config_string": string, "version": "1.1.16"}
    plugin.v2_runner_on_ok(facts_result("server-a", mode="full", **needs))
    plugin.v2_runner_on_ok(facts_result("relay-a", mode="relay", **needs))
    plugin.v2_runner_on_ok(facts_result("server-b", host="b.example.org", public_key="", config_string=""))
    plugin.v2_playbook_on_stats(None)
    assert screen.lines == [
        "*** CLIENTS ***",
        "rd.example.org (relay-a: relay, 1.1.16; server-a: full, 1.1.16)",
        "  public key            key=",
        f"  configuration string  {string}",
        "b.example.org (server-b)",
        "  public key            none",
        "  configuration string  none",
    ]


# --- Both in a real run -----------------------------------------------------------------------------------------------

CONNECTION = """
from ansible.plugins.connection.local import Connection as Local
DOCUMENTATION = '''
name: elsewhere
short_description: This machine, by a connection that Ansible does not take for a local one
description: For tests.
extends_documentation_fragment: connection_pipelining
'''
class Connection(Local):
    transport = "elsewhere"
"""

PROBE = f"""
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({{"host": {{}}, "broken": {{"type": "bool"}}}}, supports_check_mode=True)
if module.params["broken"]:
    module.fail_json(msg="relay_enforced failed", proofs={[GOOD, BAD]!r})
module.exit_json(changed=False, proofs={[GOOD]!r})
"""

PLAYBOOK = """
- hosts: one, two
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
      loop: [a, b, c]
    - ansible.builtin.template: {src: text.j2, dest: "{{ place }}/{{ inventory_hostname }}", mode: "0644"}
    - ansible.builtin.raw: "true"
    - ansible.builtin.ping:
      delegate_to: two
      when: inventory_hostname == 'one'
    - ansible.builtin.ping:
      delegate_to: localhost
    - ansible.builtin.set_fact:
        rustdesk_server_facts: {host: "{{ inventory_hostname }}.test", public_key: k, config_string: "s-{{ 6 * 7 }}"}
    - ansible.builtin.assert: {that: true, quiet: true}
    - ansible.builtin.debug: {msg: nothing}
    - rustdesk_probe: {host: "{{ inventory_hostname }}.test", broken: "{{ inventory_hostname == 'two' }}"}
      delegate_to: two
      ignore_errors: true
"""

COMMAND = """
- hosts: one
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
    - ansible.builtin.raw: "true"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project")
    (place / "connection").mkdir()
    (place / "connection" / "elsewhere.py").write_text(CONNECTION)
    (place / "library").mkdir()
    (place / "library" / "rustdesk_probe.py").write_text(PROBE)
    (place / "text.j2").write_text("same every time\n")
    (place / "play.yml").write_text(PLAYBOOK)
    (place / "command.yml").write_text(COMMAND)
    hosts = "one ansible_connection=elsewhere\ntwo ansible_connection=elsewhere\nlocalhost ansible_connection=local\n"
    variables = f"[all:vars]\nansible_python_interpreter={sys.executable}\nplace={place}\n"
    (place / "hosts.ini").write_text(hosts + variables)
    return place


def run(project: Path, playbook: str = "play.yml", **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CONNECTION_PLUGINS": str(project / "connection"),
        "ANSIBLE_LIBRARY": str(project / "library"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "ANSIBLE_FORCE_COLOR")
    }
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", project / "hosts.ini", project / playbook],
        env={**inherited, **settings, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def play(project: Path, playbook: str = "play.yml", **environment: str) -> str:
    done = run(project, playbook, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return done.stdout


def test_a_run_counts_what_was_really_executed_and_shows_what_was_proven(project: Path) -> None:
    counted = project / "new" / "executions.json"
    output = play(project, COUNT_EXECUTIONS_FILE=str(counted))
    counts = json.loads(counted.read_text())
    # raw; and, for the file that template sends, its directory made and removed by whatever commands Ansible takes
    assert [counts[host].pop("commands") >= 3 for host in ("one", "two")] == [True, True]
    assert counts == {
        "one": {
            "remote": 7,
            "delegated": 2,
            "local": 1,
            "files": 1,
            "by_module": {"ping": 4, "stat": 1, "copy": 1, "rustdesk_probe": 1},
        },
        "two": {
            "remote": 6,
            "delegated": 0,
            "local": 1,
            "files": 1,
            "by_module": {"ping": 3, "stat": 1, "copy": 1, "rustdesk_probe": 1},
        },
    }
    assert "one          7          2          1" in output
    end = output[output.index("PROOFS *") :]
    assert "one.test from two: 1 of 1 passed" in end
    assert "two.test from two: 1 of 2 passed, 1 failed" in end
    assert "  Start hbbr with -k" in end
    assert "1 of 2 services are proven." in end
    assert "  configuration string  s-42" in end
    assert "\x1b[" not in output


def test_a_steady_template_is_still_two_executions_and_a_loop_all_of_its_items(project: Path) -> None:
    counted = project / "steady.json"
    play(project)
    play(project, COUNT_EXECUTIONS_FILE=str(counted))
    one = json.loads(counted.read_text())["one"]
    assert (one["by_module"], one["files"]) == ({"ping": 4, "stat": 1, "file": 1, "rustdesk_probe": 1}, 0)


def test_the_command_that_runs_a_module_is_not_counted_again(project: Path) -> None:
    counted = project / "command.json"
    play(project, "command.yml", COUNT_EXECUTIONS_FILE=str(counted))
    one = json.loads(counted.read_text())["one"]
    assert (one["remote"], one["commands"], one["by_module"]) == (1, 1, {"ping": 1})


def test_without_a_file_nothing_is_counted(project: Path) -> None:
    assert "EXECUTIONS *" not in play(project)


def test_a_run_that_counts_leaves_nothing_but_the_counts(project: Path, tmp_path: Path) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    play(project, COUNT_EXECUTIONS_FILE=str(tmp_path / "counts.json"), TMPDIR=str(place))
    assert list(place.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_sentence(project: Path) -> None:
    occupied = project / "text.j2" / "counts.json"
    done = run(project, COUNT_EXECUTIONS_FILE=str(occupied))
    assert "EXECUTIONS *" in done.stdout
    assert "cannot be written" in done.stderr
    assert str(occupied) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("plugin", ["rustdesk_proofs", "count_executions"])
def test_the_plugins_are_documented(plugin: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-doc"), "-t", "callback", "--json", plugin],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)[plugin]["doc"]["short_description"]
