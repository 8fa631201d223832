"""``setup`` and ``win_ping``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windows_lab.accounts import sid
from windows_lab.environment import COMPUTER, USER
from windows_lab.errors import NotModelledError, Unhandled

if TYPE_CHECKING:
    from windows_lab.call import Call, Result

VERSION = "10.0.19043.0"
SUBSETS: dict[str, dict[str, Any]] = {
    "platform": {
        "ansible_architecture": "64-bit",
        "ansible_architecture2": "x86_64",
        "ansible_domain": "",
        "ansible_fqdn": COMPUTER,
        "ansible_hostname": COMPUTER,
        "ansible_kernel": VERSION,
        "ansible_machine_id": sid("Administrator"),
        "ansible_netbios_name": COMPUTER,
        "ansible_nodename": COMPUTER,
        "ansible_reboot_pending": False,
        "ansible_system": "Win32NT",
        "ansible_system_description": "",
    },
    "distribution": {
        "ansible_distribution": "Wine (the lab's model of Windows)",
        "ansible_distribution_major_version": "10",
        "ansible_distribution_version": VERSION,
        "ansible_os_family": "Windows",
        "ansible_os_name": "Wine (the lab's model of Windows)",
        "ansible_os_product_type": "workstation",
    },
    "powershell_version": {"ansible_powershell_version": 5},
    "user": {
        "ansible_user_dir": rf"C:\Users\{USER}",
        "ansible_user_gecos": "",
        "ansible_user_id": USER,
        "ansible_user_sid": sid(USER),
    },
    "windows_domain": {
        "ansible_windows_domain": "WORKGROUP",
        "ansible_windows_domain_member": False,
        "ansible_windows_domain_role": "Stand-alone workstation",
    },
}
ENVIRONMENT = "env"
MINIMAL = {
    "date_time",
    "distribution",
    "dns",
    "env",
    "external",
    "facter",
    "local",
    "platform",
    "powershell_version",
    "user",
}
KNOWN = {*SUBSETS, ENVIRONMENT}
# In the real one's minimum, but nothing here reads them.
LEFT_OUT = {"date_time", "dns", "external", "facter", "local"}


def setup(call: Call) -> Result:
    """The few facts that roles need. Raises NotModelledError for a subset that is asked for and not here."""
    call.refuse_unmodelled("gather_subset", "gather_timeout")
    asked = call["gather_subset"]
    names = {name for name in asked if not name.startswith("!")}
    unknown = names - KNOWN - LEFT_OUT - {"all", "min"}
    if unknown:
        raise NotModelledError(f"the facts {', '.join(sorted(unknown))}")
    if "all" in names or not names:
        names = KNOWN
    if "!min" not in asked:
        names = names | MINIMAL
    names -= {name[1:] for name in asked if name.startswith("!") and name not in {"!all", "!min"}}
    facts = {fact: value for name in SUBSETS if name in names for fact, value in SUBSETS[name].items()}
    if ENVIRONMENT in names:
        facts["ansible_env"] = call.machine.environment.variables
    return {"ansible_facts": {**facts, "gather_subset": asked, "module_setup": True}}


def win_ping(call: Call) -> Result:
    """An answer."""
    if call["data"] == "crash":
        msg = "boom"
        raise Unhandled(msg)
    return {"ping": call["data"]}
