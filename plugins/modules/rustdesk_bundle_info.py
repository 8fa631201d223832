#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Look at a host that the bundle is published on."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_info
short_description: Look at a host that the bundle is published on
description:
  - Returns in one execution what the role rustdesk_bundle decides by. Changes nothing.
options:
  root:
    description: The web root.
    type: path
    required: true
  server_name:
    description: Name of the site; other files of nginx's configuration that claim it are found.
    type: str
    required: true
  site:
    description: Name of the role's own file of nginx's configuration.
    type: str
    default: zz-rustdesk-bundle.conf
  challenges:
    description: Where files lie that a certificate authority asks for.
    type: path
    default: /var/lib/rustdesk-bundle/acme
  lineage:
    description: Name that certbot has for the site's certificate.
    type: str
    default: rustdesk-bundle
  ports:
    description: TCP ports that nginx needs, the one that redirects first.
    type: list
    elements: int
    default: []
  files:
    description: Files of the role and their modes. Their digests are returned.
    type: dict
    default: {}
  certificate:
    description: The certificate that nginx is given.
    type: path
  key:
    description: Its private key.
    type: path
  packages:
    description: Packages that are asked after.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Look at the host
  rustdesk_bundle_info:
    root: /srv/rustdesk-bundle
    server_name: dl.example.org
    ports: [80, 443]
"""

RETURN = r"""
distribution:
  description: Name of the distribution and its version, as C(/etc/os-release) has them.
  returned: success
  type: str
  sample: debian 13
systemd:
  description: Whether systemd runs.
  returned: success
  type: bool
ipv6:
  description: Whether there is IPv6.
  returned: success
  type: bool
root_exists:
  description: Whether there is a web root with its directory of releases, and that for challenges.
  returned: success
  type: bool
root_fault:
  description: Why nothing can be published there; empty when it can.
  returned: success
  type: str
free_bytes:
  description: Free space of its file system.
  returned: success
  type: int
releases:
  description: The releases that are there, the last served first.
  returned: success
  type: list
  elements: str
manifests:
  description: The digest of each release's manifest.
  returned: success
  type: dict
checksums:
  description: The sha256 of each archive of each release, by its name.
  returned: success
  type: dict
current:
  description: The release that is served.
  returned: success
  type: str
release_fault:
  description: What is wrong with it.
  returned: success
  type: str
files:
  description: Digests of the files that were asked for; empty for one that is not there, or has another owner or mode.
  returned: success
  type: dict
site:
  description: The role's own file of nginx's configuration.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is, or belongs, in C(sites-enabled) where nginx reads that, else in C(conf.d).
      type: str
    sha256:
      description: Its digest; empty when it is not there, or has another owner or mode.
      type: str
    answers:
      description: Whether it answers a certificate authority that asks for the name.
      type: bool
other_sites:
  description: Files that describe sites of others, the one that comes with nginx left out.
  returned: success
  type: list
  elements: str
stock_site:
  description: Whether the site that comes with nginx is enabled, as it came.
  returned: success
  type: bool
other_certificates:
  description: Names that certbot has for certificates of others.
  returned: success
  type: list
  elements: str
authority:
  description: The ACME directory that certbot has the site's certificate from; empty when it has none.
  returned: success
  type: str
installed:
  description: The packages of those asked after that are installed.
  returned: success
  type: list
  elements: str
noted:
  description: The packages that the role has installed.
  returned: success
  type: list
  elements: str
nginx:
  description: The web server.
  returned: success
  type: dict
  contains:
    active:
      description: Whether it runs.
      type: bool
    enabled:
      description: Whether it will run after the next boot.
      type: bool
    stale:
      description: Whether it has not read the site's file, or its certificate, in their present form.
      type: bool
certbot_timer:
  description: Whether the timer that renews certificates runs and will after the next boot.
  returned: success
  type: bool
occupied:
  description: A sentence for each port that another program than nginx holds.
  returned: success
  type: list
  elements: str
claimed_by:
  description: Other files of nginx's configuration that claim the name.
  returned: success
  type: list
  elements: str
certificate:
  description: The certificate.
  returned: success
  type: dict
  contains:
    pem:
      description: What is public of its file, the certificates; empty when there are none.
      type: str
    fault:
      description: Why nginx could not use it with its key; empty when it can.
      type: str
"""

import hashlib
import os
import re
import shutil
import ssl
import stat
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_release import RELEASES, archives, manifest_digest, obstacle, published
from ansible.module_utils.listeners import listeners

NOTES = Path("/var/lib/rustdesk-bundle/packages")
"""The packages that the role has installed, one a line: those it may remove."""
NGINX = Path("/etc/nginx")
LETSENCRYPT = Path("/etc/letsencrypt")
PROC = Path("/proc")

_INCLUDES_SITES = re.compile(r"^[^#\n]*\binclude\s[^;#]*sites-enabled/\*\s*;", re.MULTILINE)
_CERTIFICATES = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def distribution(path: Path = Path("/etc/os-release")) -> str:
    """Return the distribution's name and version."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    return f"{values.get('ID', 'unknown')} {values.get('VERSION_ID', '')}".strip()


