"""Variables of a role that are misspelt, of another type or outside their choices."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.role_inputs import as_bool, faults

PREFIX = "demo_"
SPEC: dict[str, dict[str, Any]] = {
    "demo_text": {"type": "str"},
    "demo_place": {"type": "path"},
    "demo_count": {"type": "int"},
    "demo_share": {"type": "float"},
    "demo_switch": {"type": "bool"},
    "demo_names": {"type": "list", "elements": "str"},
    "demo_ports": {"type": "list", "elements": "int"},
    "demo_table": {"type": "dict"},
    "demo_mode": {"type": "str", "choices": ["", "full", "relay"]},
    "demo_untyped": {},
}


def fault(name: str, value: object) -> str:
    return faults({name: value}, SPEC, PREFIX).get(name, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("demo_text", ""),
        ("demo_text", "text"),
        ("demo_untyped", "text"),
        ("demo_place", "/opt"),
        ("demo_count", 0),
        ("demo_count", -3),
        ("demo_count", "21116"),
        ("demo_count", "-3"),
        ("demo_share", 0.5),
        ("demo_share", 1),
        ("demo_share", "0.66"),
        ("demo_share", "128"),
        ("demo_switch", True),
        ("demo_switch", "yes"),
        ("demo_switch", "False"),
        ("demo_switch", 1),
        ("demo_names", []),
        ("demo_names", ["a", "b"]),
        ("demo_ports", [1, "2"]),
        ("demo_table", {}),
        ("demo_mode", ""),
        ("demo_mode", "relay"),
    ],
)
def test_what_fits_is_no_fault(name: str, value: object) -> None:
    assert faults({name: value}, SPEC, PREFIX) == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("demo_text", 1.2, "has to be text, but is a number; put it in quotes"),
        ("demo_text", 7, "has to be text, but is a number; put it in quotes"),
        ("demo_text", True, "has to be text, but is true or false; put it in quotes"),
        ("demo_text", ["a"], "has to be text, but is a list; give one value"),
        ("demo_text", {"a": 1}, "has to be text, but is a mapping"),
        ("demo_text", None, "has to be text, but is nothing; give a value, or remove the variable to take its default"),
        ("demo_untyped", 1, "has to be text, but is a number; put it in quotes"),
        ("demo_place", 1, "has to be text, but is a number; put it in quotes"),
        ("demo_count", "many", "has to be a whole number, but is text"),
        ("demo_count", "", "has to be a whole number, but is text"),
        ("demo_count", "--5", "has to be a whole number, but is text"),
        ("demo_count", " 5", "has to be a whole number, but is text"),
        ("demo_count", "5\n", "has to be a whole number, but is text"),
        ("demo_count", "1_000", "has to be a whole number, but is text"),
        ("demo_count", "\u0663", "has to be a whole number, but is text"),
        ("demo_count", "9" * 5000, "has to be a whole number, but is text"),
        ("demo_count", "5.0", "has to be a whole number, but is text"),
        ("demo_count", 5.0, "has to be a whole number, but is a number"),
        ("demo_count", True, "has to be a whole number, but is true or false"),
        ("demo_count", None, "has to be a whole number, but is nothing; give a value"),
        ("demo_count", [5], "has to be a whole number, but is a list"),
        ("demo_share", "128 Mb", "has to be a number, but is text"),
        ("demo_share", "nan", "has to be a number, but is text"),
        ("demo_share", "inf", "has to be a number, but is text"),
        ("demo_share", "1_0.5", "has to be a number, but is text"),
        ("demo_share", "0,5", "has to be a number, but is text"),
        ("demo_share", float("nan"), "has to be a number, but is infinite or undefined"),
        ("demo_share", float("inf"), "has to be a number, but is infinite or undefined"),
        ("demo_share", False, "has to be a number, but is true or false"),
        ("demo_switch", "maybe", "has to be true or false, but is text"),
        ("demo_switch", "", "has to be true or false, but is text"),
        ("demo_switch", 2, "has to be true or false, but is a number"),
        ("demo_switch", 1.0, "has to be true or false, but is a number"),
        ("demo_switch", None, "has to be true or false, but is nothing; give a value"),
        ("demo_switch", ["yes"], "has to be true or false, but is a list"),
        ("demo_names", "a,b", "has to be a list, but is text; write it as [entry, entry]"),
        ("demo_names", {"a": 1}, "has to be a list, but is a mapping"),
        ("demo_names", None, "has to be a list, but is nothing; give a value"),
        ("demo_names", ["a", 1.2], "entry 2 of the list has to be text, but is a number; put it in quotes"),
        ("demo_names", [["a"], "b"], "entry 1 of the list has to be text, but is a list; give one value"),
        ("demo_names", [None], "entry 1 of the list has to be text, but is nothing"),
        ("demo_ports", [1, "two"], "entry 2 of the list has to be a whole number, but is text"),
        ("demo_table", [], "has to be a mapping, but is a list"),
        ("demo_mode", "both", "'both' is none of its choices: empty, full, relay"),
        ("demo_mode", "Full", "'Full' is none of its choices: empty, full, relay"),
        ("demo_nmaes", ["a"], "the role has no such variable; is demo_names meant?"),
        ("demo_counts", 1, "the role has no such variable; is demo_count meant?"),
        (
            "demo_something_else",
            1,
            "the role has no such variable; names that start with demo_ belong to it, so remove or rename this one",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_way_out(name: str, value: object, sentence: str) -> None:
    assert fault(name, value).startswith(f"{name}: {sentence}")
    assert "\n" not in fault(name, value)


def test_every_fault_is_told_in_the_order_of_names() -> None:
    found = faults({"demo_text": 1, "demo_count": "x", "demo_tetx": "", "demo_mode": "full"}, SPEC, PREFIX)
    assert list(found) == ["demo_count", "demo_tetx", "demo_text"]


@pytest.mark.parametrize("name", [name for name in SPEC if name != "demo_mode"] + ["demo_misspelt", "demo_txet"])
@pytest.mark.parametrize("secret", ["c2VjcmV0", ["c2VjcmV0"], {"c2VjcmV0": "c2VjcmV0"}, [["c2VjcmV0"]]])
def test_a_value_is_never_repeated(name: str, secret: object) -> None:
    assert "c2VjcmV0" not in fault(name, secret)


@pytest.mark.parametrize(("value", "meaning"), [(True, True), ("Yes", True), ("on", True), (1, True), ("1", True)])
def test_what_passes_as_true_is_true(value: object, meaning: bool) -> None:
    assert fault("demo_switch", value) == ""
    assert as_bool(value) is meaning


@pytest.mark.parametrize("value", [False, "No", "off", 0, "0", "FALSE"])
def test_what_passes_as_false_is_false(value: object) -> None:
    assert fault("demo_switch", value) == ""
    assert as_bool(value) is False
