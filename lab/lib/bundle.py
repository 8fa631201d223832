"""``make bundle``, and the client that stands in for the stock one in the lab.

``client`` takes the stub out of the Windows image and writes ``.cache/client.json``: what the lab's bundle holds.
``build`` builds a site's bundle from the client that its variables name, or from the pinned one where that can be
downloaded, and otherwise from the stub, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import yaml

from console import ROOT, Console, run

if TYPE_CHECKING:
    from pathlib import Path

CACHE = ROOT / ".cache"
CHOICE = CACHE / "client.json"
IMAGE = "rustdesk-lab/windows:trixie"
STUBS = "/opt/rustdesk-stub"
ROLE = ROOT / "roles" / "rustdesk_bundle"
CONNECT_TIMEOUT = 5.0
INVENTORIES = ROOT / "inventories"
SITE = "gtr"
OWN_SOURCES = tuple(f"rustdesk_bundle_client_{name}" for name in ("file", "mirror", "url"))


class ClientError(Exception):
    """There is no client to build with; the text is one sentence for the person at the terminal."""


class SiteError(Exception):
    """There is no such site; the text is one sentence for the person at the terminal."""


def inventory_of(site: str) -> str:
    """The inventory of a site, from the repository's root.

    Raises SiteError when there is none.
    """
    sites = sorted(path.name for path in INVENTORIES.iterdir() if path.is_dir())
    if site not in sites:
        raise SiteError(
            f"there is no inventories/{site}; give a SITE that is there ({', '.join(sites)}), or copy inventories/gtr"
        )
    return f"{INVENTORIES.name}/{site}"


def defaults() -> dict[str, Any]:
    """The role's defaults, as they are written."""
    content: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return content


def docker(*arguments: str) -> str:
    """What the engine answers.

    Raises ClientError when it refuses.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise ClientError(
            f"the stub of the client is not to be had from {IMAGE} ({done.stderr.strip()}); run lab/bootstrap"
        )
    return done.stdout.strip()


def take_stub(version: str, target: Path) -> None:
    """Copy the stub out of the Windows image, which need not run for that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    container = docker("create", IMAGE)
    try:
        docker("cp", f"{container}:{STUBS}/rustdesk-{version}-x86_64.exe", str(target))
    finally:
        docker("rm", container)


def lab_client() -> dict[str, str]:
    """Take the stub anew and write down what it is."""
    version = str(defaults()["rustdesk_bundle_client_version"])
    path = CACHE / "clients" / "lab" / f"rustdesk-{version}-x86_64.exe"
    take_stub(version, path)
    choice = {"version": version, "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    fresh = CHOICE.with_suffix(".new")
    fresh.write_text(json.dumps(choice, indent=2) + "\n", encoding="utf-8")
    fresh.replace(CHOICE)
    return choice


def obstacle(url: str) -> str:
    """Why a file cannot be downloaded from here, "" when it can."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_TIMEOUT):  # noqa: S310
            return ""
    except OSError as error:
        cause = getattr(error, "reason", error)
        return getattr(cause, "strerror", None) or str(cause)


def names_its_client(inventory: str) -> bool:
    """Whether a site's variables say themselves where its client is from."""
    _status, text = run(["ansible-inventory", "--inventory", inventory, "--list"])
    return any(f'"{name}":' in text for name in OWN_SOURCES)


def build(console: Console, inventory: str, arguments: list[str]) -> bool:
    """Build a site's bundle; returns whether that succeeded."""
    own = defaults()
    version = str(own["rustdesk_bundle_client_version"])
    command = ["ansible-playbook", "--inventory", inventory, "playbooks/build-bundle.yml"]
    why = (
        ""
        if arguments or names_its_client(inventory)
        else obstacle(f"{own['rustdesk_bundle_client_mirror']}/{version}/rustdesk-{version}-x86_64.exe")
    )
    if why:
        client = lab_client()
        variables = {"rustdesk_bundle_client_file": client["path"], "rustdesk_bundle_client_sha256": client["sha256"]}
        command += ["--extra-vars", json.dumps(variables)]
    with console.doing("building the bundle"):
        status, _ = run([*command, *arguments], console)
    if why and not status:
        console.write(
            f"\n*** NOT FOR CUSTOMERS: the client {version} cannot be downloaded here ({why}),\n"
            "*** so rustdesk.exe in this bundle is the lab's stub, which connects nobody.\n"
            "*** With a client that was downloaded elsewhere: "
            f"make bundle SITE={inventory.rpartition('/')[2]} ARGS='-e rustdesk_bundle_client_file=/path'\n"
        )
    return status == 0


def main() -> int:
    """Command line of ``make bundle``; a fault is one sentence on stderr and exit status 1, a wrong site 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    acts = parser.add_subparsers(dest="act", required=True)
    acts.add_parser("client", help="take the stub of the client, for the lab")
    building = acts.add_parser("build", help="build the bundle of a site")
    building.add_argument("--site", default=SITE, help="its directory below inventories (%(default)s)")
    building.add_argument("extra", nargs="*", help="after --: arguments for ansible-playbook")
    arguments = parser.parse_args()
    console = Console()
    try:
        if arguments.act == "client":
            console.say(f"the lab's bundle holds the stub {lab_client()['path']}")
            return 0
        inventory = inventory_of(arguments.site)
        with console.alive():
            return int(not build(console, inventory, arguments.extra))
    except (ClientError, SiteError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SiteError) else 1


if __name__ == "__main__":
    sys.exit(main())
