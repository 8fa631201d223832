"""``make bundle`` builds for the site it is asked for, and the stub stands in only where nobody has named a client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bundle
from console import Console, run

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.parametrize(
    ("arguments", "inventory"), [([], "inventories/gtr"), (["--site", "acme"], "inventories/acme")]
)
def test_the_site_that_is_asked_for_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], inventory: str
) -> None:
    for site in ("acme", "gtr"):
        (tmp_path / "inventories" / site).mkdir(parents=True)
    built: list[tuple[str, list[str]]] = []

    def noted(_console: Console, inventory: str, extra: list[str]) -> bool:
        built.append((inventory, extra))
        return True

    monkeypatch.setattr(bundle, "INVENTORIES", tmp_path / "inventories")
    monkeypatch.setattr(bundle, "build", noted)
    monkeypatch.setattr(sys, "argv", ["bundle.py", "build", *arguments, "--", "-v"])
    assert bundle.main() == 0
    assert built == [(inventory, ["-v"])]


@pytest.mark.parametrize("site", ["nowhere", "", "..", "gtr/group_vars", "gtr/"])
def test_a_site_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], site: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["bundle.py", "build", "--site", site])
    assert bundle.main() == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert f"there is no inventories/{site};" in sentence
    assert "gtr" in sentence


def test_make_passes_the_site_on() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "bundle", "SITE=acme"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "bundle.py build --site 'acme'" in done.stdout
