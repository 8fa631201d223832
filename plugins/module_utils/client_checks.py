# SPDX-License-Identifier: MIT
"""What the preflight of the role rustdesk_client looks at, refuses and returns.

Runs on the controller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils import client_inputs, client_plan
from ansible.module_utils.client_inputs import PREFIX, Inputs

if TYPE_CHECKING:
    from ansible.module_utils.client_plan import Plan

ASKED = ("custom-rendezvous-server", "key", "relay-server", "api-server")
"""Options that an installed client is asked for, beside what its file says."""

Host = Mapping[str, Any]


def look(inputs: Inputs) -> tuple[str, dict[str, Any]] | None:
    """Return the module that looks at the host; on Windows tasks do that, and hand over what they found."""
    if inputs["windows"]:
        return None
    return "rustdesk_client_info", {
        "users": list(map(str, inputs["users"])),
        "discover": inputs["discover_users"],
        "service_profile": not inputs["portable"],
        "options": list(ASKED),
        "paths": list(client_inputs.QOS_PATHS),
    }


def host_faults(inputs: Inputs, host: Host) -> Iterator[str]:
    """Return every fault that shows when the variables meet the host and its files."""
    if not inputs["again"]:
        yield from client_inputs.host_faults(inputs, host)
    if client_inputs.faults(inputs):
        return
    plan = _plan(inputs, host)
    variable = "portable" if inputs["portable"] else "users"
    for fault in plan.faults:
        yield f"{PREFIX}{variable}: {fault}"
    open_programs = _open_programs(host, "user")
    # A user's programs beside a service of Windows may be the symbol that each of them has; it writes nothing.
    are_windows = not (inputs["windows"] and host["service"]["exists"])
    if open_programs and are_windows and plan.pending and not inputs["close_programs"] and not inputs["again"]:
        users = ", ".join(sorted({str(program["user"]) for program in open_programs}))
        yield (
            f"{PREFIX}close_programs: RustDesk is open at {users} and would write its own settings back at its end; "
            f"have it closed, or set {PREFIX}close_programs"
        )


def _open_programs(host: Host, *kinds: str) -> list[Mapping[str, Any]]:
    """Return the programs of those whose settings are written."""
    names = {profile["name"] for profile in host["profiles"] if profile["kind"] in kinds}
    return [program for program in host["programs"] if program["user"] in names]


def known(inputs: Inputs, host: Host) -> dict[str, Any]:
    """Return what the role needs to know. It holds secrets, so nothing of it is shown."""
    present = inputs["state"] == "present"
    plan = _plan(inputs, host)
    settings = client_inputs.settings(inputs) if present else {}
    differences = client_plan.differences(list(host["profiles"]), settings, host["options"]) if present else []
    services = _services(host)
    to_close = _open_programs(host, "user", "service")
    return {
        "plan": plan.as_dict(),
        "differences": differences,
        "pending": plan.pending or bool(differences),
        "to_install": _to_install(inputs, host),
        "to_uninstall": "" if present else client_plan.recorded_package(services, _package(host)),
        "claim": client_plan.claim(services, str(inputs["version"])).as_dict() if present else {},
        "settle": client_plan.settle(services, _package(host)).as_dict() if present else {},
        "package_wanted": client_inputs.package(inputs, str(host["machine"])) if present else {},
        "interrupted": bool(client_plan.marked(services)),
        "mark": client_plan.mark(services).as_dict(),
        "unmark": client_plan.unmark(services).as_dict(),
        "programs_to_close": [program["pid"] for program in to_close] if inputs["close_programs"] else [],
        "probe": client_inputs.probe(inputs) if present else {},
        "_ansible_no_log": True,
    }


def _to_install(inputs: Inputs, host: Host) -> str:
    wanted = inputs["state"] == "present" and inputs["install"] and not host["package"]
    return str(inputs["version"]) if wanted else ""


def _package(host: Host) -> str | None:
    """Return the version of the package that is there, None for one that is neither installed nor gone."""
    return None if host["package_unfinished"] else str(host["package"])


def _services(host: Host) -> list[Mapping[str, Any]]:
    return [profile for profile in host["profiles"] if profile["kind"] == "service"]


def _plan(inputs: Inputs, host: Host) -> Plan:
    profiles, has_service = list(host["profiles"]), bool(host["service"]["exists"])
    if inputs["state"] == "absent":
        plan = client_plan.absent(profiles, service_stays=has_service)
    else:
        plan = client_plan.present(profiles, client_inputs.settings(inputs), _package(host))
    if not has_service:
        # There is nothing left that could run again.
        plan.add(client_plan.unmark(client_plan.marked(_services(host))))
    return plan
