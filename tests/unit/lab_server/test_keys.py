"""Key files and the -k option: upstream's table, its fail-open behaviour included."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING

import pytest
from nacl.signing import SigningKey, VerifyKey

from rustdesk_lab import keys
from rustdesk_lab.errors import MalformedKeyFileError

if TYPE_CHECKING:
    from pathlib import Path

SEED = bytes(range(32))
PUBLIC = bytes(SigningKey(SEED).verify_key)
SECRET = SEED + PUBLIC
PUBLIC_TEXT, SECRET_TEXT = (base64.b64encode(key).decode() for key in (PUBLIC, SECRET))


@pytest.fixture
def with_key(tmp_path: Path) -> Path:
    (tmp_path / "id_ed25519").write_text(SECRET_TEXT)
    return tmp_path


@pytest.mark.parametrize("option", ["-", "_"])
def test_hbbs_checks_and_signs_with_the_key_file(with_key: Path, option: str) -> None:
    key = keys.rendezvous_key(option, with_key)
    assert key.required == PUBLIC_TEXT
    signed = key.sign(b"message")
    assert signed[64:] == b"message"
    assert VerifyKey(PUBLIC).verify(signed) == b"message"


def test_hbbs_with_an_empty_key_checks_nothing_and_signs(with_key: Path) -> None:
    assert keys.rendezvous_key("", with_key) == keys.ServerKey("", SECRET)


def test_hbbs_with_a_secret_key_needs_no_file(tmp_path: Path) -> None:
    assert keys.rendezvous_key(SECRET_TEXT, tmp_path) == keys.ServerKey(PUBLIC_TEXT, SECRET)
    assert list(tmp_path.iterdir()) == []


def test_hbbs_with_a_public_key_checks_and_does_not_sign(tmp_path: Path) -> None:
    key = keys.rendezvous_key(PUBLIC_TEXT, tmp_path)
    assert key == keys.ServerKey(PUBLIC_TEXT, None)
    assert key.sign(b"message") == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["", PUBLIC_TEXT, "any text"])
def test_hbbr_takes_a_text_as_it_is(tmp_path: Path, option: str) -> None:
    assert keys.relay_key(option, tmp_path) == keys.ServerKey(option)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["-", "_", SECRET_TEXT])
def test_hbbr_checks_the_public_half(with_key: Path, option: str) -> None:
    assert keys.relay_key(option, with_key) == keys.ServerKey(PUBLIC_TEXT)


def test_a_missing_pair_is_generated_without_characters_that_file_names_forbid(tmp_path: Path) -> None:
    public, secret = keys.load_or_generate(tmp_path)
    assert secret is not None
    assert (tmp_path / "id_ed25519").read_text() == base64.b64encode(secret).decode()
    assert (tmp_path / "id_ed25519.pub").read_text() == public == base64.b64encode(secret[32:]).decode()
    assert "/" not in public
    assert keys.load_or_generate(tmp_path) == (public, secret)


def test_the_public_file_is_never_read(with_key: Path) -> None:
    (with_key / "id_ed25519.pub").write_text("something else")
    assert keys.load_or_generate(with_key)[0] == PUBLIC_TEXT
    assert (with_key / "id_ed25519.pub").read_text() == "something else"


@pytest.mark.parametrize("content", [f"  {SECRET_TEXT}\n\n", SECRET_TEXT.rstrip("=")], ids=["blanks", "no padding"])
def test_blanks_and_missing_padding_do_not_matter(tmp_path: Path, content: str) -> None:
    (tmp_path / "id_ed25519").write_text(content)
    assert keys.load_or_generate(tmp_path) == (PUBLIC_TEXT, SECRET)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "garbage",
        PUBLIC_TEXT,
        SECRET_TEXT[:-3] + "B==",
        SECRET_TEXT[:20] + "\n" + SECRET_TEXT[20:],
        SECRET_TEXT + "=",
    ],
    ids=["empty", "garbage", "public half", "bits left over", "wrapped", "padding"],
)
def test_a_malformed_key_file_stops_the_daemon(tmp_path: Path, content: str) -> None:
    (tmp_path / "id_ed25519").write_text(content)
    with pytest.raises(MalformedKeyFileError, match=r"^Fatal error: malformed private key in id_ed25519\.$"):
        keys.rendezvous_key("-", tmp_path)


def unreadable(path: Path) -> None:
    path.mkdir()


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


def without_directory(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize("spoil", [unreadable, not_text, without_directory])
def test_an_unreadable_key_leaves_both_daemons_open(
    tmp_path: Path, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rustdesk_lab")
    directory = tmp_path / "state"
    directory.mkdir()
    assert callable(spoil)
    spoil(directory / "id_ed25519")
    assert keys.rendezvous_key("-", directory) == keys.ServerKey("", None)
    assert keys.relay_key("_", directory) == keys.ServerKey("")
    assert caplog.text == "", "upstream does not say a word"


def test_the_public_file_is_overwritten_even_when_the_secret_one_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519.pub").write_text(PUBLIC_TEXT)
    (tmp_path / "id_ed25519").symlink_to(tmp_path / "missing" / "key")
    assert keys.load_or_generate(tmp_path) == ("", None)
    assert (tmp_path / "id_ed25519.pub").read_text() != PUBLIC_TEXT


def test_the_key_is_logged_for_the_operator(with_key: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rustdesk_lab")
    keys.rendezvous_key("-", with_key)
    assert caplog.messages == ["Private key comes from id_ed25519", f"Key: {PUBLIC_TEXT}"]
    assert SECRET_TEXT[:20] not in caplog.text
