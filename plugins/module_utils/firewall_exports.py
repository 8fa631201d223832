# SPDX-License-Identifier: MIT
"""The port list in the forms that firewalls of others import. Runs on the controller."""

from __future__ import annotations

import ipaddress
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

MARK = "rustdesk_firewall "
"""What the description of everything exported begins with."""

_NAMESPACE = uuid.UUID("8f1d4a0e-6f0b-5a4e-9d55-2b8a4f6c7e10")

Entry = Mapping[str, Any]


class ExportError(Exception):
    """A backup that nothing can be merged into; the message says why and what to give instead."""


def by_protocol(entries: Iterable[Entry]) -> list[tuple[str, list[int]]]:
    """Return the ports of each protocol, both ascending."""
    found: dict[str, set[int]] = {}
    for entry in entries:
        found.setdefault(str(entry["protocol"]), set()).add(int(entry["port"]))
    return [(protocol, sorted(ports)) for protocol, ports in sorted(found.items())]


def aliases(entries: Iterable[Entry], addresses: Iterable[str]) -> list[dict[str, Any]]:
    """Return the named groups of ports and servers that pfSense and OPNsense call aliases."""
    entries = sorted(entries, key=lambda entry: int(entry["port"]))
    found = [
        {
            "name": f"RustDesk_{protocol.upper()}",
            "type": "port",
            "content": [str(port) for port in ports],
            "details": [str(entry["purpose"]) for entry in entries if entry["protocol"] == protocol],
            "description": f"{MARK}out: {protocol.upper()} ports of RustDesk",
        }
        for protocol, ports in by_protocol(entries)
    ]
    networks = [str(ipaddress.ip_network(str(address))) for address in addresses]
    if networks:
        found.append(
            {
                "name": "RustDesk_Servers",
                "type": "network",
                "content": networks,
                "details": ["RustDesk server"] * len(networks),
                "description": f"{MARK}out: servers of RustDesk",
            }
        )
    return found


def identifier(name: str) -> str:
    """Return the identifier that OPNsense knows an imported thing again by: always the same for the same name."""
    return str(uuid.uuid5(_NAMESPACE, name))


def opnsense_aliases(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what OPNsense imports as aliases (core, `AliasController::importAction`)."""
    return {
        "aliases": {
            "alias": {
                identifier(group["name"]): {
                    "enabled": "1",
                    "name": group["name"],
                    "type": group["type"],
                    "content": "\n".join(group["content"]),
                    "description": group["description"],
                }
                for group in groups
            }
        }
    }


def _is_own(element: ET.Element) -> bool:
    return (element.findtext("descr") or "").startswith(MARK)


def _parse(text: str, what: str) -> ET.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ExportError(
            f"{what} declares entities, which no backup of pfSense does; give the file it was downloaded as"
        )
    try:
        return ET.fromstring(text)  # noqa: S314  # without declarations there is nothing to expand
    except ET.ParseError as error:
        raise ExportError(f"{what} is not XML ({error}); give the file as pfSense gave it, not encrypted") from error


def pfsense_merge(own: str, backup: str) -> str:
    """Return a backup of an area of pfSense with what is exported in it, in place of what was before.

    pfSense replaces an area by the one that is restored (pfsense-utils.inc, `restore_config_section`): whatever else is
    in the backup is kept, in its order. Rules come first, as pfSense takes the first that matches.

    Args:
        own: the exported area.
        backup: the customer's own backup, of that area or of everything; "" for a firewall without any.

    Raises:
        ExportError: the backup does not hold the area.
    """
    wanted = _parse(own, "the export")
    if not backup.strip():
        area = ET.Element(wanted.tag)
    else:
        root = _parse(backup, "the backup")
        found = root if root.tag == wanted.tag else root.find(wanted.tag)
        if found is None:
            raise ExportError(
                f"the backup is of '{root.tag}' and holds no area '{wanted.tag}'; download it anew from Diagnostics, "
                f"Backup & Restore, with {wanted.tag} as its area"
            )
        area = found
    for element in [element for element in area if _is_own(element)]:
        area.remove(element)
    for position, element in enumerate(wanted):
        area.insert(position, element)
    ET.indent(area, "\t")
    return '<?xml version="1.0"?>\n' + ET.tostring(area, encoding="unicode") + "\n"
