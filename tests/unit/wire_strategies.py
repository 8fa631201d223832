"""Hypothesis strategies for messages, made from the same table the codec uses."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import rendezvous as wire
from hypothesis import strategies as st

_BY_KIND: dict[wire._Kind, st.SearchStrategy[Any]] = {
    wire._Kind.INT32: st.integers(-(1 << 31), (1 << 31) - 1),
    wire._Kind.BOOL: st.booleans(),
    wire._Kind.STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    wire._Kind.BYTES: st.binary(max_size=80),
}


@st.composite
def _message_of(draw: st.DrawFn, kind: type[Any]) -> Any:
    values: dict[str, Any] = {}
    members = [name for name, spec in wire._FIELDS[kind].values() if spec.oneof]
    member = draw(st.sampled_from([None, *members]))
    for name, spec in wire._FIELDS[kind].values():
        if spec.oneof and name != member:
            continue
        value: st.SearchStrategy[Any]
        if spec.kind is wire._Kind.MESSAGE:
            assert spec.message is not None
            value = st.none() | _message_of(spec.message)
        else:
            value = _BY_KIND[spec.kind]
        if spec.repeated:
            value = st.lists(value, max_size=4).map(tuple)
        values[name] = draw(value)
    return kind(**values)


MESSAGES: st.SearchStrategy[wire.Message] = st.sampled_from(sorted(wire.MESSAGE_NUMBERS)).flatmap(
    lambda number: _message_of(wire.MESSAGE_NUMBERS[number])
)
"""Any message with any values."""