def root_fault(root: Path) -> str:
    """Say why nothing can be published below a directory, or return ""."""
    fault = obstacle(root)
    if fault:
        return fault
    nearest = root
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} is in the way: it is no directory"
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        return f"{nearest} is on a file system that is mounted read-only"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} cannot be written"
    return "" if nearest != root else _probe(root)


def _probe(root: Path) -> str:
    """Try what access(2) cannot tell root: a directory that was made immutable, or a full table of files."""
    attempt = root / ".rustdesk-bundle-probe"
    try:
        attempt.mkdir()
        attempt.rmdir()
    except OSError as error:
        return f"{root} cannot be written ({error.strerror})"
    return ""


def digests(files: dict[str, str]) -> dict[str, str]:
    """Return the digest of each file that is root's and has its mode."""
    found = {}
    for name, mode in files.items():
        path = Path(name)
        found[name] = ""
        if path.is_file() and not path.is_symlink():
            facts = path.stat()
            if facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) == int(mode, 8):
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def installed(module: AnsibleModule, packages: list[str]) -> list[str]:
    """Return which packages are installed."""
    query = module.get_bin_path("dpkg-query")
    if query is None or not packages:
        return []
    _code, out, _err = module.run_command(
        [query, "--show", "--showformat=${Package} ${db:Status-Status}\\n", *packages]
    )
    return sorted(line.split()[0] for line in out.splitlines() if line.endswith(" installed"))


def units(module: AnsibleModule, names: list[str]) -> dict[str, dict[str, str]]:
    """Return the state of units."""
    systemctl = module.get_bin_path("systemctl") if Path("/run/systemd/system").is_dir() else None
    if systemctl is None:
        return {}
    _code, out, _err = module.run_command([systemctl, "show", "--property=Id,ActiveState,UnitFileState", "--", *names])
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in out.strip().split("\n\n")]
    return {block.get("Id", ""): block for block in blocks}


