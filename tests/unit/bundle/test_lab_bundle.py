"""The lab's stub of the client stands in only where nobody has named a client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import bundle
from console import Console, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.mark.parametrize(
    ("variables", "arguments", "stub"),
    [
        ({}, [], True),
        ({"rustdesk_bundle_client_sha256": "0"}, [], True),
        ({"rustdesk_bundle_client_file": "/client.exe"}, [], False),
        ({"rustdesk_bundle_client_mirror": "https://mirror.example.org"}, [], False),
        ({"rustdesk_bundle_client_url": "https://mirror.example.org/client.exe"}, [], False),
        ({}, ["-v"], False),
    ],
)
def test_when_the_stub_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], arguments: list[str], stub: bool
) -> None:
    (tmp_path / "hosts.yml").write_text(
        json.dumps({"rustdesk_downloads": {"hosts": {"dl": {}}, "vars": variables}}), encoding="utf-8"
    )
    commands: list[Sequence[str]] = []

    def noted(command: Sequence[str], console: Console | None = None) -> tuple[int, str]:
        if console is None:
            return run(command)
        commands.append(command)
        return 0, ""

    monkeypatch.setattr(bundle, "run", noted)
    monkeypatch.setattr(bundle, "obstacle", lambda _url: "no route")
    monkeypatch.setattr(bundle, "lab_client", lambda: {"path": "/stub.exe", "sha256": "0"})
    assert bundle.build(Console(), str(tmp_path / "hosts.yml"), arguments)
    (command,) = commands
    assert any("/stub.exe" in word for word in command) is stub
