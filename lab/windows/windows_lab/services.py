"""Services: those of Wine's own service control manager, which really starts and stops them."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from windows_lab import wine
from windows_lab.errors import Unhandled

WIN32_TYPES = {16: "win32_own_process", 32: "win32_share_process"}
INTERACTIVE = 0x100


@dataclass(frozen=True)
class Service:
    """A service as the manager knows it. Modes and states have the names of ``win_service_info``."""

    name: str
    display_name: str
    path: str
    username: str
    start_mode: str
    state: str
    process_id: int
    service_type: int
    exit_code: int
    description: str

    @property
    def kind(self) -> str:
        """Its type's name in Ansible."""
        return WIN32_TYPES[self.service_type & ~INTERACTIVE]

    @property
    def interactive(self) -> bool:
        """Whether it may use the desktop."""
        return bool(self.service_type & INTERACTIVE)

    @property
    def account(self) -> str:
        """The account it runs as, by its full name."""
        return r"NT AUTHORITY\SYSTEM" if self.username == "LocalSystem" else self.username


def services() -> list[Service]:
    """All of them, by name."""
    found: list[dict[str, Any]] = wine.ask("service", "list")
    return sorted((Service(**entry) for entry in found), key=lambda service: service.name.lower())


def named(name: str) -> Service | None:
    """The service of this name, or with this one to display."""
    wanted = name.lower()
    return next((one for one in services() if wanted in {one.name.lower(), one.display_name.lower()}), None)


def matching(pattern: str) -> list[Service]:
    """The services whose name, or else whose display name, fits a pattern."""
    wanted, known = pattern.lower(), services()
    exact = [one for one in known if one.name.lower() == wanted]
    return exact or [
        one for one in known if fnmatchcase(one.name.lower(), wanted) or one.display_name.lower() == wanted
    ]


def create(name: str, path: str) -> None:
    """Make a service that starts by itself."""
    wine.ask("service", "create", name, path)


def change(name: str, what: str, value: str) -> None:
    """Set ``start``, ``display``, ``description`` or ``path``."""
    wine.ask("service", "set", name, what, value)


def delete(name: str) -> None:
    """Delete a service that is stopped."""
    wine.ask("service", "delete", name)


def start(service: Service) -> None:
    """Start it and wait until it runs. Raises Unhandled with the sentence of ``Start-Service``."""
    _control("start", service)


def stop(service: Service) -> None:
    """Stop it and wait until it has. Raises Unhandled with the sentence of ``Stop-Service``."""
    _control("stop", service)


def _control(act: str, service: Service) -> None:
    try:
        wine.ask("service", act, service.name)
    except wine.ToolError as error:
        msg = f"Failed to {act} service '{service.display_name} ({service.name})'. {error}"
        raise Unhandled(msg) from None
