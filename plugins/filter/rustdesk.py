"""Filters for RustDesk's configuration string; documented in the YAML files beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible import module_utils
from ansible.errors import AnsibleFilterError

# Ansible's module_utils path reaches modules only. A filter runs in the controller's own
# Python and finds the project's files as soon as the package knows the directory.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in module_utils.__path__:
    module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils.config_string import ConfigStringError, encode, parse


def rustdesk_config_string(config: Mapping[str, Any]) -> str:
    """Return the configuration string of a mapping with `host`, `relay`, `api` and `key`.

    Raises:
        AnsibleFilterError: the mapping is not a configuration a client could use.
    """
    if not isinstance(config, Mapping):
        raise AnsibleFilterError(
            f"give a mapping with host and key (relay and api if there are any), not {type(config).__name__}"
        )
    try:
        return encode(config)
    except ConfigStringError as error:
        raise AnsibleFilterError(str(error)) from None


def rustdesk_config_parse(text: str) -> dict[str, str]:
    """Return `host`, `relay`, `api` and `key` of a configuration string.

    Raises:
        AnsibleFilterError: the text is not a configuration string or names no host.
    """
    if not isinstance(text, str):
        raise AnsibleFilterError(f"give a configuration string, not {type(text).__name__}")
    try:
        return parse(text)
    except ConfigStringError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "rustdesk_config_parse": rustdesk_config_parse,
            "rustdesk_config_string": rustdesk_config_string,
        }
