# SPDX-License-Identifier: MIT
"""Write what the role rustdesk_client has planned, on Linux and Windows, and show what changes without its secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible.module_utils

# Ansible sends configured module utilities to targets, but does not import them on the controller.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils.client_plan import masked
from ansible.module_utils.other_actions import ActionOfActions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEW_DIRECTORY_MODE = "0700"


class ActionModule(ActionOfActions):
    """Carry out a plan of `client_plan` with the ordinary modules: copy and file, win_copy and win_file.

    The plan is no argument that Ansible would show: it names the variable that holds it.
    """

    _requires_connection = True
    _VALID_ARGS = frozenset({"plan", "windows"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether anything changed and how, or fail with the file and the reason."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        plan = self._task.args["plan"]
        windows = bool(self._task.args["windows"])
        differences: list[dict[str, str]] = []
        changed = False
        for path, action, arguments, difference in _steps(plan, windows):
            done = self.run_action(action, arguments, task_vars or {})
            if done.get("failed"):
                message = f"{path} was not written: {_reason(done, windows)}"
                return result | {"failed": True, "msg": message, "changed": changed, "path": path}
            changed = changed or bool(done.get("changed"))
            if difference and done.get("changed"):
                differences.append(difference)
        return result | {"changed": changed, "diff": differences}


Step = tuple[str, str, dict[str, Any], "dict[str, str] | None"]


def _steps(plan: Mapping[str, Any], windows: bool) -> Iterator[Step]:  # noqa: FBT001
    file, copy = (
        ("ansible.windows.win_file", "ansible.windows.win_copy")
        if windows
        else (
            "ansible.builtin.file",
            "ansible.builtin.copy",
        )
    )
    for directory in plan["create"]:
        rights = (
            {}
            if windows
            else {
                "owner": directory["owner"],
                "group": directory["group"],
                "mode": NEW_DIRECTORY_MODE,
                "follow": False,
            }
        )
        yield directory["path"], file, {"path": directory["path"], "state": "directory"} | rights, None
    for change in plan["changes"]:
        path, content = str(change["path"]), change["content"]
        difference = _difference(path, change["before"], content)
        if content is None:
            yield path, file, {"path": path, "state": "absent"}, difference
            continue
        rights = {} if windows else {name: change[name] for name in ("owner", "group", "mode")} | {"follow": False}
        yield path, copy, {"dest": path, "content": content} | rights, difference
    for path in plan["remove"]:
        yield path, file, {"path": path, "state": "absent"}, None


def _difference(path: str, before: str | None, content: str | None) -> dict[str, str] | None:
    """Return what changes for people to see; the role's own records are nothing they have to know of."""
    if not path.endswith(".toml"):
        return None
    return {
        "before_header": path,
        "after_header": path,
        "before": masked(before or ""),
        "after": masked(content or ""),
    }


def _reason(done: Mapping[str, Any], windows: bool) -> str:  # noqa: FBT001
    text = " ".join(str(done.get("msg") or done.get("module_stderr") or json.dumps(done)).split()).rstrip(".")
    if windows:
        return (
            f"{text}; another program may hold it open, or it is read-only: "
            "close RustDesk or take the attribute off, then run again"
        )
    return f"{text}; see that nothing protects it (lsattr, a read-only mount), then run again"
