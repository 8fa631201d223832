#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Have a change of the firewall undone unless it is confirmed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_firewall_guard
short_description: Have a change of the firewall undone unless it is confirmed
description:
  - A firewall can cut off the one who configures it. Armed before a change, this remembers every file the change may
    touch, and a timer of systemd puts them back and loads them unless somebody comes back in time to disarm it.
  - Only what the role C(rustdesk_firewall) writes is put back. The rules of others in the kernel are not replaced.
options:
  state:
    description:
      - V(armed) remembers and starts the timer.
      - V(held) starts the timer anew, with what is remembered already, before another step of the change. It fails when
        the change has been undone meanwhile.
      - V(disarmed) stops the timer and forgets. It fails when the change has been undone meanwhile.
      - V(undone) puts everything back at once and forgets, also when the timer has done so before, as the change may
        have gone on. Without anything to put back, it does nothing.
    type: str
    choices: [armed, held, disarmed, undone]
    required: true
  seconds:
    description: Time until the change is undone.
    type: int
    default: 60
  activate:
    description:
      - The firewall that the change switches on, which is switched off again with it; empty for none.
      - One that is off anyhow is not told so again, as C(ufw disable) opens the chains of iptables for everybody
        else too.
    type: str
    default: ""
  firewalld:
    description:
      - Whether the change touches firewalld, which is then reloaded when the change is undone.
      - One that is not touched is left alone, as a reload forgets what was never made permanent.
    type: bool
    default: false
  zones:
    description: Zones of firewalld that are about to change.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Does nothing in check mode.
    support: full
  diff_mode:
    support: none
requirements:
  - systemd
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Have the change undone in a minute
  rustdesk_firewall_guard:
    state: armed
    seconds: 60

- name: Have time for the next step, unless the change was undone
  rustdesk_firewall_guard:
    state: held
    seconds: 60

- name: Come back over a new connection
  ansible.builtin.meta: reset_connection

- name: Keep the change
  rustdesk_firewall_guard:
    state: disarmed
"""

RETURN = r"""
undone:
  description: Whether something was put back.
  returned: always
  type: bool
