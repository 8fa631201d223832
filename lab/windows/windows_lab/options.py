"""Options of modules, checked against what the real collections document.

``specs.json`` holds that; ``lab/lib/windows_options.py --write-specs`` writes it.

Stricter than Windows in one way: several real modules ignore options that they do not know, and this one never does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from windows_lab.errors import Refused

SPECS = Path(__file__).with_name("specs.json")
TRUE = {"y", "yes", "on", "1", "true", "t"}
FALSE = {"n", "no", "off", "0", "false", "f"}

Spec = dict[str, Any]


def load(path: Path = SPECS) -> dict[str, Spec]:
    """Per module: its options, and the constraints between them."""
    specs: dict[str, Spec] = json.loads(path.read_text(encoding="utf-8"))
    return specs


def check(spec: Spec, arguments: dict[str, Any]) -> dict[str, Any]:
    """A module's parameters: every option there is, in its type, with its default.

    Raises Refused with Ansible's own sentence about the first fault.
    """
    parameters = _options(spec["options"], arguments)
    _constraints(spec, parameters)
    return parameters


def _options(options: dict[str, Spec], arguments: dict[str, Any], where: str = "") -> dict[str, Any]:
    names = {alias: name for name, option in options.items() for alias in (name, *option.get("aliases", ()))}
    unknown = sorted(set(arguments) - set(names))
    if unknown:
        supported = f"Supported parameters include: {', '.join(sorted(options))}"
        msg = f"Unsupported parameters for the module: {', '.join(unknown)}. {supported}{where}"
        raise Refused(msg)
    given = {names[name]: value for name, value in arguments.items() if value is not None}
    missing = sorted(name for name, option in options.items() if option.get("required") and name not in given)
    if missing:
        msg = f"missing required arguments: {', '.join(missing)}{where}"
        raise Refused(msg)
    return {
        name: _value(name, option, given.get(name, option.get("default")), where) for name, option in options.items()
    }


def _value(name: str, option: Spec, value: Any, where: str) -> Any:
    if value is None:
        return None
    converted = _convert(name, option, value, where)
    choices = option.get("choices")
    if choices:
        for one in converted if isinstance(converted, list) else [converted]:
            if one not in choices:
                msg = f"value of {name} must be one of: {', '.join(map(str, choices))}, got: {one}{where}"
                raise Refused(msg)
    return converted


def _convert(name: str, option: Spec, value: Any, where: str) -> Any:
    kind = option.get("type", "str")
    if kind in {"str", "path"} and not isinstance(value, (dict, list)):
        return str(value)
    if kind == "bool":
        text = str(value).lower()
        if text in TRUE | FALSE:
            return text in TRUE
    elif kind == "int":
        try:
            return int(str(value))
        except ValueError:
            pass
    elif kind == "list":
        values = value if isinstance(value, list) else str(value).split(",") if isinstance(value, str) else [value]
        return [_element(name, option, one, where) for one in values]
    elif kind == "raw" or (kind == "dict" and isinstance(value, dict)):
        return value
    msg = f"argument '{name}' is of type {type(value).__name__} and we were unable to convert to {kind}{where}"
    raise Refused(msg)


def _element(name: str, option: Spec, value: Any, where: str) -> Any:
    if "options" in option and isinstance(value, dict):
        return _options(option["options"], value, f"{where} found in {name}")
    return _convert(name, {"type": option.get("elements", "raw")}, value, where)


def _constraints(spec: Spec, parameters: dict[str, Any]) -> None:
    given = {name for name, value in parameters.items() if value is not None}
    for names in spec.get("mutually_exclusive", ()):
        if len(given & set(names)) > 1:
            msg = f"parameters are mutually exclusive: {', '.join(names)}"
            raise Refused(msg)
    for names in spec.get("required_one_of", ()):
        if not given & set(names):
            msg = f"one of the following is required: {', '.join(names)}"
            raise Refused(msg)
    for name, needed in spec.get("required_by", {}).items():
        if name in given and not given.issuperset(needed):
            msg = f"missing parameter(s) required by '{name}': {', '.join(needed)}"
            raise Refused(msg)
    for name, value, needed, *any_will_do in spec.get("required_if", ()):
        if parameters[name] == value:
            enough = given & set(needed) if any_will_do else given.issuperset(needed)
            if not enough:
                quantity = "any" if any_will_do else "all"
                msg = f"{name} is {value} but {quantity} of the following are missing: {', '.join(needed)}"
                raise Refused(msg)
