"""The stubs show mypy what Ansible shows modules."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_module_utility_is_linked_and_so_checked() -> None:
    # mypy reads them through these links only: one that is missing would go unchecked.
    utilities = {path.name: path.resolve() for path in (ROOT / "plugins" / "module_utils").glob("*.py")}
    links = (ROOT / "typings" / "ansible" / "module_utils").glob("*.py")
    assert {path.name: path.resolve() for path in links} == utilities
