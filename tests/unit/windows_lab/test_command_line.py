"""Command lines in and out of their arguments, as on Windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windows_lab.modules.programs import quote, split

ARGUMENTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (
            r'"C:\Program Files\RustDesk\RustDesk.exe" --service',
            [r"C:\Program Files\RustDesk\RustDesk.exe", "--service"],
        ),
        (r"a\b \\server\x", [r"a\b", r"\\server\x"]),
        (r'a "" b', ["a", "", "b"]),
        (r'"a \"b\" c"', ['a "b" c']),
        (r'"ends in \\" x', ["ends in \\", "x"]),
        ("  a\tb ", ["a", "b"]),
    ],
)
def test_line_is_split(line: str, arguments: list[str]) -> None:
    assert split(line) == arguments


@given(st.lists(ARGUMENTS, min_size=1, max_size=4))
def test_what_is_quoted_is_split_again(arguments: list[str]) -> None:
    assert split(" ".join(quote(argument) for argument in arguments)) == arguments
