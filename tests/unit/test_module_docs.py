"""What the modules of server and bundle document is what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_bundle_archive
import rustdesk_bundle_assemble
import rustdesk_bundle_check
import rustdesk_bundle_info
import rustdesk_bundle_pack
import rustdesk_bundle_publish
import rustdesk_bundle_purge
import rustdesk_bundle_signature
import rustdesk_bundle_site
import rustdesk_keypair
import rustdesk_release
import rustdesk_server_info
import yaml

if TYPE_CHECKING:
    from types import ModuleType

MODULES: list[ModuleType] = [
    rustdesk_bundle_archive,
    rustdesk_bundle_assemble,
    rustdesk_bundle_check,
    rustdesk_bundle_info,
    rustdesk_bundle_pack,
    rustdesk_bundle_publish,
    rustdesk_bundle_purge,
    rustdesk_bundle_signature,
    rustdesk_bundle_site,
    rustdesk_keypair,
    rustdesk_release,
    rustdesk_server_info,
]


class StoppedError(Exception):
    """Ends a module where it has said what it takes."""


def argument_spec(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    taken: dict[str, Any] = {}

    def stop(**arguments: object) -> None:
        taken.update(arguments)
        raise StoppedError

    monkeypatch.setattr(module, "AnsibleModule", stop)
    with pytest.raises(StoppedError):
        module.main()
    assert taken["supports_check_mode"] is True
    spec: dict[str, dict[str, Any]] = taken["argument_spec"]
    return spec


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_options_are_documented_as_they_are(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    taken = argument_spec(module, monkeypatch)
    assert documented.keys() == taken.keys()
    for name, option in taken.items():
        assert documented[name]["description"]
        for part in ("type", "default", "elements", "choices"):
            assert documented[name].get(part) == option.get(part), f"{name}: {part}"
        assert documented[name].get("required", False) == option.get("required", False)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_use_only_what_there_is(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = argument_spec(module, monkeypatch)
    name = module.__name__
    assert yaml.safe_load(module.DOCUMENTATION)["module"] == name
    for task in yaml.safe_load(module.EXAMPLES):
        assert task[name].keys() <= taken.keys()
        assert {option for option, spec in taken.items() if spec.get("required")} <= task[name].keys()
