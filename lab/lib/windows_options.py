r"""Every Windows task of the repository against the documentation of the real collections.

Neither ansible-lint nor a syntax check looks at the options of Windows modules, and several of these modules ignore
options that they do not know. Here a mistyped option, a value that is no choice, a missing option and a module that
does not exist are each a finding, and so is a Windows path in double quotes, where YAML reads ``\\t`` as a tab.

``--write-specs`` writes the same knowledge of the modules that the lab models to its ``specs.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from console import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPECS = ROOT / "lab" / "windows" / "windows_lab" / "specs.json"
TOPS = ("inventories", "molecule", "playbooks", "roles", "tests")
MODULE = re.compile(r"^(?:[a-z0-9_]+\.windows\.\w+|win_\w+)$")
TEMPLATE = re.compile(r"\{\{|\{%")
# What a Windows path begins with, and an escape behind it; or one right after a template, but for a line's end.
ESCAPED_PATH = re.compile(r"(?:(?:\b[A-Za-z]|\bHK(?:CC|CR|CU|LM|U)):|%\w+%)(?:/[^\\\s]*)?\\|\}\}\\[^nr]")
ANY_TEXT = "x"
SAMPLES: dict[str, Any] = {"bool": True, "int": 1, "float": 1.0, "list": [], "dict": {}}
FREE_FORM = "_raw_params"

# What the documentation has no place for, from the modules' own argument specs.
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "ansible.windows.win_command": {
        "mutually_exclusive": [["_raw_params", "argv", "cmd"]],
        "required_one_of": [["_raw_params", "argv", "cmd"]],
    },
    "ansible.windows.win_get_url": {"mutually_exclusive": [["checksum", "checksum_url"]]},
    "ansible.windows.win_package": {
        "required_by": {"creates_version": ["creates_path"]},
        "required_if": [["state", "present", ["path"]], ["state", "absent", ["path", "product_id"], True]],
    },
    "ansible.windows.win_service": {"required_by": {"password": ["username"]}},
    "ansible.windows.win_copy": {"mutually_exclusive": [["src", "content"]], "required_one_of": [["src", "content"]]},
}
MODELLED = (
    "ansible.windows.setup",
    "ansible.windows.slurp",
    "ansible.windows.win_acl",
    "ansible.windows.win_command",
    "ansible.windows.win_copy",
    "ansible.windows.win_file",
    "ansible.windows.win_find",
    "ansible.windows.win_get_url",
    "ansible.windows.win_package",
    "ansible.windows.win_ping",
    "ansible.windows.win_reg_stat",
    "ansible.windows.win_regedit",
    "ansible.windows.win_service",
    "ansible.windows.win_service_info",
    "ansible.windows.win_stat",
    "community.windows.win_firewall_rule",
)
# What action plugins add on their way to the target. There, other constraints hold than for who writes the task.
TARGET_OPTIONS: dict[str, dict[str, Any]] = {
    "ansible.windows.win_copy": {
        "_copy_mode": {"type": "str", "default": "single", "choices": ["explode", "query", "remote", "single"]},
        "_original_basename": {"type": "str"},
        "directories": {"type": "list", "elements": "dict"},
        "files": {"type": "list", "elements": "dict"},
        "follow": {"type": "bool"},
        "mode": {"type": "raw"},
        "symlinks": {"type": "list", "elements": "dict"},
    },
    "ansible.windows.win_file": {"_original_basename": {"type": "str"}},
}
UNCONSTRAINED_ON_TARGET = frozenset({"ansible.windows.win_copy"})


@dataclass(frozen=True)
class Task:
    """A task that calls a Windows module: where it stands, and its arguments as they are written."""

    file: Path
    line: int
    name: str
    module: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is wrong where."""

    file: Path
    line: int
    sentence: str

    def __str__(self) -> str:
        path = self.file.relative_to(ROOT) if self.file.is_relative_to(ROOT) else self.file
        return f"{path}:{self.line}: {self.sentence}"


# --- Documentation ---------------------------------------------------------------------------------------------------


