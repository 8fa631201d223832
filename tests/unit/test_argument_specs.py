"""A role's argument specification and its defaults say the same thing, and say it completely."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())

TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "raw": (object,),
    "str": (str,),
}


def load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return content or {}


def is_template(value: object) -> bool:
    return isinstance(value, str) and "{{" in value


def of_type(value: object, kind: str) -> bool:
    """Whether a default's value is of the type, as written: `1.1.16` is a str in YAML, and 1.1 is not."""
    return isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def option_faults(name: str, option: dict[str, Any]) -> Iterator[str]:
    """What an option lacks by itself, and its suboptions likewise."""
    kind = option.get("type")
    if kind not in TYPES:
        yield f"{name}: its type {kind!r} is none"
        return
    if not option.get("description"):
        yield f"{name}: it has no description"
    if kind == "list" and option.get("elements") not in TYPES:
        yield f"{name}: a list needs the type of its elements"
    if "default" in option:
        default = option["default"]
        if option.get("required"):
            yield f"{name}: what is required has no default"
        if not is_template(default) and not of_type(default, kind):
            yield f"{name}: its default {default!r} is no {kind}"
        if not is_template(default) and "choices" in option and default not in option["choices"]:
            yield f"{name}: its default {default!r} is none of its choices"
    for suboption, content in (option.get("options") or {}).items():
        yield from option_faults(f"{name}.{suboption}", content)


def faults(role: str, spec: dict[str, Any], defaults: dict[str, Any]) -> Iterator[str]:
    """Everything in which a role's specification is incomplete, or at odds with its defaults."""
    options: dict[str, Any] = spec.get("argument_specs", {}).get("main", {}).get("options", {})
    for name in sorted(options.keys() | defaults.keys()):
        if not name.startswith(f"{role}_"):
            yield f"{name}: it does not carry the role's name"
        if name not in options:
            yield f"{name}: it has a default, and no specification"
            continue
        yield from option_faults(name, options[name])
        specified = "default" in options[name]
        if specified != (name in defaults):
            yield f"{name}: only one of specification and defaults/main.yml has a default"
        elif specified and options[name]["default"] != defaults[name]:
            yield f"{name}: {options[name]['default']!r} is specified, {defaults[name]!r} is the default"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_specification_equals_defaults(role: Path) -> None:
    spec = load(role / "meta" / "argument_specs.yml")
    assert spec["argument_specs"]["main"]["options"]
    assert list(faults(role.name, spec, load(role / "defaults" / "main.yml"))) == []


def test_there_are_roles() -> None:
    assert ROLES


SPEC: dict[str, Any] = {
    "argument_specs": {
        "main": {
            "options": {
                "r_name": {"type": "str", "description": "A name.", "default": "x", "choices": ["x", "y"]},
                "r_ports": {"type": "list", "elements": "int", "description": "Ports.", "default": [1]},
                "r_secret": {"type": "str", "description": "A secret has no default."},
            }
        }
    }
}
DEFAULTS: dict[str, Any] = {"r_name": "x", "r_ports": [1]}

Options = dict[str, Any]

PLANTED: list[tuple[str, Callable[[Options, Options], object], str]] = [
    ("another value", lambda _, d: d.update(r_name="y"), "r_name: 'x' is specified, 'y' is the default"),
    (
        "no default",
        lambda _, d: d.pop("r_name"),
        "r_name: only one of specification and defaults/main.yml has a default",
    ),
    ("a secret's default", lambda _, d: d.update(r_secret=""), "r_secret: only one of"),
    ("no specification", lambda o, _: o.pop("r_name"), "r_name: it has a default, and no specification"),
    (
        "a foreign name",
        lambda o, _: o.update(x={"type": "str", "description": "X."}),
        "x: it does not carry the role's",
    ),
    ("no type", lambda o, _: o["r_name"].pop("type"), "r_name: its type None is none"),
    ("no elements", lambda o, _: o["r_ports"].pop("elements"), "r_ports: a list needs the type of its elements"),
    ("no description", lambda o, _: o["r_name"].pop("description"), "r_name: it has no description"),
    ("a wrong type", lambda o, _: o["r_name"].update(type="int"), "r_name: its default 'x' is no int"),
    (
        "a wrong choice",
        lambda o, _: o["r_name"].update(choices=["y"]),
        "r_name: its default 'x' is none of its choices",
    ),
    ("required", lambda o, _: o["r_name"].update(required=True), "r_name: what is required has no default"),
    (
        "a suboption",
        lambda o, _: o["r_ports"].update(options={"port": {"type": "int"}}),
        "r_ports.port: it has no description",
    ),
]


def test_a_sound_specification_has_no_faults() -> None:
    assert list(faults("r", SPEC, DEFAULTS)) == []


@pytest.mark.parametrize(("plant", "sentence"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_planted_fault_is_found(plant: Callable[[Options, Options], object], sentence: str) -> None:
    spec, defaults = copy.deepcopy(SPEC), copy.deepcopy(DEFAULTS)
    plant(spec["argument_specs"]["main"]["options"], defaults)
    found = list(faults("r", spec, defaults))
    assert [fault for fault in found if fault.startswith(sentence)], found
