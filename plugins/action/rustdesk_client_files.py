# SPDX-License-Identifier: MIT
"""Write what the role rustdesk_client has planned, on Linux and Windows, and show what changes without its secrets."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ansible.module_utils

# Ansible sends configured module utilities to targets, but does not import them on the controller.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils.client_plan import masked
from ansible.module_utils.other_actions import ActionOfActions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEW_DIRECTORY_MODE = "0700"

FILE, COPY, FIND = (f"ansible.windows.win_{name}" for name in ("file", "copy", "find"))


class ActionModule(ActionOfActions):
    """Carry out a plan of `client_plan`: on Linux by one execution, on Windows with the modules of ansible.windows.

    The plan is no argument that Ansible would show: it names the variable that holds it.
    """

    _requires_connection = True
    _VALID_ARGS = frozenset({"plan", "windows"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether anything changed and how, or fail with the file and the reason."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        plan = self._task.args["plan"]
        carry_out = self._on_windows if self._task.args["windows"] else self._on_linux
        return result | carry_out(plan, task_vars or {})

    def _on_linux(self, plan: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        planned = list(steps(plan))
        if not planned:
            return {"changed": False, "diff": []}
        done = self._execute_module(
            module_name="rustdesk_client_write",
            module_args={"users": plan["users"], "steps": [step.arguments for step in planned]},
            task_vars=task_vars,
        )
        if done.get("failed"):
            path = done.get("path") or planned[0].arguments["path"]
            reason = f"{_reason(done)}; see that nothing protects it (lsattr, a read-only mount), then run again"
            return _failure(path, reason, changed=bool(done.get("changed")))
        shown = [step.difference for step, changed in zip(planned, done["done"], strict=True) if changed]
        return {"changed": bool(done["changed"]), "diff": [difference for difference in shown if difference]}

    def _on_windows(self, plan: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        differences: list[dict[str, str]] = []
        changed = False
        full: set[str] = set()
        for path, action, arguments, difference in windows_steps(plan):
            if path in full:
                continue
            done = self.run_action(action, arguments, task_vars)
            if done.get("failed"):
                reason = (
                    f"{_reason(done)}; another program may hold it open, or it is read-only: "
                    "close RustDesk or take the attribute off, then run again"
                )
                return _failure(path, reason, changed=changed)
            if action == FIND and done.get("matched"):
                # Something is in it that was not there before: it stays, and so does what it lies in, being full then.
                full.add(path)
                continue
            changed = changed or bool(done.get("changed"))
            if difference and done.get("changed"):
                differences.append(difference)
        return {"changed": changed, "diff": differences}


class Step(NamedTuple):
    """A step of the module rustdesk_client_write, and what changes by it for people to see."""

    arguments: dict[str, str]
    difference: dict[str, str] | None = None


def steps(plan: Mapping[str, Any]) -> Iterator[Step]:
    """Return what the module for Linux is to do."""
    for directory in plan["create"]:
        yield Step({"action": "mkdir", "mode": NEW_DIRECTORY_MODE, **directory})
    for change in plan["changes"]:
        path, content = str(change["path"]), change["content"]
        difference = _difference(path, change["before"], content)
        if content is None:
            yield Step({"action": "unlink", "path": path}, difference)
            continue
        rights = {name: str(change[name]) for name in ("owner", "group", "mode")}
        encoded = base64.b64encode(content.encode()).decode()
        yield Step({"action": "write", "path": path, "content": encoded, **rights}, difference)
    for path in plan["remove"]:
        yield Step({"action": "rmdir", "path": str(path)})


WindowsStep = tuple[str, str, dict[str, Any], "dict[str, str] | None"]


def windows_steps(plan: Mapping[str, Any]) -> Iterator[WindowsStep]:
    """Return path, module, arguments and difference of what is to be done on Windows."""
    for directory in plan["create"]:
        yield directory["path"], FILE, {"path": directory["path"], "state": "directory"}, None
    for change in plan["changes"]:
        path, content = str(change["path"]), change["content"]
        difference = _difference(path, change["before"], content)
        if content is None:
            yield path, FILE, {"path": path, "state": "absent"}, difference
        else:
            yield path, COPY, {"dest": path, "content": content}, difference
    for path in plan["remove"]:
        # The module removes a directory with all that is in it, so that is looked at first.
        yield path, FIND, {"paths": [path], "file_type": "any", "hidden": True, "get_checksum": False}, None
        yield path, FILE, {"path": path, "state": "absent"}, None


def _difference(path: str, before: str | None, content: str | None) -> dict[str, str] | None:
    """Return what changes for people to see; the role's own records are nothing they have to know of."""
    if not path.lower().endswith(".toml"):
        return None
    return {
        "before_header": path,
        "after_header": path,
        "before": masked(before or ""),
        "after": masked(content or ""),
    }


def _failure(path: str, reason: str, *, changed: bool) -> dict[str, Any]:
    return {"failed": True, "msg": f"{path} was not written: {reason}", "changed": changed, "path": path}


def _reason(done: Mapping[str, Any]) -> str:
    return " ".join(str(done.get("msg") or done.get("module_stderr") or json.dumps(done)).split()).rstrip(".")
