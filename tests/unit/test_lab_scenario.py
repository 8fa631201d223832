"""Scenarios that pass without having tested anything, planted in a checkout without git, as from a tarball."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

EMPTY_PLAY = """
- hosts: localhost
  gather_facts: false
  tasks: []
"""
FILES = {
    "ansible.cfg": "[defaults]\nlibrary = plugins/modules\n",
    "inventories/lab/hosts.yml": """
all:
  hosts:
    machine:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
""",
    "molecule/default/molecule.yml": "scenario: {create_sequence: [create]}",
    "molecule/default/create.yml": EMPTY_PLAY,
    "molecule/default/destroy.yml": EMPTY_PLAY,
    "molecule/sample/molecule.yml": "scenario: {test_sequence: [converge, verify]}",
    "molecule/sample/converge.yml": """
- hosts: machine
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
""",
    "molecule/sample/verify.yml": """
- hosts: machine
  gather_facts: false
  tasks:
    - ansible.builtin.assert: {that: true}
""",
}
OLD_MODULE = """
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({})
module.deprecate("old", version="9.9")
module.exit_json()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The lab's programs and settings around one scenario that needs no container."""
    shutil.copytree(ROOT / "lab" / "lib", tmp_path / "lab" / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / ".config", tmp_path / ".config")
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def run(checkout: Path) -> tuple[int, str]:
    """Run the scenario; returns exit status and the lines that are the lab's own."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_", "PYTEST_"))
    }
    done = subprocess.run(
        [sys.executable, checkout / "lab/lib/scenario.py", "sample"],
        env=environment,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    own = [line for line in lines if line.startswith("==> ") and "still working" not in line]
    return done.returncode, "\n".join([*own, lines[-1]])


def test_scenario_that_tests_passes(checkout: Path) -> None:
    assert run(checkout) == (0, "1 passed, 0 failed")


def test_lost_settings_are_noticed(checkout: Path) -> None:
    """Without the shared settings there is no inventory, and a play without hosts is a success to Ansible."""
    (checkout / ".config/molecule/config.yml").unlink()
    status, said = run(checkout)
    assert status == 1
    assert "sample failed: it converged no machine" in said
    assert said.endswith("0 passed, 1 failed")


def test_verifier_without_tests_is_noticed(checkout: Path) -> None:
    with (checkout / "molecule/sample/molecule.yml").open("a") as settings:
        settings.write("\nverifier: {name: testinfra}\n")
    status, said = run(checkout)
    assert status == 1
    assert "sample failed: it verified nothing" in said


def test_deprecation_is_noticed(checkout: Path) -> None:
    (checkout / "plugins/modules").mkdir(parents=True)
    (checkout / "plugins/modules/old.py").write_text(OLD_MODULE)
    (checkout / "molecule/sample/converge.yml").write_text(FILES["molecule/sample/converge.yml"] + "    - old:\n")
    status, said = run(checkout)
    assert status == 1
    assert "sample failed: deprecated: [DEPRECATION WARNING]: old" in said
