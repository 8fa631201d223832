"""The launchers' own tests, and what the Go tools say of their source."""

from __future__ import annotations

import re

import pytest

from .toolchain import ROOT, SOURCE, go, root, run

FUZZ_TARGETS = {"internal/toml": "FuzzMerge", "internal/wire": "FuzzDecodeAndFrames"}


def test_tests_pass() -> None:
    done = go("test", "-count=1", "./...")
    assert done.returncode == 0, done.stdout + done.stderr
    packages = {path.parent for path in SOURCE.rglob("*_test.go")}
    assert len(re.findall(r"(?m)^ok\s", done.stdout)) == len(packages) > 5


@pytest.mark.parametrize("target", FUZZ_TARGETS.items(), ids=lambda target: target[1])
def test_nothing_is_found_by_chance(target: tuple[str, str]) -> None:
    package, name = target
    # Bounded by number and not by time, so that a busy machine tries as much.
    done = go("test", "-run=^$", f"-fuzz=^{name}$", "-fuzztime=4000x", "-parallel=2", f"./{package}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_fuzz_target_is_run() -> None:
    found = {
        (str(path.parent.relative_to(SOURCE)), name)
        for path in SOURCE.rglob("*_test.go")
        for name in re.findall(r"^func (Fuzz\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == set(FUZZ_TARGETS.items())


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_vet_is_content(system: str) -> None:
    done = go("vet", "./...", system=system)
    assert done.returncode == 0, done.stdout + done.stderr


def test_source_is_formatted() -> None:
    done = run(str(root() / "bin" / "gofmt"), "-l", ".")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_but_the_standard_library_is_used() -> None:
    done = go("list", "-f", '{{ join .Imports "\\n" }}', "./...", system="windows")
    assert done.returncode == 0, done.stderr
    foreign = {name for name in done.stdout.split() if "." in name.split("/")[0]}
    assert foreign == set()
    assert not (SOURCE / "go.sum").exists()
    assert "require" not in (SOURCE / "go.mod").read_text(encoding="utf-8")


def test_the_workflow_for_windows_has_the_same_toolchain() -> None:
    workflow = (ROOT / ".github" / "workflows" / "windows.yml").read_text(encoding="utf-8")
    assert re.findall(r'go-version: "(.*)"', workflow) == [go("env", "GOVERSION").stdout.strip().removeprefix("go")]
