"""Filters that bring the port list into the forms of other firewalls; documented in the YAML files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import module_utils
from ansible.errors import AnsibleFilterError

# Ansible's module_utils path reaches modules only. A filter runs in the controller's own
# Python and finds the project's files as soon as the package knows the directory.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in module_utils.__path__:
    module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils import firewall_exports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def rustdesk_firewall_ports(entries: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[int]]]:
    """Return pairs of a protocol and its ports."""
    return firewall_exports.by_protocol(entries)


def rustdesk_firewall_aliases(entries: Iterable[Mapping[str, Any]], addresses: Iterable[str]) -> list[dict[str, Any]]:
    """Return the named groups of ports and servers."""
    return firewall_exports.aliases(entries, addresses)


def rustdesk_firewall_opnsense(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return named groups as OPNsense imports them."""
    return firewall_exports.opnsense_aliases(groups)


def rustdesk_firewall_pfsense(own: str, backup: str = "") -> str:
    """Return a backup of an area of pfSense with what is exported in it.

    Raises:
        AnsibleFilterError: the backup does not hold the area.
    """
    try:
        return firewall_exports.pfsense_merge(own, backup)
    except firewall_exports.ExportError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "rustdesk_firewall_aliases": rustdesk_firewall_aliases,
            "rustdesk_firewall_identifier": firewall_exports.identifier,
            "rustdesk_firewall_opnsense": rustdesk_firewall_opnsense,
            "rustdesk_firewall_pfsense": rustdesk_firewall_pfsense,
            "rustdesk_firewall_ports": rustdesk_firewall_ports,
        }
