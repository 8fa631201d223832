# SPDX-License-Identifier: MIT
"""Compare a role's variables with its argument specification, more strictly than Ansible does.

Ansible's own validation accepts a misspelt variable, a list where a string belongs, and a number where text belongs; each of
these turns into a deployment that is not the one that was asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

Spec = Mapping[str, Mapping[str, Any]]
"""The ``options`` of an entry point of ``meta/argument_specs.yml``."""

_BOOLEANS = ("yes", "no", "true", "false", "on", "off", "1", "0")


def _is_int(value: object) -> bool:
    return not isinstance(value, bool) and (
        isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("-").isdecimal())
    )


def _is_float(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


_TYPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("text", lambda value: isinstance(value, str)),
    "path": ("text", lambda value: isinstance(value, str)),
    "int": ("a whole number", _is_int),
    "float": ("a number", _is_float),
    "bool": ("true or false", lambda value: isinstance(value, bool) or str(value).lower() in _BOOLEANS),
    "list": ("a list", lambda value: isinstance(value, list)),
    "dict": ("a mapping", lambda value: isinstance(value, Mapping)),
}

_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


def _kind(value: object) -> str:
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), type(value).__name__)


def faults(variables: Mapping[str, Any], spec: Spec, prefix: str) -> list[str]:
    """Return a sentence for each variable that is misspelt, of another type or outside its choices.

    Values are not repeated: a variable may hold a secret.

    :param variables: every variable that starts with ``prefix``, templated
    :param spec: the specification of the role's entry point
    :param prefix: what the names of the role's variables start with
    """
    return [fault for name in sorted(variables) for fault in _faults_of(name, variables[name], spec, prefix)]


def _faults_of(name: str, value: object, spec: Spec, prefix: str) -> list[str]:
    if name not in spec:
        close = difflib.get_close_matches(name, spec, n=1, cutoff=0.75)
        way_out = (
            f"is {close[0]} meant?"
            if close
            else f"names that start with {prefix} belong to the role; remove or rename it"
        )
        return [f"{name}: the role has no such variable; {way_out}"]
    option = spec[name]
    wanted, fits = _TYPES[option.get("type", "str")]
    if not fits(value):
        quote = "; put it in quotes" if wanted == "text" and isinstance(value, (int, float)) else ""
        return [f"{name}: has to be {wanted}, but is {_kind(value)}{quote}"]
    element, element_fits = _TYPES[option.get("elements", "str")]
    if isinstance(value, list) and not all(map(element_fits, value)):
        return [f"{name}: every entry of the list has to be {element}"]
    choices = option.get("choices")
    if choices and value not in choices:
        return [
            f"{name}: '{value}' is not one of {', '.join(repr(choice) if choice == '' else str(choice) for choice in choices)}"
        ]
    return []
