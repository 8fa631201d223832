# SPDX-License-Identifier: MIT
"""Count what a run really executes on its hosts: that is what a run's time goes into."""

from __future__ import annotations

DOCUMENTATION = """
name: count_executions
type: aggregate
short_description: Count the modules a run executes on each host
description:
  - Counts executions of modules, not tasks. A C(template) is two (it looks at the file, then copies or adjusts it),
    every item of a loop counts, and what stays on the controller (C(debug), C(set_fact), C(assert), includes) counts
    nothing.
  - Results do not tell this, so the plugin wraps the one function that executes modules (C(ActionBase._execute_module))
    in Ansible's worker processes, which append a line per execution to a temporary file.
  - Prints one line per host at the end of the run and writes JSON to O(file).
  - "Counted for the host whose task it is, also when the task was delegated: C(remote) is the number of modules
    executed over a connection, of these C(delegated) on another host, and C(by_module) is C(remote) by module.
    C(local) are modules executed on the controller itself."
  - C(commands) are shell commands besides modules, such as temporary directories, and C(files) are files sent.
    They cost as much as the connection does.
  - Without O(file) nothing is wrapped, counted or printed.
options:
  file:
    description: File for the counts, as JSON. It is replaced by every run.
    type: path
    env:
      - name: COUNT_EXECUTIONS_FILE
    ini:
      - section: callback_count_executions
        key: file
requirements:
  - enabled in C(callbacks_enabled)
author: the maintainers of this repository
"""

EXAMPLES = """
# What does a second run cost?
# COUNT_EXECUTIONS_FILE=.cache/executions.json ansible-playbook -i inventories/lab playbooks/server.yml
"""

import atexit
import functools
import json
import os
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PREFIXES = ("ansible.builtin.", "ansible.legacy.")


@dataclass(frozen=True)
class Execution:
    """One thing executed: ``kind`` is module, command or file; ``name`` is the module's.

    ``host`` is the one whose task it is, ``on`` the one it was delegated to (else the same).
    """

    kind: str
    name: str
    host: str
    on: str
    local: bool


@dataclass
class Count:
    """What one host's tasks executed."""

    remote: int = 0
    delegated: int = 0
    local: int = 0
    commands: int = 0
    files: int = 0
    by_module: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The numbers under the names of the fields."""
        return vars(self) | {"by_module": dict(self.by_module)}

    def add(self, execution: Execution) -> None:
        """Count one execution."""
        if execution.local:
            self.local += execution.kind == "module"
        elif execution.kind == "module":
            self.remote += 1
            self.delegated += execution.on != execution.host
            self.by_module[execution.name] += 1
            # A module is run by a command, which is reported as well.
            self.commands -= 1
        elif execution.kind == "command":
            self.commands += 1
        else:
            self.files += 1


def short_name(module: str) -> str:
    """The module's name, without the namespace if it is Ansible's own."""
    for prefix in PREFIXES:
        module = module.removeprefix(prefix)
    return module


def counts(executions: Iterable[Execution], hosts: Iterable[str]) -> dict[str, Count]:
    """Sum up by host; ``hosts`` are there also if nothing was executed for them."""
    found = {host: Count() for host in hosts}
    for execution in executions:
        found.setdefault(execution.host, Count()).add(execution)
    return dict(sorted(found.items()))


def table(found: dict[str, Count]) -> list[str]:
    """The counts for people, a line per host and under it its modules, the most frequent first."""
    numbers = ("remote", "delegated", "local", "commands", "files")
    width = max(map(len, found), default=0)
    lines = [f"{'':{width}}  {'  '.join(f'{name:>9}' for name in numbers)}"]
    for host, count in found.items():
        lines.append(f"{host:{width}}  {'  '.join(f'{getattr(count, name):9}' for name in numbers)}")
        if count.by_module:
            lines.append("    " + ", ".join(f"{name} {number}" for name, number in count.by_module.most_common()))
    return lines


def describe(action: Any, kind: str, module: str = "") -> Execution:
    """What an action plugin executes right now."""
    host = str(action._templar.available_variables["inventory_hostname"])  # noqa: SLF001
    return Execution(
        kind=kind,
        name=short_name(module),
        host=host,
        on=str(action._task.delegate_to or host),  # noqa: SLF001
        local=action._connection.transport == "local",  # noqa: SLF001
    )


def append(path: Path, execution: Execution) -> None:
    """Add a line; one write to a file opened for appending, so that worker processes do not mix theirs."""
    line = json.dumps(asdict(execution)) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def wrap(base: Any, record: Callable[[Execution], None]) -> None:
    """Make every action plugin that derives from ``base`` report what it has executed."""

    def reporting(name: str, kind: str) -> None:
        original = getattr(base, name)

        @functools.wraps(original)
        def reported(self: Any, *args: Any, **kwargs: Any) -> Any:
            answer = original(self, *args, **kwargs)
            module = str((args[0] if args else kwargs.get("module_name")) or self._task.action)
            record(describe(self, kind, module if kind == "module" else ""))
            return answer

        setattr(base, name, reported)

    reporting("_execute_module", "module")
    reporting("_low_level_execute_command", "command")
    reporting("_transfer_file", "file")


class CallbackModule(CallbackBase):
    """Wraps before the first worker process starts, counts when the last has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "count_executions"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._log: Path | None = None

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        """Stay out of the way unless there is a file to write."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self.disabled = not self.get_option("file")

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002
        """Wrap, once for all playbooks of the run: worker processes are forks of this one."""
        if self._log is not None:
            return
        descriptor, name = tempfile.mkstemp(prefix="ansible-executions-")
        os.close(descriptor)
        self._log = log = Path(name)
        atexit.register(log.unlink, missing_ok=True)
        wrap(ActionBase, functools.partial(append, log))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Count, print, and write the file."""
        if self._log is None:
            return
        lines = self._log.read_text(encoding="utf-8").splitlines()
        found = counts((Execution(**json.loads(line)) for line in lines), stats.processed)
        self._display.banner("EXECUTIONS")
        for line in table(found):
            self._display.display(line)
        target = Path(str(self.get_option("file")))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(
                json.dumps({host: count.as_json() for host, count in found.items()}, indent=2) + "\n", encoding="utf-8"
            )
        except OSError as error:
            self._display.error(
                f"COUNT_EXECUTIONS_FILE={target}: the counts cannot be written ({error.strerror}); name another file"
            )
