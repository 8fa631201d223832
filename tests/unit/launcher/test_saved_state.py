"""The launchers and the role rustdesk_client know each other's saved state: whichever came first, all is given back."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.client_plan import RECORD, Plan, absent, present

from .toolchain import go

SETTINGS = "RustDesk2.toml"
BEFORE = "# mine\r\n[options]\r\nkey = 'first'\r\n"
OURS = "custom-rendezvous-server = 'rustdesk.example.org'"
WANTED: dict[str, dict[str, dict[str, str | None]]] = {
    SETTINGS: {"options": {"custom-rendezvous-server": "id.example.net", "key": "role", "direct-server": "N"}},
    "RustDesk_local.toml": {"options": {"lang": "de"}},
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launchers, for this machine."""
    folder = tmp_path_factory.mktemp("native")
    done = go("build", "-o", f"{folder}{os.sep}", "./cmd/...")
    assert done.returncode == 0, done.stderr
    return folder


class Computer:
    """A profile that the launchers and the role take turns with."""

    def __init__(self, home: Path, programs: Path) -> None:
        self._home, self._programs = home, programs
        self.folder = home / "RustDesk" / "config"

    def put(self, name: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(text.encode())

    def text(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    def launch(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            env={"XDG_CONFIG_HOME": str(self._home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def carry_out(self, plan: Plan) -> None:
        """Do what the role's action does."""
        assert plan.faults == []
        for directory in plan.create:
            Path(directory["path"]).mkdir()
        for change in plan.changes:
            path = Path(change.path)
            if change.content is None:
                path.unlink()
            else:
                path.write_bytes(change.content.encode())
        for removed in plan.remove:
            Path(removed).rmdir()

    def profile(self) -> dict[str, Any]:
        """The profile as rustdesk_client_info returns it."""
        files = {
            name: {
                "content": base64.b64encode((self.folder / name).read_bytes()).decode(),
                "owner": "",
                "group": "",
                "mode": "",
            }
            for name in self.names()
        }
        above = self.folder.parent
        return {
            "name": "anna",
            "kind": "user",
            "directory": str(self.folder),
            "group": "anna",
            "missing": [str(path) for path in (above, self.folder) if not path.exists()],
            "above": {str(above): [path.name for path in above.iterdir()] if above.exists() else []},
            "names": self.names(),
            "fault": "",
            "files": files,
        }


@pytest.fixture
def computer(tmp_path: Path, programs: Path) -> Computer:
    return Computer(tmp_path, programs)


def test_role_gives_back_what_was_there_before_the_launcher(computer: Computer) -> None:
    computer.put(SETTINGS, BEFORE)
    computer.launch("launcher", "--apply")
    assert OURS in computer.text(SETTINGS)
    computer.carry_out(absent([computer.profile()]))
    assert (computer.text(SETTINGS), computer.names()) == (BEFORE, [SETTINGS])


def test_role_leaves_nothing_of_a_launcher_that_found_nothing(computer: Computer) -> None:
    computer.launch("launcher", "--apply")
    computer.carry_out(absent([computer.profile()]))
    assert not computer.folder.parent.exists()


def test_role_after_the_launcher_keeps_the_first_saved_state(computer: Computer) -> None:
    computer.put(SETTINGS, BEFORE)
    computer.launch("launcher", "--apply")
    computer.carry_out(present([computer.profile()], WANTED))
    assert "id.example.net" in computer.text(SETTINGS)
    assert not present([computer.profile()], WANTED).pending
    computer.carry_out(absent([computer.profile()]))
    assert (computer.text(SETTINGS), computer.names()) == (BEFORE, [SETTINGS])


def test_reset_leaves_the_rest_of_the_role_and_the_role_the_rest_of_all(computer: Computer) -> None:
    computer.put(SETTINGS, BEFORE)
    computer.carry_out(present([computer.profile()], WANTED))
    computer.launch("launcher", "--apply")
    assert OURS in computer.text(SETTINGS)
    assert "Your IT department" in computer.launch("reset")
    now = computer.text(SETTINGS)
    assert "key = 'first'" in now
    assert "direct-server = 'N'" in now
    assert "custom-rendezvous-server" not in now
    computer.carry_out(absent([computer.profile()]))
    assert (computer.text(SETTINGS), computer.names()) == (BEFORE, [SETTINGS])


def test_role_looks_after_what_a_launcher_has_set(computer: Computer) -> None:
    computer.carry_out(present([computer.profile()], WANTED))
    computer.launch("launcher", "--apply")
    assert present([computer.profile()], WANTED).pending
    computer.carry_out(present([computer.profile()], WANTED))
    assert "id.example.net" in computer.text(SETTINGS)
    computer.carry_out(absent([computer.profile()]))
    assert computer.names() == []
    assert RECORD not in computer.names()
