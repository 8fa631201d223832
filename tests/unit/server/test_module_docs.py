"""What the server's modules document is what they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_keypair
import rustdesk_release
import rustdesk_server_info
import yaml

from .support import GROUP, USER, release_archive, run_module

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

MODULES: list[ModuleType] = [rustdesk_keypair, rustdesk_release, rustdesk_server_info]

OF_EVERY_MODULE = {"changed", "diff", "invocation", "warnings", "deprecations"}


def results(module: ModuleType, directory: Path) -> dict[str, Any]:
    archive = release_archive(directory / "a.zip")
    arguments: dict[str, dict[str, Any]] = {
        "rustdesk_keypair": {"path": str(directory), "owner": USER, "group": GROUP},
        "rustdesk_release": {
            "archive": str(archive.path),
            "sha256": archive.sha256,
            "version": "1.1.16",
            "architecture": "amd64",
            "install_dir": str(directory),
        },
        "rustdesk_server_info": {"version": "1.1.16", "install_dir": str(directory), "state_dir": str(directory)},
    }
    return run_module(module.main, arguments[module.__name__])


TYPES: dict[str, type] = {"str": str, "bool": bool, "list": list, "dict": dict}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_results_are_documented_as_they_are(module: ModuleType, tmp_path: Path) -> None:
    documented = yaml.safe_load(module.RETURN)
    returned = results(module, tmp_path)
    assert documented.keys() == returned.keys() - OF_EVERY_MODULE
    for name, entry in documented.items():
        assert entry["description"]
        assert entry["returned"] == "always"
        assert isinstance(returned[name], TYPES[entry["type"]]), name
        if "contains" in entry:
            value = returned[name]
            inner = value if entry["contains"].keys() == value.keys() else next(iter(value.values()))
            assert entry["contains"].keys() == inner.keys()