"""

import inspect
import sys
import time
from pathlib import Path

from ansible.module_utils import firewall_nft, firewall_undo
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.firewall_nft import ACTIVATED, DIRECTIONS, file_of
from ansible.module_utils.firewall_plan import LOADER, POLICIES, SERVICES, UNIT, firewalld_service

NAME = "rustdesk-firewall-undo"
_SYSTEM = Path("/etc/systemd/system")
_FIREWALLD = "firewalld.service"


def paths(zones: list[str]) -> list[Path]:
    """Return every file that a change of the role may touch."""
    found = [Path(LOADER), Path(UNIT), ACTIVATED]
    found += [file_of(direction, kind) for direction in DIRECTIONS for kind in ("nft", "pass")]
    found += [_SYSTEM / f"{unit}.wants" / Path(UNIT).name for unit in ("multi-user.target", "nftables.service")]
    found += [Path("/etc/ufw", name) for name in ("user.rules", "user6.rules", "ufw.conf")]
    for name in DIRECTIONS:
        service = f"{firewalld_service(name)}.xml"
        found += [Path(folder, service + old) for folder in (SERVICES, POLICIES) for old in ("", ".old")]
    found += [Path(f"/etc/firewalld/zones/{zone}.xml{old}") for zone in zones for old in ("", ".old")]
    return found


def program(module: AnsibleModule, name: str) -> str:
    """Return where a program is; fail where it is not."""
    return str(module.get_bin_path(name, required=True))


def is_active(module: AnsibleModule, unit: str) -> bool:
    """Ask systemd whether a unit is active."""
    code, _out, _err = module.run_command(["systemctl", "is-active", "--quiet", unit])
    return bool(code == 0)


def is_enabled(module: AnsibleModule, unit: str) -> bool:
    """Ask systemd whether a unit is enabled."""
    code, _out, _err = module.run_command(["systemctl", "is-enabled", "--quiet", unit])
    return bool(code == 0)


def commands(module: AnsibleModule) -> tuple[list[list[str]], list[list[str]]]:
    """Return what stops what does not run now, and what makes the host use the files again as it does now."""
    systemctl = program(module, "systemctl")
    before, found = [], [[systemctl, "daemon-reload"]]
    if not is_active(module, Path(UNIT).name):
        before.append([systemctl, "stop", Path(UNIT).name])
    if module.get_bin_path("nft"):
        found.append([sys.executable, "-I", str(firewall_undo.DIRECTORY / "firewall_nft.py")])
    if is_active(module, Path(UNIT).name):
        found.append([systemctl, "start", Path(UNIT).name])
    ufw = module.get_bin_path("ufw")
    if ufw:
        _code, out, _err = module.run_command([ufw, "status"], environ_update={"LC_ALL": "C"})
        if "Status: active" in out:
            found.append([ufw, "reload"])
        elif module.params["activate"] == "ufw":
            found.append([ufw, "--force", "disable"])
    firewalld = module.get_bin_path("firewall-cmd") if module.params["firewalld"] else None
    if firewalld:
        found.append([systemctl, "enable" if is_enabled(module, _FIREWALLD) else "disable", _FIREWALLD])
        if is_active(module, _FIREWALLD):
            found += [[systemctl, "start", _FIREWALLD], [firewalld, "--reload"]]
        else:
            found.append([systemctl, "stop", _FIREWALLD])
    return before, found


def stop_timer(module: AnsibleModule) -> None:
    """Stop the timer; what it has started already runs to its end."""
    module.run_command(["systemctl", "stop", f"{NAME}.timer"])
    module.run_command(["systemctl", "reset-failed", f"{NAME}.service", f"{NAME}.timer"])


def start_timer(module: AnsibleModule) -> str:
    """Start the timer anew, and return what was said when it did not start."""
    stop_timer(module)
    code, out, err = module.run_command(
        [
            program(module, "systemd-run"),
            f"--unit={NAME}",
            f"--on-active={module.params['seconds']}",
            "--timer-property=AccuracySec=1s",
            "--description=Undo a change of the firewall that was not confirmed",
            sys.executable,
            "-I",
            str(firewall_undo.DIRECTORY / "firewall_undo.py"),
        ]
    )
    return str(err or out).strip() if code else ""


def arm(module: AnsibleModule) -> None:
    """Remember, and start the timer."""
    firewall_undo.forget()
    firewall_undo.DIRECTORY.mkdir(mode=0o700)
    for source in (firewall_nft, firewall_undo):
        name = source.__name__.rpartition(".")[2]
        (firewall_undo.DIRECTORY / f"{name}.py").write_text(inspect.getsource(source), encoding="utf-8")
    firewall_undo.remember(paths(module.params["zones"]), *commands(module))
    said = start_timer(module)
    if said:
        firewall_undo.forget()
        module.fail_json(msg=f"the timer that undoes a change did not start, so nothing was changed: {said}")


def fail_when_undone(module: AnsibleModule) -> None:
    """Fail when the timer has put things back, or is about to."""
    if not firewall_undo.is_remembered() or firewall_undo.is_undone() or is_active(module, f"{NAME}.service"):
        module.fail_json(
            msg="the change was undone, because its confirmation came too late; run again, with a greater "
            "rustdesk_firewall_undo_after if the host is slow"
        )


def hold(module: AnsibleModule) -> None:
    """Start the timer anew, unless it has put things back."""
    # One job of systemd, so that the host is at no time without a timer.
    module.run_command(["systemctl", "restart", f"{NAME}.timer"])
    fail_when_undone(module)
    said = "" if is_active(module, f"{NAME}.timer") else start_timer(module)
    if said:
        module.fail_json(msg=f"the timer that undoes a change did not start again: {said}")


def disarm(module: AnsibleModule) -> None:
    """Stop the timer and forget."""
    stop_timer(module)
    fail_when_undone(module)
    firewall_undo.forget()


def undo(module: AnsibleModule) -> bool:
    """Put everything back, whatever the timer has put back before."""
    stop_timer(module)
    until = time.monotonic() + firewall_undo.SECONDS
    while is_active(module, f"{NAME}.service") and time.monotonic() < until:
        time.sleep(1)
    if not firewall_undo.is_remembered():
        return False
    failed = firewall_undo.restore()
    if failed:
        module.fail_json(msg=f"the firewall was not put back as it was: {'; '.join(failed)}")
    firewall_undo.forget()
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["armed", "held", "disarmed", "undone"], "required": True},
            "seconds": {"type": "int", "default": 60},
            "activate": {"type": "str", "default": ""},
            "firewalld": {"type": "bool", "default": False},
            "zones": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    undone = False
    try:
        if module.check_mode:
            pass
        elif module.params["state"] == "armed":
            arm(module)
        elif module.params["state"] == "held":
            hold(module)
        elif module.params["state"] == "disarmed":
            disarm(module)
        else:
            undone = undo(module)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'the host'} cannot be read or written ({error.strerror or error})")
    # A change that is taken back was no change.
    module.exit_json(changed=False, undone=undone)


if __name__ == "__main__":
    main()
