# SPDX-License-Identifier: MIT
"""Compare a role's variables with its argument specification, more strictly than Ansible does.

Ansible's own validation accepts a misspelt variable, a list where a string belongs, and a number where text belongs;
each of these turns into a deployment that is not the one that was asked for.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Spec = Mapping[str, Mapping[str, Any]]
"""The `options` of an entry point of `meta/argument_specs.yml`."""

_BOOLEANS = ("yes", "no", "true", "false", "on", "off", "1", "0")

# Narrower than int() and float(), which take underscores, foreign digits, inf and nan: programs get the text as it is.
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def _is_int(value: object) -> bool:
    if isinstance(value, str):
        return bool(_INTEGER.fullmatch(value))
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float(value: object) -> bool:
    if isinstance(value, str):
        return bool(_NUMBER.fullmatch(value))
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_bool(value: object) -> bool:
    return str(value).lower() in _BOOLEANS


def as_bool(value: object) -> bool:
    """Return what a value means that passed as true or false."""
    return str(value).lower() in ("yes", "true", "on", "1")


_TYPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("text", lambda value: isinstance(value, str)),
    "path": ("text", lambda value: isinstance(value, str)),
    "int": ("a whole number", _is_int),
    "float": ("a number", _is_float),
    "bool": ("true or false", _is_bool),
    "list": ("a list", lambda value: isinstance(value, list)),
    "dict": ("a mapping", lambda value: isinstance(value, Mapping)),
}

_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    Mapping: "a mapping",
    type(None): "nothing",
}


def _kind(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "infinite or undefined"
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), "something else")


def _way_out(value: object, wanted: str) -> str:
    if value is None:
        return "; give a value, or remove the variable to take its default"
    if wanted == "text" and isinstance(value, (int, float)):
        return "; put it in quotes"
    if wanted == "a list" and isinstance(value, str):
        return "; write it as [entry, entry]"
    if wanted == "text" and isinstance(value, list):
        return "; give one value"
    return ""


def faults(variables: Mapping[str, Any], spec: Spec, prefix: str) -> dict[str, str]:
    """Return a sentence for each variable that is misspelt, of another type or outside its choices.

    Values are not repeated, except where there is a choice: a variable may hold a secret.

    Args:
        variables: every variable that starts with `prefix`, templated.
        spec: the specification of the role's entry point.
        prefix: what the names of the role's variables start with.
    """
    found = {name: _fault_of(name, variables[name], spec, prefix) for name in sorted(variables)}
    return {name: f"{name}: {fault}" for name, fault in found.items() if fault}


def _fault_of(name: str, value: object, spec: Spec, prefix: str) -> str:
    if name not in spec:
        close = difflib.get_close_matches(name, spec, n=1, cutoff=0.75)
        if close:
            return f"the role has no such variable; is {close[0]} meant?"
        return (
            f"the role has no such variable; names that start with {prefix} belong to it, so remove or rename this one"
        )
    option = spec[name]
    wanted, fits = _TYPES[option.get("type", "str")]
    if not fits(value):
        return f"has to be {wanted}, but is {_kind(value)}{_way_out(value, wanted)}"
    element, element_fits = _TYPES[option.get("elements", "str")]
    if isinstance(value, list):
        for number, entry in enumerate(value, start=1):
            if not element_fits(entry):
                return (
                    f"entry {number} of the list has to be {element}, but is {_kind(entry)}{_way_out(entry, element)}"
                )
    choices = option.get("choices")
    if choices and value not in choices:
        known = ", ".join(str(choice) or "empty" for choice in choices)
        return f"'{value}' is none of its choices: {known}"
    return ""
