"""The programs that the lab's stand-in for Windows lists and ends."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from windows_lab import processes
from windows_lab.errors import NotModelledError

if TYPE_CHECKING:
    from pathlib import Path

LIST = ["/v", "/fo", "csv", "/nh", "/fi", "imagename eq rustdesk.exe"]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name, line in (
        (7, "rustdesk.exe", b"C:\\P\\RustDesk.exe\0"),
        (8, "rustdesk.exe", b"C:\\P\\RustDesk.exe\0--service\0"),
        (9, "wineserver", b"wineserver\0"),
    ):
        entry = tmp_path / str(number)
        entry.mkdir()
        (entry / "comm").write_text(f"{name}\n", encoding="utf-8")
        (entry / "cmdline").write_bytes(line)
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(processes, "PROC", tmp_path)


@pytest.mark.usefixtures("running")
def test_programs_are_listed_with_their_users() -> None:
    lines = processes.tasklist(LIST).stdout.splitlines()
    assert [line.split(",")[1] for line in lines] == ['"7"', '"8"']
    assert r"ENDPOINT-WIN\Administrator" in lines[0]
    assert r"NT AUTHORITY\SYSTEM" in lines[1]
    none = processes.tasklist([*LIST[:-1], "imagename eq none.exe"])
    assert (none.status, none.stdout[:5]) == (0, "INFO:")


@pytest.mark.parametrize("arguments", [[], ["/svc"], [*LIST[:-1], "pid eq 7"]])
def test_another_question_is_not_modelled(arguments: list[str]) -> None:
    with pytest.raises(NotModelledError):
        processes.tasklist(arguments)
    with pytest.raises(NotModelledError):
        processes.taskkill(arguments)


def test_a_program_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[int, int]] = []

    def kill(number: int, what: int) -> None:
        if number != 7:
            raise ProcessLookupError
        ended.append((number, what))

    monkeypatch.setattr(os, "kill", kill)
    assert processes.taskkill(["/f", "/pid", "7"]).status == 0
    assert processes.taskkill(["/f", "/pid", "8"]).status == 128
    assert ended == [(7, signal.SIGKILL)]
