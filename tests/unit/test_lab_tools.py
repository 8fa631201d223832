"""The lab's own programs: which archive is used, which machines there are, what a result is worth."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import archive
import check
import hosts
import inotify
import lint
import machines
import scenario
from archive import ArchiveError, Release, UnreachableError
from console import Console
from results import Counts, Play, plays, pytest_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]


def release_zip(path: Path, *, without: str = "") -> str:
    """Write an archive of the release's layout; returns its digest."""
    with zipfile.ZipFile(path, "w") as file:
        for name in ("hbbr", "hbbs", "rustdesk-utils"):
            if name != without:
                file.writestr(f"amd64/{name}", name)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def release(sha256: str = "0" * 64, url: str = "http://127.0.0.1:9/none.zip") -> Release:
    return Release("1.1.16", "amd64", "amd64", "server.zip", sha256, url)


# --- Archive -------------------------------------------------------------------------------------------------------


def test_pins_are_read_from_the_role() -> None:
    pin = archive.pinned(machine="aarch64")
    assert (pin.architecture, pin.directory) == ("arm64", "arm64v8")
    assert pin.url.endswith(f"/{pin.version}/rustdesk-server-linux-arm64v8.zip")
    assert len(pin.sha256) == 64


def test_architecture_without_a_pin_is_refused() -> None:
    with pytest.raises(ArchiveError, match="is pinned for riscv64 machines"):
        archive.pinned(machine="riscv64")


def test_given_archive_is_used_and_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    sha256 = release_zip(path)
    choice = archive.given(path, release())
    assert (choice.kind, choice.path, choice.sha256) == ("given", str(path), sha256)
    assert f"{path} (taken for 1.1.16" in choice.sentence


def test_given_archive_is_recognised_as_the_release(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    assert "the pinned release 1.1.16" in archive.given(path, release(release_zip(path))).sentence


def test_given_archive_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"RUSTDESK_SERVER_ARCHIVE=.*nothing.zip: No such file"):
        archive.given(tmp_path / "nothing.zip", release())


def test_given_archive_must_be_a_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(ArchiveError, match="this is no zip archive"):
        archive.given(tmp_path / "a.zip", release())


