"""One call of a module, and the machine it is made on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from windows_lab.environment import Environment
from windows_lab.errors import IllegalPathError, NotModelledError, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from windows_lab.drive import Drive, Item

Result = dict[str, Any]


@dataclass(frozen=True)
class Machine:
    """What a module works on."""

    drive: Drive
    environment: Environment = field(default_factory=Environment)

    @property
    def memory(self) -> Path:
        """Where models keep what Wine has no place for."""
        return self.drive.root.parent / "windows-lab"

    def item(self, path: str) -> Item:
        """What stands at a path, ``%NAMES%`` in it expanded."""
        return self.drive.item(self.environment.expand(path))

    def recall(self, what: str) -> Any:
        """What was remembered under a name; None when nothing was."""
        file = self.memory / f"{what}.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def remember(self, what: str, value: Any) -> None:
        """Keep a value under a name."""
        self.memory.mkdir(exist_ok=True)
        (self.memory / f"{what}.json").write_text(json.dumps(value, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Call:
    """A module's parameters, checked, and how it is to be run."""

    module: str
    parameters: dict[str, Any]
    machine: Machine
    check: bool = False
    diff: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def path(self, name: str) -> Item:
        """A parameter of the type ``path``."""
        return self.machine.item(self.parameters[name])

    def legacy_path(self, name: str) -> Item:
        """The same for a module of the older kind, which says more about a path that cannot be."""
        expanded = self.machine.environment.expand(self.parameters[name])
        try:
            return self.machine.drive.item(expanded)
        except IllegalPathError:
            msg = f"Get-AnsibleParam: Parameter '{name}' has an invalid path '{expanded}' specified."
            raise Refused(msg) from None

    def refuse_unmodelled(self, *modelled: str) -> None:
        """See to it that no other option is set to something else than its default.

        Raises NotModelledError naming the first one that is.
        """
        from windows_lab import options  # noqa: PLC0415  # a second reading, only here

        spec = options.load()[self.module]["options"]
        for name, value in self.parameters.items():
            if name not in modelled and value != spec[name].get("default"):
                raise NotModelledError(f"the option {name} of {self.module}")
