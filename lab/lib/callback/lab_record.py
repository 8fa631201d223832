"""Writes down what a playbook did, for the guard of lab/lib/scenario.py; documented below for ansible-doc."""

from __future__ import annotations

DOCUMENTATION = """
name: lab_record
type: notification
short_description: Writes down which machines a playbook reached
description:
  - Appends one line of JSON per playbook, with the number of tasks that ran and failed on each machine.
  - Ansible calls a play without hosts a success. With this record a test can tell.
  - Runs wherever it is found, beside what a configuration enables.
options:
  record:
    description: The file that lines are appended to.
    type: path
    required: true
    env:
      - name: LAB_RECORD
"""

import json
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Keeps the playbook's name until its statistics are known."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "lab_record"

    playbook = ""

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Remember which playbook this is."""
        self.playbook = Path(playbook._file_name).stem  # noqa: SLF001  # the name has no public attribute

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Append the line."""
        hosts = {
            host: {"ran": stats.ok.get(host, 0), "failed": stats.failures.get(host, 0) + stats.dark.get(host, 0)}
            for host in stats.processed
        }
        with Path(self.get_option("record")).open("a", encoding="utf-8") as record:
            record.write(json.dumps({"playbook": self.playbook, "hosts": hosts}) + "\n")