def test_given_archive_must_be_of_this_architecture(tmp_path: Path) -> None:
    release_zip(tmp_path / "a.zip", without="hbbs")
    with pytest.raises(ArchiveError, match="amd64/hbbs missing"):
        archive.given(tmp_path / "a.zip", release())


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on the loopback, and the directory it serves."""
    directory = tmp_path / "mirror"
    directory.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=directory)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", directory
        server.shutdown()
        thread.join()


def test_release_is_downloaded_once(mirror: tuple[str, Path], tmp_path: Path) -> None:
    url, directory = mirror
    pin = release(release_zip(directory / "server.zip"), f"{url}/server.zip")
    said: list[str] = []
    first = archive.downloaded(pin, tmp_path / "kept" / "server.zip", said.append)
    (directory / "server.zip").unlink()
    assert archive.downloaded(pin, tmp_path / "kept" / "server.zip", said.append) == first
    assert (first.kind, first.sha256) == ("release", pin.sha256)
    assert len(said) == 1
    assert said[0].startswith(f"fetching {url}/server.zip (")


def test_release_that_is_another_is_never_used(mirror: tuple[str, Path], tmp_path: Path) -> None:
    url, directory = mirror
    release_zip(directory / "server.zip")
    with pytest.raises(ArchiveError, match="it was replaced or tampered with"):
        archive.downloaded(release(url=f"{url}/server.zip"), tmp_path / "server.zip", lambda _: None)
    assert list(tmp_path.glob("server*")) == []


def test_spoilt_copy_is_fetched_again(mirror: tuple[str, Path], tmp_path: Path) -> None:
    url, directory = mirror
    pin = release(release_zip(directory / "server.zip"), f"{url}/server.zip")
    (tmp_path / "server.zip").write_text("spoilt")
    archive.downloaded(pin, tmp_path / "server.zip", lambda _: None)
    assert archive.digest(tmp_path / "server.zip") == pin.sha256


@pytest.mark.parametrize("path", ["http://127.0.0.1:9/refused.zip", "http://mirror.invalid/unknown.zip"])
def test_mirror_out_of_reach_is_told_apart(path: str, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        archive.downloaded(release(url=path), tmp_path / "server.zip", lambda _: None)


def test_connection_that_breaks_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="ended after 3 of 9 bytes"), (tmp_path / "part").open("wb") as target:
        archive._copy(io.BytesIO(b"abc"), target, 9, lambda _: None)


def test_lab_server_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "pinned", release)
    choice = archive.choose({}, tmp_path, lambda _: None)
    assert choice.kind == "lab"
    assert choice.sentence.startswith("Using the lab server, which stands in for release 1.1.16: the release cannot be")
    archive.given(Path(choice.path), release())


def test_lab_server_can_be_asked_for(tmp_path: Path) -> None:
    choice = archive.choose({"RUSTDESK_SERVER_ARCHIVE": "lab"}, tmp_path, lambda _: None)
    assert choice.sentence.endswith("RUSTDESK_SERVER_ARCHIVE=lab asks for it.")


def test_same_lab_server_has_the_same_digest(tmp_path: Path) -> None:
    environment = {"RUSTDESK_SERVER_ARCHIVE": "lab"}
    one, other = (archive.choose(environment, tmp_path / place, lambda _: None) for place in ("a", "b"))
    assert one.sha256 == other.sha256


def test_fault_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "RUSTDESK_SERVER_ARCHIVE": str(tmp_path / "nothing.zip")}
    done = subprocess.run(
        [sys.executable, ROOT / "lab/lib/archive.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: RUSTDESK_SERVER_ARCHIVE=")
    assert len(done.stderr.splitlines()) == 1


# --- Inventory -----------------------------------------------------------------------------------------------------


def inventory(lab: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "inventories/lab/hosts.py", "--list"],
        env={**os.environ, "RUSTDESK_LAB": lab},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A place that holds nothing but the inventory."""
    program = tmp_path / "inventories" / "lab" / "hosts.py"
    program.parent.mkdir(parents=True)
    program.write_bytes((ROOT / "inventories/lab/hosts.py").read_bytes())
    program.chmod(0o755)
    return tmp_path


def test_machines_carry_the_name_of_their_lab(checkout: Path) -> None:
    hosts = json.loads(inventory("demo", checkout).stdout)["_meta"]["hostvars"]
    assert {name: host["ansible_host"] for name, host in hosts.items()} == {
        name: f"rustdesk-demo-{name}" for name in hosts
    }
    assert "api.rustdesk.com" in hosts["outside"]["lab_aliases"]
    assert all(f"{name}.lab.test" in host["lab_aliases"] for name, host in hosts.items())


def test_lab_has_two_servers_a_relay_a_client_and_an_outside(checkout: Path) -> None:
    groups = json.loads(inventory("demo", checkout).stdout)
    assert groups["rustdesk_servers"]["hosts"] == ["server-deb12", "server-deb13"]
    assert groups["rustdesk_relays"]["hosts"] == ["relay-deb13"]
    assert groups["lab_clients"]["hosts"] == ["client-deb12"]
    assert groups["lab_outside"]["hosts"] == ["outside"]


def test_third_server_comes_with_its_image(checkout: Path) -> None:
    (checkout / ".cache").mkdir()
    (checkout / ".cache" / "lab-suites").write_text("bookworm\nnoble\ntrixie\n")
    assert "server-ubuntu2404" in json.loads(inventory("demo", checkout).stdout)["rustdesk_servers"]["hosts"]


