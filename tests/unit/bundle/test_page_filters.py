"""The filters of the page, alone and inside Ansible."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st
from lxml import html  # type: ignore[import-untyped]

from filter.rustdesk_page import (
    FilterModule,
    rustdesk_bandwidth_plan,
    rustdesk_page_texts,
    rustdesk_qr_svg,
)

from ..wire_examples import vectors  # noqa: TID252 - the tests are no installed package

ROOT = Path(__file__).resolve().parents[3]
BANDWIDTH = vectors("bandwidth")


# --- Texts ------------------------------------------------------------------------------


def german(text: str, **values: Any) -> str:
    return str(rustdesk_page_texts({"de": text, "en": "x"}, "de", values))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("a < b & \"c\" 'd'", "a &lt; b &amp; &quot;c&quot; &#x27;d&#x27;"),
        ("`a<b`", "<code>a&lt;b</code>"),
        ("**strong `code`**", "<strong>strong <code>code</code></strong>"),
        ("[the `ports`](#network)", '<a href="#network">the <code>ports</code></a>'),
        ("[docs](https://example.org/a?b&c)", '<a href="https://example.org/a?b&amp;c">docs</a>'),
        ("[no](javascript:alert)", "[no](javascript:alert)"),
        ("{name} and `{name}`", "A&amp;B and <code>A&amp;B</code>"),
        ("[x]({name})", '<a href="A&amp;B">x</a>'),
    ],
)
def test_marks_become_elements_and_the_rest_is_escaped(text: str, rendered: str) -> None:
    assert german(text, name="A&B") == rendered


@given(st.text(max_size=60))
def test_a_value_is_never_markup(value: str) -> None:
    rendered = german("<{name}>", name=value)
    assert "<" not in rendered
    assert html.fromstring(f"<p>{rendered}</p>").xpath("count(//p/*)") == 0


def test_a_tree_keeps_its_shape() -> None:
    tree = {"title": {"de": "Ja", "en": "Yes"}, "rows": [{"id": "a", "text": {"de": "Nein", "en": "No"}}], "n": [1, 3]}
    assert rustdesk_page_texts(tree, "en", {}) == {"title": "Yes", "rows": [{"id": "a", "text": "No"}], "n": [1, 3]}


@pytest.mark.parametrize(
    ("tree", "language", "fault"),
    [
        ({"a": [{"de": "x"}]}, "de", r"texts\.a\[0\] has to be text in de and en, and has de"),
        ({"a": {"de": "x", "en": " "}}, "de", r"texts\.a has to be text"),
        ({"a": {"de": "x", "en": "x", "fr": "x"}}, "de", r"texts\.a has to be text"),
        ({"a": {"de": "{host}", "en": "x"}}, "de", r"texts\.a wants the value host"),
        ({}, "fr", "the page is written in de and en, not in 'fr'"),
    ],
)
def test_a_text_that_lacks_something_is_named(tree: Any, language: str, fault: str) -> None:
    with pytest.raises(AnsibleFilterError, match=fault):
        rustdesk_page_texts(tree, language, {})


# --- Bandwidth --------------------------------------------------------------------------


@pytest.mark.parametrize("case", BANDWIDTH["cases"] + BANDWIDTH["rounded"], ids=lambda case: case["name"])
def test_the_plan_is_that_of_the_examples(case: dict[str, Any]) -> None:
    plan = rustdesk_bandwidth_plan(case["sessions"], case["kilobytes_per_second"])
    assert plan == {"sessions": case["sessions"], **case["plan"]}


def test_the_first_example_is_the_page_s() -> None:
    first = BANDWIDTH["cases"][0]
    assert (first["sessions"], first["kilobytes_per_second"]) == (3, 1000)
    plan = rustdesk_bandwidth_plan(3, 1000)
    assert plan["kilobytes_per_second"] == 3 * 1000
    assert plan["kilobytes_per_second_low"] == pytest.approx(3000 * 1.2)
    assert plan["kilobytes_per_second_high"] == pytest.approx(3000 * 1.3)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_plan_never_promises_too_little(sessions: int, rate: int) -> None:
    plan = rustdesk_bandwidth_plan(sessions, rate)
    assert plan["kilobytes_per_second_high"] * 100 >= sessions * rate * 130
    assert plan["megabits_per_second_high"] * 1000 >= plan["kilobytes_per_second_high"] * 8 - 1e-6


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((0, 1000), "sessions has to be a whole number from 1 up, not 0"),
        (("3", 1000), "sessions has to be a whole number from 1 up, not '3'"),
        ((True, 1000), "sessions has to be a whole number"),
        ((3, 1.5), "kilobytes_per_second has to be a whole number from 1 up, not 1.5"),
        ((3, 1000, (30, 20)), "overhead has to be two percentages"),
    ],
)
def test_a_number_that_plans_nothing_is_refused(arguments: tuple[Any, ...], fault: str) -> None:
    with pytest.raises(AnsibleFilterError, match=fault):
        rustdesk_bandwidth_plan(*arguments)


# --- QR code ----------------------------------------------------------------------------


def test_the_same_text_is_the_same_picture() -> None:
    assert rustdesk_qr_svg("config=abc") == rustdesk_qr_svg("config=abc") != rustdesk_qr_svg("config=abd")


def test_a_text_that_no_code_holds_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="no QR code holds this text"):
        rustdesk_qr_svg("x" * 5000)


def test_a_controller_without_the_library_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(AnsibleFilterError, match="install the Python package segno on the controller"):
        rustdesk_qr_svg("config=abc")


# --- Inside Ansible -----------------------------------------------------------------------


def test_ansible_documents_every_filter() -> None:
    names = sorted(FilterModule().filters())
    command = [sys.executable, "-m", "ansible", "doc", "-t", "filter", "--json", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    documented = json.loads(done.stdout)
    assert sorted(documented) == names
    for entry in documented.values():
        assert entry["examples"]
        assert entry["return"]["_value"]["description"]
