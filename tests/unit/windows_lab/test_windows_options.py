"""The check of Windows tasks, with each fault it is there for planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import windows_options
from windows_lab.modules import MODULES

FILE = Path("tasks.yml")
GOOD = r"""
---
- name: A play
  hosts: all
  tasks:
    - name: Make a folder
      ansible.windows.win_file:
        path: '%APPDATA%\RustDesk'
        state: directory
    - name: Do more
      block:
        - name: Allow it
          community.windows.win_firewall_rule:
            name: RustDesk
            direction: "{{ direction }}"
            profile: [private]
      rescue:
        - name: Say it
          ansible.windows.win_command: rustdesk.exe --version
          args:
            chdir: 'C:\Program Files\RustDesk'
  handlers:
    - name: Restart it
      ansible.windows.win_service:
        name: RustDesk
        state: restarted
        failure_actions:
          - type: restart
            delay_ms: "{{ delay }}"
"""


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    return windows_options.documentation(windows_options.MODELLED)


def sentences(text: str, documented: dict[str, Any]) -> list[str]:
    tasks, findings = windows_options.check_file(FILE, text)
    return [finding.sentence for finding in findings] + [
        fault for task in tasks for fault in windows_options.faults(task, documented)
    ]


def test_tasks_are_found_wherever_they_stand(documented: dict[str, Any]) -> None:
    tasks, _ = windows_options.check_file(FILE, GOOD)
    assert [(task.name, task.line) for task in tasks] == [
        ("Make a folder", 7),
        ("Allow it", 13),
        ("Say it", 19),
        ("Restart it", 24),
    ]
    assert sentences(GOOD, documented) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("state: directory", "sate: directory", "sate"),
        ("state: directory", "state: folder", "folder"),
        ("path: '%APPDATA%\\RustDesk'", "force: true", "path"),
        ("win_file:", "win_flie:", "there is no module ansible.windows.win_flie"),
        ("ansible.windows.win_file:", "win_file:", "give win_file its full name"),
        ("state: restarted", "state: restated", "restated"),
        ("type: restart", "kind: restart", "kind"),
        ("type: restart", "type: reset", "reset"),
        ("chdir:", "chdri:", "chdri"),
        ("profile: [private]", "profile: {private: true}", "profile"),
        ("name: RustDesk\n        state: restarted", "name: RustDesk\n        password: x", "username"),
        ("ansible.windows.win_command: rustdesk.exe --version", "ansible.windows.win_command:", "argv, cmd"),
        ("'%APPDATA%\\RustDesk'", '"%APPDATA%\\temp"', "single quotes"),
        ("'%APPDATA%\\RustDesk'", '"C:\\temp"', "single quotes"),
        ("'%APPDATA%\\RustDesk'", '"C:\\RustDesk"', "single quotes"),
        ("'%APPDATA%\\RustDesk'", '"C:\\\\Users\\name"', "single quotes"),
        ("'%APPDATA%\\RustDesk'", '"HKLM:\\tree"', "single quotes"),
        ("'%APPDATA%\\RustDesk'", '"{{ folder }}\\temp"', "single quotes"),
    ],
)
def test_fault_is_found(right: str, wrong: str, said: str, documented: dict[str, Any]) -> None:
    assert right in GOOD
    assert any(said in sentence for sentence in sentences(GOOD.replace(right, wrong, 1), documented))


@pytest.mark.parametrize(
    "path",
    [
        r"'C:\temp'",
        r"C:\temp",
        r'"C:\\temp\\new"',
        r'"C:/temp"',
        '"{{ folder }}\\\\{{ file }}"',
        '"{{ text }}\\n"',
        '"a line\\nand another: \\ttab"',
    ],
)
def test_path_that_is_read_as_it_looks_is_none(path: str, documented: dict[str, Any]) -> None:
    assert sentences(GOOD.replace(r"'%APPDATA%\RustDesk'", path, 1), documented) == []


def test_vaulted_value_is_any(documented: dict[str, Any]) -> None:
    options = "name: x\n    username: u\n    password: !vault |\n      $ANSIBLE"
    text = f"- name: Set\n  ansible.windows.win_service:\n    {options}"
    assert sentences(text, documented) == []


def test_all_faults_of_a_tree_are_found_with_their_places(tmp_path: Path) -> None:
    tasks = tmp_path / "roles" / "r" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text("---\n- name: Wait\n  ansible.windows.win_pingg:\n", encoding="utf-8")
    (tasks / "vars.yml").write_text('---\nfolder: "C:\\temp"\n', encoding="utf-8")
    count, findings = windows_options.check(tmp_path)
    assert count == 1
    assert [(finding.file.name, finding.line) for finding in findings] == [("main.yml", 3), ("vars.yml", 2)]


def test_every_windows_task_of_the_repository_is_right() -> None:
    _, findings = windows_options.check()
    assert [str(finding) for finding in findings] == []


def test_stand_in_knows_what_the_collections_document() -> None:
    written = windows_options.SPECS.read_text(encoding="utf-8")
    assert written == windows_options.specs_text(), "run lab/lib/windows_options.py --write-specs"


def test_stand_in_models_what_it_knows() -> None:
    assert set(MODULES) == set(windows_options.MODELLED)