def test_lab_name_must_fit_a_container_name() -> None:
    done = inventory("../x")
    assert done.returncode == 1
    assert done.stderr == "RUSTDESK_LAB is '../x': use a lower-case word such as demo or test\n"


def test_network_is_no_wider_than_the_uplink(tmp_path: Path) -> None:
    (tmp_path / "eth1").mkdir()
    (tmp_path / "eth1" / "mtu").write_text("1400\n")
    routes = tmp_path / "route"
    routes.write_text("Iface Destination Gateway\neth0 0000A8C0 00000000\neth1 00000000 0100A8C0\n")
    assert hosts.uplink_mtu(routes, tmp_path) == 1400
    routes.write_text("Iface Destination Gateway\n")
    assert hosts.uplink_mtu(routes, tmp_path) == 1500


def test_there_is_room_for_every_machine_of_a_lab() -> None:
    assert len(hosts.MACHINES) <= machines.MACHINES_OF_A_LAB


@pytest.mark.parametrize(("limit", "after"), [(128, 40 * 4 + 32), (192, 192), (8192, 8192)])
def test_labs_side_by_side_raise_the_limit_of_inotify_instances(tmp_path: Path, limit: int, after: int) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text(f"{limit}\n")
    assert inotify.allow(40, setting) == (after if after != limit else 0)
    assert int(setting.read_text()) == after


def test_a_limit_that_may_not_be_raised_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text("128\n")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    assert inotify.allow(40, setting) == 0


# --- Results -------------------------------------------------------------------------------------------------------


def test_pytest_report_is_counted(tmp_path: Path) -> None:
    suite = tmp_path / "test_sample.py"
    suite.write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): assert False\n"
        "@pytest.fixture\ndef broken(): raise OSError\n"
        "def test_c(broken): pass\n"
        "@pytest.mark.skip\ndef test_d(): pass\n"
    )
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--junitxml={report}", str(suite)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert pytest_counts(report) == Counts(passed=1, failed=2, skipped=1)


def test_no_report_counts_nothing(tmp_path: Path) -> None:
    assert pytest_counts(tmp_path / "none.xml") == Counts()
    assert plays(tmp_path / "none.jsonl") == []


CONVERGED = Play("converge", {"server": Counts(passed=3)})
VERIFIED = Play("verify", {"server": Counts(passed=2)})
NOBODY = {"converge": Play("converge", {}), "verify": Play("verify", {})}


def test_good_run_is_good() -> None:
    outcome = scenario.judge("role", "test", 0, "", [CONVERGED, VERIFIED], Counts(passed=5))
    assert (outcome.faults, outcome.counts) == ((), Counts(passed=7))


@pytest.mark.parametrize(
    ("step", "status", "output", "played", "tests", "fault"),
    [
        ("test", 1, "", [CONVERGED, VERIFIED], Counts(5), "molecule ended with status 1"),
        ("test", 0, "", [NOBODY["converge"], VERIFIED], Counts(5), "it converged no machine"),
        ("converge", 0, "", [], Counts(), "it converged no machine"),
        ("test", 0, "", [CONVERGED], Counts(), "it verified nothing"),
        ("verify", 0, "", [NOBODY["verify"]], Counts(), "it verified nothing"),
        ("test", 0, "", [CONVERGED], Counts(5, 0, 1), "1 tests were skipped"),
        (
            "test",
            0,
            "[DEPRECATION WARNING]: old",
            [CONVERGED, VERIFIED],
            Counts(),
            "deprecated: [DEPRECATION WARNING]: old",
        ),
    ],
)
def test_false_green_is_red(step: str, status: int, output: str, played: list[Play], tests: Counts, fault: str) -> None:
    outcome = scenario.judge("role", step, status, output, played, tests)
    assert [found for found in outcome.faults if found.startswith(fault)], outcome
    assert outcome.counts.failed == 1


