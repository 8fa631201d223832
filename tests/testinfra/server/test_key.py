"""Where the key comes from, and that its secret shows up nowhere."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nacl.signing
import pytest
import yaml
from tests.testinfra.plays import command, deploy, environment, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

SERVER = "server-deb13"
STATE = "/var/lib/rustdesk-server"


def new_pair() -> tuple[str, str]:
    """Private and public key as upstream writes them, by another library than the role's."""
    key = nacl.signing.SigningKey.generate()
    public = bytes(key.verify_key)
    return base64.b64encode(bytes(key) + public).decode(), base64.b64encode(public).decode()


@pytest.fixture
def restored() -> Iterator[None]:
    """End with a key of the server's own."""
    yield
    deploy(SERVER, rustdesk_server_key_rotate=True)


@pytest.mark.usefixtures("restored")
def test_imported_from_the_vault_without_a_trace(on: Callable[[str], Host], tmp_path: Path) -> None:
    private, public = new_pair()
    (tmp_path / "password").write_text("a test's password\n")
    plain = tmp_path / "key.yml"
    plain.write_text(yaml.safe_dump({"rustdesk_server_private_key": private}))
    vault = str(Path(command("server.yml", SERVER, {})[0]).with_name("ansible-vault"))
    password = f"--vault-password-file={tmp_path / 'password'}"
    subprocess.run([vault, "encrypt", password, str(plain)], env=environment(), check=True, capture_output=True)
    assert private not in plain.read_text()

    done = subprocess.run(
        command(
            "server.yml",
            SERVER,
            {"rustdesk_server_key_rotate": True},
            f"--extra-vars=@{plain}",
            password,
            "-vvv",
            "--diff",
        ),
        env=environment(ANSIBLE_DISPLAY_ARGS_TO_STDOUT="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert private not in output
    assert private[:43] not in output
    host = on(SERVER)
    assert host.check_output("cat %s/id_ed25519", STATE) == private
    assert host.check_output("cat %s/id_ed25519.pub", STATE) == public
    assert public in output
    assert private not in host.check_output("journalctl --no-pager")
    assert (
        host.run("grep --recursive --files-with-matches --fixed-strings %s /root /tmp /var/log /etc", private).stdout
        == ""
    )


@pytest.mark.usefixtures("restored")
def test_another_key_is_refused_with_both_fingerprints(on: Callable[[str], Host], tmp_path: Path) -> None:
    host = on(SERVER)
    before = host.check_output("cat %s/id_ed25519", STATE)
    private, _ = new_pair()
    (tmp_path / "id_ed25519").write_text(private + "\n")
    done = play(SERVER, {"rustdesk_server_private_key_file": str(tmp_path / "id_ed25519")})
    assert done.status != 0
    message = done.failure(SERVER)
    assert "rustdesk_server_private_key_file" in message
    assert message.count("SHA256:") == 2
    assert "rustdesk_server_key_rotate" in message
    assert private not in done.output
    assert host.check_output("cat %s/id_ed25519", STATE) == before

    rotated = deploy(
        SERVER, rustdesk_server_private_key_file=str(tmp_path / "id_ed25519"), rustdesk_server_key_rotate=True
    )
    assert rotated.changed > 0
    assert host.check_output("cat %s/id_ed25519", STATE) == private
    assert host.check_output("cat %s/id_ed25519.previous", STATE) == before
    again = deploy(
        SERVER, rustdesk_server_private_key_file=str(tmp_path / "id_ed25519"), rustdesk_server_key_rotate=True
    )
    assert again.changed == 0


def test_generated_key_is_a_pair_and_fits_a_file_name(on: Callable[[str], Host]) -> None:
    raw = base64.b64decode(on(SERVER).check_output("cat %s/id_ed25519", STATE))
    public = on(SERVER).check_output("cat %s/id_ed25519.pub", STATE)
    assert base64.b64encode(bytes(nacl.signing.SigningKey(raw[:32]).verify_key)).decode() == public
    assert not set("/:") & set(public)
