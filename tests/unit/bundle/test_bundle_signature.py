"""Checksums are signed by the real programs, with keys that were made for that and are thrown away."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_bundle_signature

from ..server.support import run_module  # noqa: TID252 - the tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a password of the tests"


def call(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    path = tmp_path / "SHA256SUMS"
    path.write_text(f"{'0' * 64}  rustdesk-acme.zip\n")
    return path


def sign(listing: Path, method: str, key: Path, **options: Any) -> dict[str, Any]:
    arguments = {"path": str(listing), "method": method, "key_file": str(key), "comment": "acme 1.4.9-01234567"}
    return run_module(rustdesk_bundle_signature.main, {**arguments, "password": PASSWORD, **options})


@pytest.fixture(scope="module")
def minisign_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, its public part beside it; minisign takes seconds for whatever it does with the password."""
    key = tmp_path_factory.mktemp("minisign") / "minisign.key"
    call("minisign", "-G", "-p", str(key.with_suffix(".pub")), "-s", str(key), text=f"{PASSWORD}\n{PASSWORD}\n")
    return key


def test_minisign(listing: Path, minisign_key: Path) -> None:
    public = str(minisign_key.with_suffix(".pub"))
    result = sign(listing, "minisign", minisign_key)
    assert result["changed"], result
    assert not sign(listing, "minisign", minisign_key)["changed"]
    shown = call("minisign", "-V", "-p", public, "-m", str(listing))
    assert "acme 1.4.9-01234567" in shown
    listing.write_text("another list\n")
    assert sign(listing, "minisign", minisign_key)["changed"]
    call("minisign", "-V", "-p", public, "-m", str(listing))


@pytest.fixture
def gpg_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # The socket of gpg's agent is in it, and a socket's path has an end.
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    yield home
    call("gpgconf", "--homedir", str(home), "--kill", "all")


def test_gpg(listing: Path, gpg_home: Path, tmp_path: Path) -> None:
    own = ["gpg", "--homedir", str(gpg_home), "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSWORD]
    call(*own, "--quick-generate-key", "Tests <tests@example.org>", "ed25519", "sign", "1d")
    key = tmp_path / "key.asc"
    key.write_text(call(*own, "--armor", "--export-secret-keys"))
    assert sign(listing, "gpg", key)["changed"]
    assert not sign(listing, "gpg", key)["changed"]
    public = listing.with_name("SHA256SUMS.key.asc").read_text()
    assert "BEGIN PGP PUBLIC KEY BLOCK" in public
    assert "PRIVATE" not in public
    call("gpg", "--homedir", str(gpg_home), "--verify", f"{listing}.asc", str(listing))
    listing.write_text("another list\n")
    assert sign(listing, "gpg", key)["changed"]
    call("gpg", "--homedir", str(gpg_home), "--verify", f"{listing}.asc", str(listing))


@pytest.mark.parametrize("method", ["minisign", "gpg"])
def test_a_wrong_key_is_refused(listing: Path, tmp_path: Path, method: str) -> None:
    key = tmp_path / "no.key"
    key.write_text("no key\n")
    message = sign(listing, method, key)["msg"]
    assert f"does not sign with {key}" in message
    assert PASSWORD not in message
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("SHA256SUMS.")] == []


def test_a_wrong_password_is_refused(listing: Path, minisign_key: Path) -> None:
    message = sign(listing, "minisign", minisign_key, password="another one")["msg"]
    assert "does not sign" in message
    assert "another one" not in message


@pytest.mark.parametrize("method", ["minisign", "gpg"])
def test_a_program_that_does_not_wait_for_its_password_is_heard(
    listing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / method).write_text("#!/bin/sh\nexec 0<&-\necho 'this is no key' >&2\nexit 1\n")
    (programs / method).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    longer_than_a_pipe_holds = "p" * 2**20
    key = tmp_path / "any.key"
    message = sign(listing, method, key, password=longer_than_a_pipe_holds)["msg"]
    assert message == f"{method} does not sign with {key}: this is no key"


def test_a_program_that_is_missing_is_named(listing: Path, minisign_key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("ansible.module_utils.common.process.os.path.exists", lambda _path: False)
    assert "minisign is not installed" in sign(listing, "minisign", minisign_key)["msg"]
