"""What a run with --check says of a host that nothing was done on yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .support import ROLE

ROOT = ROLE.parents[1]
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    rustdesk_bundle_tls: self_signed
    rustdesk_bundle_download_url: https://dl.example.org/rd
    __rustdesk_bundle_tls_directory: /nonexistent/tls
  tasks:
    - ansible.builtin.include_role: {name: rustdesk_bundle, tasks_from: "{{ item }}", rolespec_validate: false}
      loop: [install, configure_self_signed]
      vars:
        __rustdesk_bundle_host:
          installed: [python3-cryptography]
          noted: []
          ipv6: true
          certificate_pending: there is none
"""


def test_what_would_be_installed_and_made_is_told(tmp_path: Path) -> None:
    """Neither packages nor directories are there, nor lists of packages."""
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--inventory=localhost,", "--check", "play.yml"],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = {part.partition("]")[0]: part for part in done.stdout.split("TASK [rustdesk_bundle : ")}
    assert "would be installed: nginx" in told["install | Say what would be installed"]
    assert "there is none" in told["configure_self_signed | Say that one would be made"]
    assert all("changed: [localhost]" in told[name] for name in told if " | Say" in name)
    assert "skipping: [localhost]" in told["install | Install the packages"]
