"""Key pairs: the arithmetic against RFC 8032 and a library, the files as upstream writes them."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils import ed25519
from ansible.module_utils.ed25519 import KeyFormatError, KeyPair
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

# RFC 8032 section 7.1: tests 1, 2, 3, 1024 and SHA(abc).
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
    (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    ),
]
SEEDS = st.binary(min_size=32, max_size=32)
PAIR = KeyPair(seed=bytes.fromhex(RFC_8032[1][0]), public=bytes.fromhex(RFC_8032[1][1]))
OTHER = KeyPair(seed=bytes.fromhex(RFC_8032[2][0]), public=bytes.fromhex(RFC_8032[2][1]))


@pytest.mark.parametrize(("seed", "public"), RFC_8032)
def test_rfc_8032(seed: str, public: str) -> None:
    assert ed25519.public_key(bytes.fromhex(seed)).hex() == public


@given(SEEDS)
def test_a_library_derives_the_same(seed: bytes) -> None:
    assert ed25519.public_key(seed) == Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


@given(SEEDS, st.sampled_from(["", "\n", "\r\n", " \t\n"]))
def test_files_are_read_as_they_were_written(seed: bytes, ending: str) -> None:
    pair = KeyPair(seed=seed, public=ed25519.public_key(seed))
    assert base64.b64decode(pair.private_text) == seed + pair.public
    assert base64.b64decode(pair.public_text) == pair.public
    assert KeyPair.parse(pair.private_text + ending, pair.public_text + ending) == pair
    assert ed25519.validate(pair.private_text, pair.public_text) is None


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("private", "public", "fault"),
    [
        ("", None, "the private key is empty"),
        ("  \n", None, "the private key is empty"),
        ("no base64!", None, "the private key is not standard base64"),
        (PAIR.private_text[:-2], None, "the private key is not standard base64"),
        (PAIR.private_text.replace("+", "-").replace("/", "_"), None, "the private key is not standard base64"),
        (PAIR.private_text + "\n" + PAIR.public_text, None, "the private key is not standard base64"),
        ("schlüssel" + PAIR.private_text, None, "the private key is not standard base64"),
        (b64(PAIR.seed), None, "the private key must hold 64 bytes, it holds 32"),
        (PAIR.public_text, None, "the private key must hold 64 bytes, it holds 32"),
        (b64(PAIR.seed + PAIR.public + b"x"), None, "the private key must hold 64 bytes, it holds 65"),
        (b64(PAIR.seed + OTHER.public), None, "second half is not the public key that its seed derives"),
        (b64(PAIR.public + PAIR.seed), None, "second half is not the public key that its seed derives"),
        (PAIR.private_text, "", "the public key is empty"),
        (PAIR.private_text, PAIR.public_text[:-1], "the public key is not standard base64"),
        (PAIR.private_text, b64(PAIR.public[:31]), "the public key must hold 32 bytes, it holds 31"),
        (PAIR.private_text, PAIR.private_text, "a private key .* where the public key"),
        (PAIR.private_text, OTHER.public_text, f"{OTHER.fingerprint} does not belong .* {PAIR.fingerprint}"),
    ],
)
def test_faults_are_named_without_the_secret(private: str, public: str | None, fault: str) -> None:
    with pytest.raises(KeyFormatError, match=fault.replace("+", r"\+")) as caught:
        KeyPair.parse(private, public)
    chain: BaseException | None = caught.value
    while chain is not None:
        for secret in (PAIR.private_text, PAIR.private_text[:20], PAIR.seed.hex(), repr(PAIR.seed)):
            assert secret not in str(chain)
        assert chain.__suppress_context__ or chain.__context__ is None
        chain = chain.__cause__
    assert ed25519.validate(private, public) == str(caught.value)


def test_stray_last_bits_are_refused() -> None:
    last = PAIR.public_text[-2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = PAIR.public_text[:-2] + alphabet[alphabet.index(last) + 1] + "="
    assert base64.b64decode(twin) == PAIR.public
    with pytest.raises(KeyFormatError, match="stray last bits"):
        ed25519.parse_public(twin)


def test_repr_shows_no_secret() -> None:
    assert PAIR.private_text not in repr(PAIR)
    assert repr(PAIR.seed) not in repr(PAIR)
    assert repr(PAIR.public) in repr(PAIR)


def test_fingerprint_as_ssh_prints_it() -> None:
    # base64 -d id_ed25519.pub | openssl dgst -sha256 -binary | base64
    assert PAIR.fingerprint == "SHA256:OfcT0KZEJT8EUpQhufUbmwiXnQgpWVnE85kO5hf1E58"


@pytest.mark.parametrize("function", [ed25519.public_key, ed25519.fingerprint, ed25519.format_public])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_wrong_lengths_are_refused(function: Callable[[bytes], object], length: int) -> None:
    with pytest.raises(KeyFormatError, match=f"32 bytes, this one has {length}"):
        function(bytes(length))


@pytest.mark.parametrize("forbidden", ["/", ":"])
def test_generated_keys_can_be_part_of_a_file_name(forbidden: str) -> None:
    for _ in range(20):
        pair = KeyPair.generate(secrets.token_bytes)
        assert forbidden not in pair.public_text
        assert ed25519.validate(pair.private_text, pair.public_text) is None


def test_generation_rolls_again_until_the_text_fits() -> None:
    with_slash = [seed for seed in (bytes([i] * 32) for i in range(256)) if "/" in b64(ed25519.public_key(seed))][:3]
    good = next(seed for seed in (bytes([i] * 32) for i in range(256)) if "/" not in b64(ed25519.public_key(seed)))
    rolls = iter([*with_slash, good, bytes(32)])
    assert KeyPair.generate(lambda length: next(rolls)[:length]).seed == good
    assert next(rolls) == bytes(32)


def test_a_broken_random_source_ends() -> None:
    seed = next(s for s in (bytes([i] * 32) for i in range(256)) if "/" in b64(ed25519.public_key(s)))
    with pytest.raises(KeyFormatError, match="random source is broken"):
        KeyPair.generate(lambda _length: seed)
    with pytest.raises(KeyFormatError, match="32 bytes, this one has 5"):
        KeyPair.generate(lambda _length: bytes(5))


def test_generated_keys_differ() -> None:
    assert len({KeyPair.generate(secrets.token_bytes).public for _ in range(8)}) == 8