def test_stage_that_checked_nothing_is_red() -> None:
    assert check.Stage("unit", 1.0, Counts()).failed
    assert check.Stage("unit", 1.0, Counts(5, 0, 1)).failed
    assert not check.Stage("unit", 1.0, Counts(5)).failed


def test_table_names_what_failed() -> None:
    lines = check.table(
        [check.Stage("lint", 2.0, Counts(6)), check.Stage("unit", 12.34, Counts(1, 2), "note")], 15
    ).splitlines()
    assert lines == [
        "lint  ok          2.0 s      6 passed    0 failed",
        "unit  FAILED     12.3 s      1 passed    2 failed  note",
        "total             15.0 s",
    ]


def test_report_ends_with_the_sum_alone_on_a_line() -> None:
    good = check.report([check.Stage("lint", 2.0, Counts(6)), check.Stage("unit", 1.0, Counts(5))], 3, "Using it.")
    assert good.splitlines()[-2:] == ["Using it.", "11 passed, 0 failed"]
    bad = check.report([check.Stage("unit", 1.0, Counts(5, 1))], 3, "Using it.")
    assert bad.splitlines()[-1] == "5 passed, 1 failed"
    assert "The machines of test and test2 are left for a look" in bad


@pytest.fixture
def stages_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[check.Stage]]:
    """Run everything with machines and scenarios that only say whether they work."""

    def run(labs: set[str]) -> list[check.Stage]:
        monkeypatch.setattr(check, "destroy", lambda _console, _lab: True)
        monkeypatch.setattr(check, "create", lambda _console, lab: lab in labs)
        monkeypatch.setattr(check, "lint", lambda _: Counts(1))
        monkeypatch.setattr(check, "unit_stage", lambda _: (Counts(1), ""))
        monkeypatch.setattr(check, "run_scenario", lambda *_, **__: scenario.Outcome(Counts(1), ()))
        return check.run_all(Console(io.StringIO()))

    return run


def test_every_scenario_runs_in_one_lane(stages_of: Callable[..., list[check.Stage]]) -> None:
    stages = stages_of({"test", "test2"})
    assert not any(stage.failed for stage in stages)
    names = [stage.name for stage in stages]
    assert sorted(names) == sorted(["lint", "unit", "machines of test", "machines of test2", *scenario.scenarios()])


def test_machines_that_do_not_start_fail_every_scenario(stages_of: Callable[..., list[check.Stage]]) -> None:
    stages = stages_of(set())
    failed = {stage.name for stage in stages if stage.failed}
    assert failed == {"machines of test", "machines of test2", *scenario.scenarios()}


def test_machines_that_do_not_start_leave_the_other_lane_alone(stages_of: Callable[..., list[check.Stage]]) -> None:
    failed = {stage.name for stage in stages_of({"test"}) if stage.failed}
    assert failed == {"machines of test2", *check.LANES[1]}


# --- Console and linters -------------------------------------------------------------------------------------------


def test_silence_is_broken() -> None:
    stream = io.StringIO()
    console = Console(stream, silence=0.2)
    with console.alive(), console.doing("a long stage"):
        deadline = time.monotonic() + 10
        while "still working" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert stream.getvalue().startswith("==> still working: a long stage (")


def test_talking_stage_is_not_interrupted() -> None:
    stream = io.StringIO()
    console = Console(stream, silence=1.0)
    with console.alive(), console.doing("a stage"):
        for _ in range(15):
            console.write(".")
            time.sleep(0.1)
    assert stream.getvalue() == "." * 15


def test_shell_programs_are_found_by_their_first_line(tmp_path: Path) -> None:
    for name, first in {
        "a": "#!/bin/sh",
        "b": "#!/usr/bin/python3",
        "c.sh": "# sourced",
        ".venv/d": "#!/bin/sh",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{first}\n")
    assert lint.shell_files(tmp_path) == ["a"]
    assert {"lab/bootstrap", "lab/images/host/container-init"} <= set(lint.shell_files())
