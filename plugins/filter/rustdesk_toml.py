"""The filter that merges settings into a TOML file, and those that read what the modules for Windows return."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import module_utils
from ansible.errors import AnsibleFilterError

# Ansible's module_utils path reaches modules only. A filter runs in the controller's own
# Python and finds the project's files as soon as the package knows the directory.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in module_utils.__path__:
    module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils import client_windows
from ansible.module_utils.toml_merge import TomlError, decode, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def rustdesk_toml_merge(content: str, settings: Mapping[str, Mapping[str, str | None]]) -> str:
    """Return a file with settings merged into it, both as base64 of its bytes.

    Raises:
        AnsibleFilterError: the file is not TOML, or a value is not text.
    """
    for table, values in settings.items():
        for key, value in values.items():
            if not isinstance(value, (str, type(None))):
                raise AnsibleFilterError(
                    f"{key} in [{table}] has to be text, as RustDesk ignores a whole table for one value that is not"
                )
    try:
        return base64.b64encode(merge(decode(base64.b64decode(content, validate=True)), settings).encode()).decode()
    except binascii.Error:
        raise AnsibleFilterError("give the file as slurp returns it, in base64") from None
    except TomlError as error:
        raise AnsibleFilterError(f"the file {error}") from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "rustdesk_client_windows_folders": client_windows.folders,
            "rustdesk_client_windows_files": client_windows.settings_files,
            "rustdesk_client_windows_no_links": client_windows.no_links,
            "rustdesk_client_windows_host": client_windows.host,
            "rustdesk_toml_merge": rustdesk_toml_merge,
        }