def documentation(modules: Iterable[str]) -> dict[str, Any]:
    """Documented options of those of the modules that exist.

    Raises RuntimeError when ``ansible-doc`` does not answer at all.
    """
    names = sorted(set(modules))
    if not names:
        return {}
    done = subprocess.run(  # noqa: S603
        [str(Path(sys.executable).with_name("ansible-doc")), "--type", "module", "--json", *names],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    start = done.stdout.find("{")
    if start < 0:
        raise RuntimeError(f"ansible-doc says nothing of {', '.join(names)}: {done.stderr.strip()}")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(done.stdout[start:])[0]
    return {name: about["doc"].get("options") or {} for name, about in found.items() if "doc" in about}


def argument_spec(documented: dict[str, Any]) -> dict[str, Any]:
    """The form in which Ansible checks arguments, of options as they are documented."""
    return {name: _option(about) for name, about in documented.items()}


def _option(about: dict[str, Any]) -> dict[str, Any]:
    kept = ("type", "required", "default", "choices", "aliases", "elements")
    option = {
        key: about[key]
        for key in kept
        if about.get(key) not in (None, [], False) or (about.get(key) is False and key == "default")
    }
    if isinstance(option.get("choices"), dict):
        option["choices"] = list(option["choices"])
    if option.get("type") == "list" and isinstance(option.get("default"), str):
        option["default"] = [option["default"]]
    if option.get("required"):
        option.pop("default", None)
    if about.get("suboptions"):
        option["options"] = argument_spec(about["suboptions"])
    return option


def specs() -> dict[str, Any]:
    """What the lab's stand-in knows: options and constraints of each module that it models."""
    documented = documentation(MODELLED)
    return {
        module: {
            "options": argument_spec(documented[module]) | TARGET_OPTIONS.get(module, {}),
            **({} if module in UNCONSTRAINED_ON_TARGET else CONSTRAINTS.get(module, {})),
        }
        for module in MODELLED
    }


def specs_text() -> str:
    """The file that the stand-in reads them from."""
    return json.dumps(specs(), indent=1, sort_keys=True) + "\n"


# --- Tasks -----------------------------------------------------------------------------------------------------------


def plain(node: yaml.Node) -> Any:
    """A YAML node's value. What a tag makes of it (a vault, say) is only known later, as with a template."""
    if isinstance(node, yaml.MappingNode):
        return {plain(key): plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    if not node.tag.startswith("tag:yaml.org,2002:"):
        return "{{ tagged }}"
    return yaml.SafeLoader("").construct_object(node)


def tasks_in(file: Path, root: yaml.Node | None) -> Iterator[Task]:
    """Every Windows task of a file: of a play, a block, a handler or a list of tasks, at whatever depth."""
    if isinstance(root, yaml.SequenceNode):
        for entry in root.value:
            yield from tasks_in(file, entry)
    elif isinstance(root, yaml.MappingNode):
        fields = {key.value: (key, value) for key, value in root.value if isinstance(key, yaml.ScalarNode)}
        for name, (key, value) in fields.items():
            if MODULE.match(name) and not isinstance(value, yaml.SequenceNode):
                title = plain(fields["name"][1]) if "name" in fields else "a task without a name"
                written = plain(value)
                arguments = {FREE_FORM: written} if isinstance(written, str) else written or {}
                more = plain(fields["args"][1]) if "args" in fields else {}
                yield Task(file, key.start_mark.line + 1, str(title), name, {**more, **arguments})
            elif isinstance(value, (yaml.SequenceNode, yaml.MappingNode)):
                yield from tasks_in(file, value)


def settled(option: dict[str, Any], value: Any) -> Any:
    """A value to check in place of one that a template makes when the task runs: any that would do."""
    if isinstance(value, str) and TEMPLATE.search(value):
        return option["choices"][0] if option.get("choices") else SAMPLES.get(option.get("type", "str"), ANY_TEXT)
    if isinstance(value, list) and "options" in option:
        return [
            {name: settled(option["options"].get(name, {}), one) for name, one in entry.items()}
            for entry in value
            if isinstance(entry, dict)
        ]
    if isinstance(value, list):
        return [one for one in value if not (isinstance(one, str) and TEMPLATE.search(one))]
    return value


def faults(task: Task, documented: dict[str, Any]) -> list[str]:
    """What is wrong with a task, a sentence each."""
    if "." not in task.module:
        return [f"give {task.module} its full name, ansible.windows.{task.module} or another collection's"]
    if task.module not in documented:
        return [f"there is no module {task.module} in the pinned collections"]
    spec = argument_spec(documented[task.module])
    by_alias = {alias: name for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}
    arguments = {name: settled(spec.get(by_alias.get(name, name), {}), value) for name, value in task.arguments.items()}
    constraints = CONSTRAINTS.get(task.module, {})
    result = ArgumentSpecValidator(spec, **constraints).validate(arguments)
    return [str(message) for message in result.error_messages]


def check_file(file: Path, text: str) -> tuple[list[Task], list[Finding]]:
    """The Windows tasks of a file, and the Windows paths in it that YAML reads otherwise than they look."""
    double = "write this Windows path in single quotes: in double quotes a single backslash begins an escape"
    try:
        findings = [
            Finding(file, token.start_mark.line + 1, f"{double} ({raw})")
            for token in yaml.scan(text)
            if isinstance(token, yaml.ScalarToken) and token.style == '"'
            for raw in [text[token.start_mark.index : token.end_mark.index]]
            if ESCAPED_PATH.search(raw.replace("\\\\", "/"))
        ]
        roots = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0)
        reason = double if "escape" in str(error) else f"no YAML: {str(error).splitlines()[0]}"
        return [], [Finding(file, line + 1, reason)]
    return [task for root in roots for task in tasks_in(file, root)], findings


def yaml_files(root: Path) -> list[Path]:
    """The files that may have Windows tasks or variables for them."""
    return sorted(
        path
        for top in TOPS
        for path in (root / top).rglob("*")
        if path.suffix in {".yml", ".yaml"} and path.is_file() and "__pycache__" not in path.parts
    )


def check(root: Path = ROOT) -> tuple[int, list[Finding]]:
    """How many Windows tasks there are below a directory, and what is wrong with them."""
    tasks: list[Task] = []
    findings: list[Finding] = []
    for file in yaml_files(root):
        found, wrong = check_file(file, file.read_text(encoding="utf-8"))
        tasks += found
        findings += wrong
    documented = documentation(task.module for task in tasks if "." in task.module)
    findings += [
        Finding(task.file, task.line, f"{task.name}: {sentence}")
        for task in tasks
        for sentence in faults(task, documented)
    ]
    return len(tasks), sorted(findings, key=lambda finding: (finding.file, finding.line))


def main() -> int:
    """Print findings; exit status 1 when there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--write-specs", action="store_true", help="write what the lab's stand-in knows, and check nothing"
    )
    if parser.parse_args().write_specs:
        SPECS.write_text(specs_text(), encoding="utf-8")
        return 0
    count, findings = check()
    for finding in findings:
        print(finding)
    print(f"{count} Windows tasks checked, {len(findings)} findings")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
