"""What the bundle's info module returns, what its modules say, and nginx's word counts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_bundle_info
import rustdesk_bundle_purge
import rustdesk_bundle_site
import yaml

from ..server.support import run_module  # noqa: TID252 - the tests are no installed package
from .support import ROLE, certified, evaluated, rendered

if TYPE_CHECKING:
    from pathlib import Path


def test_info_returns_what_it_documents(tmp_path: Path) -> None:
    arguments = {"root": str(tmp_path), "server_name": "dl.example.org"}
    result = run_module(rustdesk_bundle_info.main, arguments)
    documented = yaml.safe_load(rustdesk_bundle_info.RETURN)
    assert documented.keys() == result.keys() - {"changed", "invocation", "warnings", "deprecations"}
    for name, text in documented.items():
        assert isinstance(
            result[name], {"str": str, "bool": bool, "int": int, "list": list, "dict": dict}[text["type"]]
        )
    assert result["root_fault"] == ""
    assert not result["root_exists"]


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("server { listen 80; server_name www.example.org dl.example.org; }", True),
        ("    server_name dl.example.org;", True),
        ("server_name\n  www.example.org\n  dl.example.org;", True),
        ("# server_name dl.example.org;", False),
        ("server_name my-dl.example.org dl.example.org.net;", False),
        ("server_name www.example.org; # dl.example.org", False),
        ("set $my_server_name dl.example.org;", False),
    ],
)
def test_who_claims_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, claimed: bool) -> None:
    monkeypatch.setattr(rustdesk_bundle_info, "NGINX", tmp_path)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "theirs.conf").write_text(text)
    own = tmp_path / "conf.d" / "own.conf"
    own.write_text("server_name dl.example.org;")
    assert bool(rustdesk_bundle_info.claims("dl.example.org", own)) == claimed


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of an nginx's configuration."""
    directory = tmp_path / "nginx"
    for name in ("conf.d", "sites-enabled"):
        (directory / name).mkdir(parents=True)
    monkeypatch.setattr(rustdesk_bundle_info, "NGINX", directory)
    return directory


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("http {\n\tinclude /etc/nginx/conf.d/*.conf;\n\tinclude /etc/nginx/sites-enabled/*;\n}", "sites-enabled"),
        ("http { include conf.d/*.conf; include sites-enabled/* ; }", "sites-enabled"),
        ("http { include conf.d/*.conf;\n# include sites-enabled/*;\n}", "conf.d"),
        ("http { include sites-enabled/*.site; }", "conf.d"),
        (None, "sites-enabled"),
    ],
)
def test_where_the_site_belongs(nginx: Path, text: str | None, place: str) -> None:
    if text is not None:
        (nginx / "nginx.conf").write_text(text)
    assert rustdesk_bundle_info.site_path("zz.conf") == nginx / place / "zz.conf"


@pytest.mark.parametrize(("name", "port"), [("dl.example.org", 80), ("new.example.org", 80), ("dl.example.org", 8080)])
@pytest.mark.parametrize("tls", [True, False])
def test_whether_a_site_answers_the_authority(nginx: Path, name: str, port: int, tls: bool) -> None:
    path = nginx / "sites-enabled" / "zz.conf"
    assert not rustdesk_bundle_info.answers(path, name, port, "/var/lib/rustdesk-bundle/acme")
    host = {"ipv6": True, "certificate_moved": False}
    path.write_text(rendered("nginx/site.conf.j2", __rustdesk_bundle_host=host, __rustdesk_bundle_with_tls=tls))
    found = rustdesk_bundle_info.answers(path, name, port, "/var/lib/rustdesk-bundle/acme")
    assert found == ((name, port) == ("dl.example.org", 80))
    assert not rustdesk_bundle_info.answers(path, "dl.example.org", 80, "/srv/acme")


def test_what_others_have_is_found(nginx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site that comes with nginx is nobody's until somebody has changed it."""
    own, default = nginx / "sites-enabled" / "zz.conf", nginx / "sites-enabled" / "default"
    for path in (own, default, nginx / "sites-enabled" / ".other.new"):
        path.write_text("server {}")
    programs = tmp_path / "bin"
    programs.mkdir()
    query = programs / "dpkg-query"
    query.write_text("#!/bin/sh\necho ' /etc/nginx/sites-available/default DIGEST'\n")
    query.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(rustdesk_bundle_info, "LETSENCRYPT", tmp_path / "letsencrypt")
    for name in ("rustdesk-bundle", "www.example.org"):
        path = tmp_path / "letsencrypt" / "renewal" / f"{name}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# x\nserver = https://{name}.example/directory\n")
    arguments = {"root": str(tmp_path), "server_name": "dl.example.org", "site": "zz.conf"}
    stock = hashlib.md5(default.read_bytes(), usedforsecurity=False).hexdigest()
    query.write_text(query.read_text().replace("DIGEST", stock))
    found = run_module(rustdesk_bundle_info.main, arguments)
    assert (found["other_sites"], found["other_certificates"]) == ([], ["www.example.org"])
    assert found["stock_site"] is True
    assert found["authority"] == "https://rustdesk-bundle.example/directory"
    default.write_text("server { listen 8080; }")
    (nginx / "conf.d" / "theirs.conf").write_text("server {}")
    found = run_module(rustdesk_bundle_info.main, arguments)
    assert found["other_sites"] == [str(nginx / "conf.d" / "theirs.conf"), str(default)]
    assert found["stock_site"] is False


