"""Filters that the download page is made with; documented in the YAML files beside this one."""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LANGUAGES = ("de", "en")
"""What every text of the page has to be written in."""

_MARKUP = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\*\*(?P<strong>.+?)\*\*"
    r"|\[(?P<label>[^\]]+)\]\((?P<target>#[a-z][a-z-]*|https://[^\s)]+|\{[a-z_]+\})\)"
    r"|\{(?P<value>[a-z_]+)\}"
)


# --- Texts ------------------------------------------------------------------------------


def rustdesk_page_texts(texts: Any, language: str, values: Mapping[str, Any]) -> Any:
    """Return the tree of texts in one language, each text as HTML that is safe to put anywhere in a page.

    Args:
        texts: mappings and lists; a mapping with a language for a key is a text, everything else is kept.
        language: one of `LANGUAGES`.
        values: what `{name}` in a text stands for.

    Raises:
        AnsibleFilterError: naming the text that lacks a language or a value.
    """
    if language not in LANGUAGES:
        raise AnsibleFilterError(f"the page is written in {' and '.join(LANGUAGES)}, not in {language!r}")
    return _localised(texts, language, values, "texts")


def _localised(node: Any, language: str, values: Mapping[str, Any], path: str) -> Any:
    if isinstance(node, dict):
        if any(known in node for known in LANGUAGES):
            return _rendered(_translation(node, language, path), values, path)
        return {key: _localised(below, language, values, f"{path}.{key}") for key, below in node.items()}
    if isinstance(node, list):
        return [_localised(below, language, values, f"{path}[{index}]") for index, below in enumerate(node)]
    return node


def _translation(text: Mapping[str, Any], language: str, path: str) -> str:
    if set(text) != set(LANGUAGES) or not all(isinstance(words, str) and words.strip() for words in text.values()):
        raise AnsibleFilterError(f"{path} has to be text in {' and '.join(LANGUAGES)}, and has {', '.join(text)}")
    return str(text[language])


def _rendered(text: str, values: Mapping[str, Any], path: str) -> str:
    """Escape a text and turn its few marks into elements; a value is never read as markup."""

    def mark(match: re.Match[str]) -> str:
        if match["code"]:
            return f"<code>{_rendered(match['code'], values, path)}</code>"
        if match["strong"]:
            return f"<strong>{_rendered(match['strong'], values, path)}</strong>"
        if match["label"]:
            target = _rendered(match["target"], values, path)
            return f'<a href="{target}">{_rendered(match["label"], values, path)}</a>'
        if match["value"] not in values:
            raise AnsibleFilterError(f"{path} wants the value {match['value']}, and there is none of that name")
        return escape(str(values[match["value"]]))

    done, end = [], 0
    for match in _MARKUP.finditer(text):
        done += [escape(text[end : match.start()]), mark(match)]
        end = match.end()
    return "".join([*done, escape(text[end:])]).strip()


# --- Bandwidth --------------------------------------------------------------------------


def rustdesk_bandwidth_plan(
    sessions: int, kilobytes_per_second: int, overhead: Sequence[int] = (20, 30)
) -> dict[str, int | float]:
    """Return what concurrent sessions need, without and with an allowance for overhead.

    Whole kB/s throughout, so that the page's script comes to the same figures. 1 kB is 1000 bytes.

    Args:
        sessions: how many at the same time, at least 1.
        kilobytes_per_second: what one of them typically takes, in kB/s, at least 1.
        overhead: allowance in percent, smallest and largest.

    Raises:
        AnsibleFilterError: a number that plans nothing.
    """
    _check_whole("sessions", sessions)
    _check_whole("kilobytes_per_second", kilobytes_per_second)
    smallest, largest = overhead
    if not 0 <= smallest <= largest:
        raise AnsibleFilterError(f"overhead has to be two percentages, the smaller one first, not {list(overhead)}")
    base = sessions * kilobytes_per_second
    low, high = (-(-base * (100 + percent) // 100) for percent in (smallest, largest))
    return {
        "sessions": sessions,
        "kilobytes_per_second": base,
        "kilobytes_per_second_low": low,
        "kilobytes_per_second_high": high,
        "megabits_per_second": _megabits(base),
        "megabits_per_second_low": _megabits(low),
        "megabits_per_second_high": _megabits(high),
    }


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise AnsibleFilterError(f"{name} has to be a whole number from 1 up, not {value!r}")


def _megabits(kilobytes: int) -> float:
    """Return kB/s as Mbit/s, rounded up to a tenth: too little is the worse mistake."""
    return -(-kilobytes * 8 // 100) / 10


# --- QR code ----------------------------------------------------------------------------


def rustdesk_qr_svg(text: str) -> str:
    """Return a picture of a QR code, black on white also where the page is dark, as scanners want it.

    Raises:
        AnsibleFilterError: segno is not installed, or the text is too long for a code.
    """
    try:
        import segno  # noqa: PLC0415  # only who builds the page needs it
    except ImportError:
        raise AnsibleFilterError("install the Python package segno on the controller: it draws the QR code") from None
    try:
        code = segno.make(text, error="m", micro=False)
    except ValueError as error:
        raise AnsibleFilterError(f"no QR code holds this text: {error}") from None
    picture = io.BytesIO()
    code.save(picture, kind="svg", scale=4, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None)
    return picture.getvalue().decode("utf-8")


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "rustdesk_bandwidth_plan": rustdesk_bandwidth_plan,
            "rustdesk_page_texts": rustdesk_page_texts,
            "rustdesk_qr_svg": rustdesk_qr_svg,
        }
