"""What a customer does: download, compare, unpack, start, check, and take it back; on the lab's Windows machine."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest
from tests.testinfra.bundle.bundle_lab import CONTACT, NAME, URL, container, publish
from tests.testinfra.plays import play

MACHINE = container("endpoint-windows")
PROFILE = "/wine/drive_c/Users/Administrator"
FOLDER = f"{PROFILE}/Desktop/Fernwartung für uns"
CONFIG = f"{PROFILE}/AppData/Roaming/RustDesk/config"
CONTACTS = "/wine/drive_c/ProgramData/rustdesk-stub/contacts.log"
SERVER = "server-deb12.lab.test"
THEIRS = (
    "rendezvous_server = 'rs.elsewhere.example:21116'   # last used\r\n"
    "\r\n[options]\r\n"
    'custom-rendezvous-server = "rs.elsewhere.example"  # theirs\r\n'
    "av1-test = 'N'\r\nmein-wort = 'Grüße'\r\n"
)


def inside(script: str, *arguments: str, stdin: bytes = b"", status: int | None = 0) -> str:
    """Run a shell script in the machine, below Windows, as the user that Windows runs as."""
    command = ["docker", "exec", "-i", "--user", "Administrator", "--env", "LC_ALL=C.UTF-8", MACHINE]
    done = subprocess.run(
        [*command, "bash", "-c", script, "bash", *arguments], input=stdin, capture_output=True, check=False, timeout=300
    )
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert status is None or done.returncode == status, said
    return said


@pytest.fixture(scope="module")
def certificate() -> str:
    """The lab's certificate, which a customer's browser would know by an authority."""
    source = ["docker", "exec", container("downloads"), "cat", "/etc/ssl/rustdesk-bundle/fullchain.pem"]
    text = subprocess.run(source, check=True, capture_output=True).stdout
    inside("cat >/tmp/lab-ca.pem", stdin=text)
    return "/tmp/lab-ca.pem"


@pytest.fixture(scope="module")
def unpacked(certificate: str) -> str:
    """The bundle on the customer's desktop: downloaded with an interruption, compared and unpacked."""
    publish()
    inside(f'rm -rf "{FOLDER}" && mkdir -p "{FOLDER}"')
    fetch = f"curl --silent --show-error --fail --cacert {certificate}"
    inside(f'cd "$1" && {fetch} --output {NAME}.zip --range 0-200000 {URL}/{NAME}.zip', FOLDER)
    inside(f'cd "$1" && {fetch} --output {NAME}.zip --continue-at - {URL}/{NAME}.zip', FOLDER)
    inside(
        f'cd "$1" && {fetch} --remote-name {URL}/SHA256SUMS && sha256sum --check --ignore-missing SHA256SUMS', FOLDER
    )
    inside(f'cd "$1" && unzip -q {NAME}.zip', FOLDER)
    return FOLDER


@pytest.fixture
def customer(unpacked: str) -> str:
    """A customer who has had RustDesk from somebody else."""
    inside(f'rm -rf "{PROFILE}/AppData/Roaming/RustDesk" "{CONTACTS}" && mkdir -p "{CONFIG}"')
    inside(f'base64 -d >"{CONFIG}/RustDesk2.toml"', stdin=base64.b64encode(THEIRS.encode()))
    return unpacked


def config() -> str:
    return inside(f'cat "{CONFIG}/RustDesk2.toml"')


def test_what_is_in_the_bundle(unpacked: str) -> None:
    names = inside('cd "$1" && find . -type f | sort', unpacked).split("\n")
    assert {f"./{NAME}.exe", "./rustdesk.exe", "./rustdesk-reset.exe", "./LIESMICH.txt", "./README.txt"} <= set(names)
    assert {"./licences/AGPL-3.0.txt", "./licences/Go.txt", "./licences/NOTICE.txt"} <= set(names)
    text = inside('cat "$1/LIESMICH.txt"', unpacked)
    assert text.startswith("\ufeff")
    assert "\r\n" in text
    assert CONTACT["phone"] in text
    assert "github.com/rustdesk/rustdesk/tree/1.4.9" in inside('cat "$1/licences/NOTICE.txt"', unpacked)


def test_started_and_ended(customer: str) -> None:
    """It stays for as long as RustDesk is open, and ends as that does."""
    start = f"timeout 200 wine {NAME}.exe --quiet; echo $? >/tmp/launcher.status"
    inside(f'rm -f /tmp/launcher.status; cd "$1" && ( {start} ) >/tmp/launcher.out 2>&1 &', customer)
    inside(f'for i in $(seq 300); do [ -s "{CONTACTS}" ] && exit 0; sleep 0.2; done; cat /tmp/launcher.out; exit 1')
    try:
        assert SERVER in inside(f'tail -n 1 "{CONTACTS}"')
        assert "elsewhere" not in inside(f'cat "{CONTACTS}"')
        assert SERVER in config()
        assert "Grüße" in config()
    finally:
        inside('cd "$1" && timeout 60 wine rustdesk.exe --stub-quit', customer, status=None)
    inside("for i in $(seq 300); do [ -s /tmp/launcher.status ] && exit 0; sleep 0.2; done; exit 1")
    assert inside("cat /tmp/launcher.status").strip() == "0"


def test_check_is_green(customer: str) -> None:
    inside(f'cd "$1" && timeout 120 wine {NAME}.exe --apply --quiet', customer)
    report = inside(f'cd "$1" && timeout 120 wine {NAME}.exe --check --json', customer)
    parsed = json.loads(report[report.index("{") : report.rindex("}") + 1])
    assert parsed["passed"] is True, report
    assert "failed" not in report
    table = inside(f'cd "$1" && timeout 120 wine {NAME}.exe --check', customer)
    assert SERVER in table
    assert " passed" in table


def test_endpoints_are_proven_with_the_launcher(unpacked: str) -> None:
    """The client role has the launcher that was just built give its proofs on Windows."""
    assert unpacked
    done = play("endpoint-windows", playbook="endpoints.yml")
    assert done.status == 0, done.failure("endpoint-windows") or done.output
    (proven,) = [result for _, result in done.results("endpoint-windows") if "proofs" in result]
    assert {proof["state"] for proof in proven["proofs"]} == {"passed"}
    assert play("endpoint-windows", playbook="reset-endpoints.yml").status == 0


def test_reset_gives_back_every_byte(customer: str) -> None:
    inside(f'cd "$1" && timeout 120 wine {NAME}.exe --apply --quiet', customer)
    assert SERVER in config()
    inside('cd "$1" && timeout 120 wine rustdesk-reset.exe --quiet', customer)
    assert config() == THEIRS
    inside('cd "$1" && timeout 120 wine rustdesk-reset.exe --quiet', customer)
    assert config() == THEIRS
