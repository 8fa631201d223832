"""The modules that are modelled, each in the words of its source in the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windows_lab.modules import (
    access,
    download,
    files,
    firewall_rules,
    machine_facts,
    programs,
    registry_keys,
    service_control,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from windows_lab.call import Call, Result

MODULES: dict[str, Callable[[Call], Result]] = {
    "ansible.windows.setup": machine_facts.setup,
    "ansible.windows.slurp": files.slurp,
    "ansible.windows.win_acl": access.win_acl,
    "ansible.windows.win_command": programs.win_command,
    "ansible.windows.win_copy": files.win_copy,
    "ansible.windows.win_file": files.win_file,
    "ansible.windows.win_find": files.win_find,
    "ansible.windows.win_get_url": download.win_get_url,
    "ansible.windows.win_package": programs.win_package,
    "ansible.windows.win_ping": machine_facts.win_ping,
    "ansible.windows.win_reg_stat": registry_keys.win_reg_stat,
    "ansible.windows.win_regedit": registry_keys.win_regedit,
    "ansible.windows.win_service": service_control.win_service,
    "ansible.windows.win_service_info": service_control.win_service_info,
    "ansible.windows.win_stat": files.win_stat,
    "community.windows.win_firewall_rule": firewall_rules.win_firewall_rule,
}
RUNS_IN_CHECK_MODE = MODULES.keys() - {"ansible.windows.win_acl", "ansible.windows.win_command"}