@pytest.mark.parametrize(
    ("noted", "sites", "certificates", "own"),
    [
        (["certbot", "nginx", "python3-cryptography"], [], [], ["certbot", "nginx"]),
        (["certbot", "nginx"], ["/etc/nginx/conf.d/theirs.conf"], [], ["certbot"]),
        (["certbot", "nginx"], [], ["www.example.org"], ["nginx"]),
        ([], [], [], []),
    ],
)
def test_which_packages_go(noted: list[str], sites: list[str], certificates: list[str], own: list[str]) -> None:
    host = {"noted": noted, "installed": noted, "other_sites": sites, "other_certificates": certificates}
    assert sorted(evaluated("{{ __rustdesk_bundle_own_packages }}", __rustdesk_bundle_host=host)) == own
    tasks = yaml.safe_load((ROLE / "tasks" / "remove.yml").read_text("utf-8"))
    (apt,) = (task["ansible.builtin.apt"] for task in tasks if "ansible.builtin.apt" in task)
    assert "purge" not in apt


# --- Purging ------------------------------------------------------------------------------------------------------


def test_only_what_is_the_roles_is_purged(tmp_path: Path) -> None:
    root = tmp_path / "root"
    arguments = {"root": str(root)}
    assert not run_module(rustdesk_bundle_purge.main, arguments)["changed"]
    for name in ("releases/1.4.9-0123abcd/page", "releases/20261125", ".staging/x", ".incoming", "theirs"):
        (root / name).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("x")
    (root / "releases" / "1.4.9-ffffffff").symlink_to(tmp_path / "elsewhere")
    (root / "current").symlink_to("releases/1.4.9-0123abcd")
    assert run_module(rustdesk_bundle_purge.main, arguments, check=True)["changed"]
    assert (root / "current").is_symlink()
    result = run_module(rustdesk_bundle_purge.main, arguments)
    assert [path.removeprefix(f"{root}/") for path in result["removed"]] == [
        ".staging",
        ".incoming",
        "current",
        "releases/1.4.9-0123abcd",
    ]
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == [
        "releases",
        "releases/1.4.9-ffffffff",
        "releases/20261125",
        "theirs",
    ]
    assert [path.removeprefix(f"{root}/") for path in result["kept"]] == [
        "theirs",
        "releases/1.4.9-ffffffff",
        "releases/20261125",
    ]
    assert (tmp_path / "elsewhere" / "file").exists()
    assert not run_module(rustdesk_bundle_purge.main, arguments)["changed"]


def test_an_empty_root_goes_and_a_link_of_somebody_else_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "releases").mkdir(parents=True)
    assert run_module(rustdesk_bundle_purge.main, {"root": str(root)})["changed"]
    assert not root.exists()
    (root / "releases").mkdir(parents=True)
    (root / "current").symlink_to("releases/20261125")
    assert run_module(rustdesk_bundle_purge.main, {"root": str(root)})["changed"]
    assert [path.name for path in root.iterdir()] == ["current"]
    assert not run_module(rustdesk_bundle_purge.main, {"root": str(root)})["changed"]
    assert (root / "current").is_symlink()


def test_a_key_beside_the_certificate_is_not_returned(tmp_path: Path) -> None:
    pair = certified("dl.example.org")
    path = tmp_path / "site.pem"
    path.write_text(pair.key + pair.certificate)
    assert rustdesk_bundle_info.certificate(path, path) == {"pem": pair.certificate, "fault": ""}


# --- A site's file ------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the configuration of an nginx that refuses any with "nonsense" in it."""
    directory = tmp_path / "conf.d"
    directory.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    nginx = programs / "nginx"
    nginx.write_text(f"#!/bin/sh\ngrep -rl nonsense {directory} >&2 && exit 1\nexit 0\n")
    nginx.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return directory / "rustdesk-bundle.conf"


def write(path: Path, content: str, *, check: bool = False, state: str = "present") -> dict[str, Any]:
    arguments = {"path": str(path), "content": content, "state": state}
    return run_module(rustdesk_bundle_site.main, arguments, check=check)


def test_a_site_is_written_and_removed(site: Path) -> None:
    assert write(site, "server {}", check=True)["changed"]
    assert not site.exists()
    assert write(site, "server {}")["changed"]
    assert (site.read_text(), site.stat().st_mode & 0o777) == ("server {}", 0o644)
    assert not write(site, "server {}")["changed"]
    assert write(site, "", state="absent")["changed"]
    assert not write(site, "", state="absent")["changed"]
    assert list(site.parent.iterdir()) == []


def test_a_refused_site_is_taken_back(site: Path) -> None:
    assert "taken back" in write(site, "nonsense")["msg"]
    assert not site.exists()
    write(site, "server {}")
    assert "rustdesk-bundle.conf" in write(site, "nonsense")["msg"]
    assert site.read_text() == "server {}"
    assert list(site.parent.iterdir()) == [site]


def test_an_earlier_fault_is_told_as_such(site: Path) -> None:
    (site.parent / "theirs.conf").write_text("nonsense")
    message = write(site, "server {}")["msg"]
    assert "theirs.conf" in message
    assert "mend that first" in message
    assert not site.exists()