def last_start(proc: Path = PROC) -> float:
    """Return when the newest worker of nginx was started, in seconds since 1970: that is when it has read its files."""
    ticks = os.sysconf("SC_CLK_TCK")
    booted = time.time() - float((proc / "uptime").read_text(encoding="ascii").split()[0])
    found = 0.0
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            # Everything behind the name, which is in brackets and may hold any character (proc(5)).
            before, _bracket, fields = (
                (directory / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")
            )
        except OSError:
            continue
        if before.endswith("(nginx"):
            found = max(found, booted + int(fields.split()[19]) / ticks)
    return found


def is_stale(files: list[Path]) -> bool:
    """Tell whether one of the files is younger than what nginx has read."""
    changes = [path.resolve().stat().st_ctime for path in files if path.exists()]
    return bool(changes) and max(changes) > last_start()


def site_path(name: str) -> Path:
    """Return where a site's file belongs.

    nginx reads conf.d first, and takes the first site of a port for names that no site has. Whoever is in sites-enabled
    already is to stay that site.
    """
    configuration = NGINX / "nginx.conf"
    text = configuration.read_text(encoding="utf-8", errors="replace") if configuration.exists() else ""
    # Where there is no nginx yet, Debian's will read both.
    return NGINX / ("sites-enabled" if not text or _INCLUDES_SITES.search(text) else "conf.d") / name


def answers(site: Path, server_name: str, port: int, challenges: str) -> bool:
    """Tell whether a site that the role has written answers a certificate authority that asks for a name."""
    text = site.read_text(encoding="utf-8", errors="replace") if site.is_file() else ""
    wanted = (f"listen {port};", f"server_name {server_name};", f"root {challenges};")
    return all(any(line.strip() == directive for line in text.splitlines()) for directive in wanted)


def _site_files() -> list[Path]:
    paths = [*NGINX.glob("conf.d/*.conf"), *NGINX.glob("sites-enabled/*")]
    # As nginx reads them, whose * is for no name with a dot in front.
    return [path for path in sorted(paths) if path.is_file() and not path.name.startswith(".")]


def claims(server_name: str, own: Path) -> list[str]:
    """Return the files of nginx's configuration, beside the role's, that claim a name."""
    name = rf"(?<![\w.-]){re.escape(server_name)}(?![\w.-])"
    pattern = re.compile(rf"^(?:[^#\n]*[\s;{{])?server_name\s[^;#]*{name}", re.MULTILINE)
    configuration = [path for path in [NGINX / "nginx.conf"] if path.is_file()]
    others = [path for path in configuration + _site_files() if path != own]
    return [str(path) for path in others if pattern.search(path.read_text(encoding="utf-8", errors="replace"))]


def other_sites(module: AnsibleModule, own: Path) -> tuple[list[str], bool]:
    """Return the files that describe sites of others, and whether the one that comes with nginx is there.

    As soon as that was changed, it is one of others.
    """
    query = module.get_bin_path("dpkg-query")
    stock = ""
    if query is not None:
        _code, stock, _err = module.run_command([query, "--show", "--showformat=${Conffiles}\\n", "nginx-common"])
    paths = [path for path in _site_files() if path != own]
    others = [str(path) for path in paths if not _is_stock(path, stock)]
    return others, len(others) < len(paths)


def _is_stock(path: Path, stock: str) -> bool:
    if path != NGINX / "sites-enabled" / "default":
        return False
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return digest in stock.split()


def other_certificates(own: str) -> list[str]:
    """Return the names of certificates of others that certbot renews."""
    return sorted(path.stem for path in LETSENCRYPT.glob("renewal/*.conf") if path.stem != own)


def authority(own: str) -> str:
    """Return where certbot has a certificate from, or ""."""
    path = LETSENCRYPT / "renewal" / f"{own}.conf"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = re.search(r"^server\s*=\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def certificate(path: Path | None, key: Path | None) -> dict[str, str]:
    """Return a certificate, and whether nginx can use it with its key."""
    if path is None or key is None:
        return {"pem": "", "fault": ""}
    for file in (path, key):
        if not file.is_file():
            return {"pem": "", "fault": f"there is no file {file}"}
    # The key may be in the same file, and goes nowhere.
    pem = "".join(_CERTIFICATES.findall(path.read_text(encoding="ascii", errors="replace")))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, lambda: "")
    except ssl.SSLError as error:
        mismatch = "KEY_VALUES_MISMATCH" in str(error)
        fault = (
            f"{key} is not the key of {path}" if mismatch else f"{path} or {key} is not in PEM form, or has a password"
        )
        return {"pem": pem, "fault": fault}
    return {"pem": pem, "fault": ""}


def look(module: AnsibleModule) -> dict[str, Any]:
    """Return everything there is to know of the host.

    Raises:
        OSError: a file cannot be read.
    """
    params = module.params
    root, site = Path(params["root"]), site_path(params["site"])
    paths = [Path(params[name]) if params[name] else None for name in ("certificate", "key")]
    states = units(module, ["nginx.service", "certbot.timer"])
    nginx, timer = states.get("nginx.service", {}), states.get("certbot.timer", {})
    there = published(root)
    others, stock_site = other_sites(module, site)
    active = nginx.get("ActiveState") == "active"
    nearest = root
    while not nearest.exists():
        nearest = nearest.parent
    return {
        "distribution": distribution(),
        "systemd": bool(states),
        "ipv6": (PROC / "net" / "if_inet6").exists(),
        "root_exists": (root / RELEASES).is_dir() and Path(params["challenges"]).is_dir(),
        "root_fault": root_fault(root),
        "free_bytes": shutil.disk_usage(nearest).free,
        "releases": list(there.releases),
        "manifests": {name: manifest_digest(root / RELEASES / name) for name in there.releases},
        "checksums": {name: archives(root / RELEASES / name) for name in there.releases},
        "current": there.current,
        "release_fault": there.fault,
        "files": digests(params["files"]),
        "site": {
            "path": str(site),
            "sha256": digests({str(site): "0644"})[str(site)],
            "answers": answers(site, params["server_name"], next(iter(params["ports"]), 80), params["challenges"]),
        },
        "other_sites": others,
        "stock_site": stock_site,
        "other_certificates": other_certificates(params["lineage"]),
        "authority": authority(params["lineage"]),
        "installed": installed(module, params["packages"]),
        "noted": NOTES.read_text(encoding="ascii").split() if NOTES.exists() else [],
        "nginx": {
            "active": active,
            "enabled": nginx.get("UnitFileState") == "enabled",
            "stale": active and is_stale([site, *filter(None, paths)]),
        },
        "certbot_timer": (timer.get("ActiveState"), timer.get("UnitFileState")) == ("active", "enabled"),
        "occupied": sorted(
            {
                listener.sentence
                for listener in listeners([("tcp", port) for port in params["ports"]])
                if listener.process != "nginx"
            }
        ),
        "claimed_by": claims(params["server_name"], site),
        "certificate": certificate(*paths),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "server_name": {"type": "str", "required": True},
            "site": {"type": "str", "default": "zz-rustdesk-bundle.conf"},
            "challenges": {"type": "path", "default": "/var/lib/rustdesk-bundle/acme"},
            "lineage": {"type": "str", "default": "rustdesk-bundle"},
            "ports": {"type": "list", "elements": "int", "default": []},
            "files": {"type": "dict", "default": {}},
            "certificate": {"type": "path"},
            "key": {"type": "path", "no_log": False},
            "packages": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        host = look(module)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'the host'} cannot be looked at ({error.strerror or error})")
    module.exit_json(changed=False, **host)


if __name__ == "__main__":
    main()
