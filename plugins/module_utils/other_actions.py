# SPDX-License-Identifier: MIT
"""Actions that run other actions, as if a task had named them. Runs on the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.plugins.action import ActionBase

if TYPE_CHECKING:
    from collections.abc import Mapping


class ActionOfActions(ActionBase):
    """An action that leaves work on the target to others."""

    def run_action(self, action: str, arguments: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the result of an action, or of a module where no action has that name."""
        task = self._task.copy()
        task.args = dict(arguments)
        # Differences are the caller's to show: the action's own could hold secrets.
        task.diff = False
        other = self._shared_loader_obj.action_loader.get(
            action,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        if other is None:
            return self._execute_module(module_name=action, module_args=dict(arguments), task_vars=task_vars)
        done: dict[str, Any] = other.run(task_vars=task_vars)
        return done
