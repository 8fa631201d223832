"""Kills the run, as a lost power supply would, right before a named task starts."""

from __future__ import annotations

DOCUMENTATION = """
name: killer
type: notification
short_description: Kill the run before a task
description: Kills the run with SIGKILL before the first task whose name ends with KILL_BEFORE_TASK.
requirements: [enabled by the test]
"""

import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "killer"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        """Kill this process when its time has come."""
        if task.get_name().endswith(os.environ["KILL_BEFORE_TASK"]):
            os.kill(os.getpid(), signal.SIGKILL)
