"""``win_service`` and ``win_service_info``, on Wine's service control manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windows_lab import services
from windows_lab.accounts import sid
from windows_lab.errors import NotModelledError, Refused

if TYPE_CHECKING:
    from windows_lab.call import Call, Result
    from windows_lab.services import Service

MODELLED = (
    "name", "path", "display_name", "description", "start_mode", "state", "username",
    "force_dependent_services", "update_password",
)  # fmt: skip
CHANGES = ("path", "display_name", "description", "start_mode", "state", "username", "password")
# Nothing sets these here, so every service has them as they are when it is new.
UNTOUCHED: dict[str, Any] = {
    "dependencies": [],
    "error_control": "normal",
    "failure_actions": [],
    "failure_actions_on_non_crash_failure": False,
    "failure_command": None,
    "failure_reboot_msg": None,
    "failure_reset_period_sec": 0,
    "load_order_group": "",
    "pre_shutdown_timeout_ms": 180000,
    "required_privileges": [],
    "sid_info": "none",
}


def win_service(call: Call) -> Result:
    """A service, present in a state or absent."""
    call.refuse_unmodelled(*MODELLED)
    known = services.named(call["name"])
    before: Any = _diff(known) if known else ""
    if call["state"] == "absent":
        result: Result = {"exists": False, "changed": known is not None, "diff": {"before": before, "after": ""}}
        if known and not call.check:
            if known.state != "stopped":
                services.stop(known)
            services.delete(known.name)
    else:
        result = _present(call, known, before)
    if not call.diff:
        del result["diff"]
    return result


def _present(call: Call, known: Service | None, before: Any) -> Result:
    if known is None and not any(call[name] is not None for name in CHANGES):
        return {"exists": False, "diff": {"before": before, "after": before}}
    if known is None and call["path"] is None:
        msg = f"Service '{call['name']}' is not installed, need to set 'path' to create a new service"
        raise Refused(msg)
    _refuse_account(call, known)
    path = call["path"] and call.machine.environment.expand(call["path"])
    if known is None and not call.check:
        services.create(call["name"], path)
        known = services.named(call["name"])
    if known is None:
        after = {
            "name": call["name"],
            "path": path,
            "state": call["state"] or "",
            "start_mode": call["start_mode"] or "",
        }
        after |= {"display_name": call["display_name"] or "", "description": call["description"] or "", "username": ""}
        return {"changed": True, "diff": {"before": before, "after": after}, **_told({**UNTOUCHED, **after}, None)}
    wishes = {
        "path": path,
        "display": call["display_name"],
        "description": call["description"],
        "start": call["start_mode"],
    }
    current = {
        "path": known.path,
        "display": known.display_name,
        "description": known.description,
        "start": known.start_mode,
    }
    changed = before == ""
    for what, wish in wishes.items():
        if wish not in {None, current[what]}:
            changed = True
            if not call.check:
                services.change(known.name, what, wish)
    changed |= _set_state(call, known)
    names = {"path": "path", "display_name": "display", "description": "description", "start_mode": "start"}
    after = _diff(known) | {name: wishes[what] for name, what in names.items() if wishes[what] is not None}
    after["state"] = call["state"] or known.state
    return {"changed": changed, "diff": {"before": before, "after": after}, **_told(after, known)}


def _set_state(call: Call, known: Service) -> bool:
    state = call["state"]
    if state == "paused":
        raise NotModelledError("the pausing of a service")
    if state is None or state == known.state:
        return False
    if not call.check:
        if state in {"stopped", "restarted"} and known.state != "stopped":
            services.stop(known)
        if state in {"started", "restarted"}:
            services.start(known)
    return True


def _refuse_account(call: Call, known: Service | None) -> None:
    wished = call["username"]
    if wished and wished != "LocalSystem" and sid(wished) != (sid(known.account) if known else sid("SYSTEM")):
        raise NotModelledError("a service that runs as another account than LocalSystem")


def _diff(service: Service) -> dict[str, Any]:
    return {
        **UNTOUCHED,
        "description": service.description,
        "desktop_interact": service.interactive,
        "display_name": service.display_name,
        "name": service.name,
        "password": "REDACTED",
        "path": service.path,
        "service_type": service.kind,
        "start_mode": service.start_mode,
        "state": service.state,
        "username": service.account,
    }


def _told(after: dict[str, Any], service: Service | None) -> Result:
    system = not after["username"] or sid(after["username"]) == sid("SYSTEM")
    state = after["state"].replace("_", "")
    told = ("dependencies", "description", "display_name", "name", "path", "start_mode")
    return {
        **{name: after[name] for name in told},
        "exists": True,
        "desktop_interact": after.get("desktop_interact", False),
        "username": "LocalSystem" if system else after["username"],
        "state": "running" if state in {"restarted", "started"} else state,
        "can_pause_and_continue": False if service else None,
        "depended_by": [],
    }


def win_service_info(call: Call) -> Result:
    """Services by name, all of them without one."""
    found = services.matching(call["name"]) if call["name"] else services.services()
    return {"exists": bool(found), "services": [_info(service) for service in found]}


def _info(service: Service) -> dict[str, Any]:
    about = {name: value for name, value in _diff(service).items() if name != "password"}
    running = service.state == "started"
    return {
        **about,
        "checkpoint": 0,
        "controls_accepted": ["stop", "shutdown"] if running else [],
        "dependency_of": [],
        "launch_protection": "none",
        "preferred_node": None,
        "process_id": service.process_id,
        "service_exit_code": 0,
        "service_flags": [],
        "triggers": [],
        "wait_hint_ms": 0,
        "win32_exit_code": service.exit_code,
    }
