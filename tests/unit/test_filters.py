"""The filters for configuration strings, alone and inside Ansible."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils import config_string
from hypothesis import given
from hypothesis import strategies as st

from filter.rustdesk import FilterModule, rustdesk_config_parse, rustdesk_config_string

from .wire_examples import vectors

ROOT = Path(__file__).resolve().parents[2]
KEY = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
PRIVATE_KEY = base64.b64encode(bytes(64)).decode()
PUBLISHED = vectors("config_string")["cases"][0]

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60)
CONFIGS = st.fixed_dictionaries(
    {
        "host": PRINTABLE.filter(bool),
        "relay": PRINTABLE,
        "api": PRINTABLE,
        "key": st.just("") | st.binary(min_size=32, max_size=32).map(lambda raw: base64.b64encode(raw).decode()),
    }
)


def test_the_published_string_comes_out_byte_for_byte() -> None:
    assert PUBLISHED["config"]["host"] == "rustdesk.gtr.de"
    assert rustdesk_config_string({"host": "rustdesk.gtr.de", "key": PUBLISHED["config"]["key"]}) == PUBLISHED["string"]


@given(CONFIGS)
def test_a_configuration_is_read_as_it_was_written(config: dict[str, str]) -> None:
    string = rustdesk_config_string(config)
    assert rustdesk_config_parse(string) == config
    assert "=" not in string
    assert "--" not in string  # where upstream cuts file names
    padded = "=" * (-len(string) % 4) + string
    assert rustdesk_config_parse(padded) == config
    assert rustdesk_config_parse(f"rustdesk-licensed-{string} (1).exe") == config
    assert json.loads(base64.urlsafe_b64decode(padded[::-1])) == config


@given(CONFIGS)
def test_the_order_of_the_input_does_not_matter(config: dict[str, str]) -> None:
    assert rustdesk_config_string(dict(reversed(config.items()))) == rustdesk_config_string(config)


def test_absent_none_and_empty_parts_are_the_same() -> None:
    full = rustdesk_config_string({"host": "h", "relay": "", "api": "", "key": ""})
    assert rustdesk_config_string({"host": "h"}) == full
    assert rustdesk_config_string({"host": " h\n", "relay": None, "api": None, "key": None}) == full


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_the_filters_own_error(text: str) -> None:
    with contextlib.suppress(AnsibleFilterError):
        assert set(rustdesk_config_parse(text)) == set(config_string.PARTS)


@pytest.mark.parametrize("nesting", ["[", '{"host":'])
def test_deeply_nested_json_is_refused(nesting: str) -> None:
    text = nesting * 100_000
    for string in ("{" + text, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")[::-1]):
        with pytest.raises(AnsibleFilterError, match="not a RustDesk configuration string"):
            rustdesk_config_parse(string)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("host=h", "give a mapping with host and key"),
        (None, "not NoneType"),
        ({}, "host is empty"),
        ({"host": " "}, "host is empty"),
        ({"host": 5}, "host must be text, not int"),
        ({"host": "h", "api": ["x"]}, "api must be text, not list"),
        ({"host": "two words"}, "host must be printable ASCII without spaces"),
        ({"host": "straße.example"}, "host must be printable ASCII without spaces"),
        ({"host": "h\x00"}, "host must be printable ASCII without spaces"),
        ({"host": "h", "relay": "\ud800"}, "relay must be printable ASCII"),
        ({"host": "h", "relai": "r", "kee": ""}, "the parts host, relay, api, key, not kee, relai"),
        ({"host": "h", "key": "short"}, "key is not the content of id_ed25519.pub"),
        ({"host": "h", "key": KEY[:-1]}, "key is not the content of id_ed25519.pub"),
        ({"host": "h", "key": PRIVATE_KEY}, "this is a private key"),
    ],
)
def test_a_configuration_no_client_could_use_is_refused(config: Any, fault: str) -> None:
    with pytest.raises(AnsibleFilterError, match=fault) as caught:
        rustdesk_config_string(config)
    assert PRIVATE_KEY not in str(caught.value)


@pytest.mark.parametrize("text", [None, 5, ["x"], b"x"])
def test_only_text_is_read(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"not {type(text).__name__}"):
        rustdesk_config_parse(text)


# --- Inside Ansible -------------------------------------------------------------------------


def ansible(*arguments: str) -> str:
    command = [sys.executable, "-m", "ansible", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ansible_finds_the_filters() -> None:
    expression = f"{{{{ ('{PUBLISHED['string']}' | rustdesk_config_parse | rustdesk_config_string) ~ '!' }}}}"
    out = ansible("adhoc", "-i", "localhost,", "-c", "local", "localhost", "-m", "debug", "-a", f"msg={expression}")
    assert PUBLISHED["string"] + "!" in out


def test_ansible_documents_every_filter() -> None:
    names = sorted(FilterModule().filters())
    documented = json.loads(ansible("doc", "-t", "filter", "--json", *names))
    assert sorted(documented) == names
    for entry in documented.values():
        assert entry["examples"]
        assert entry["return"]["_value"]["description"]
