"""Pages of several sites, rendered as the role renders them."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from lxml import etree  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = ("de", "en")
PLAY = Path(__file__).with_name("page.yml")

_GTR = yaml.safe_load((ROOT / "inventories/gtr/group_vars/all/rustdesk.yml").read_text(encoding="utf-8"))
_DOWNLOAD = {
    "version": "1.4.9",
    "released": "2026-11-25",
    "launcher_name": "rustdesk-gtr.exe",
    "reset_name": "rustdesk-reset.exe",
    "signature": "SHA256SUMS.minisig",
    "signature_public_key": "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
    "archives": [
        {
            "architecture": architecture,
            "name": f"rustdesk-gtr{suffix}.zip",
            "url": f"rustdesk-gtr{suffix}.zip",
            "versioned_url": f"1.4.9-0123abcd/rustdesk-gtr{suffix}-1.4.9-0123abcd.zip",
            "sha256": digit * 64,
            "size": size,
        }
        for architecture, suffix, digit, size in (("amd64", "", "a", 26_412_345), ("arm64", "-arm64", "b", 25_001_000))
    ],
}


@dataclass(frozen=True)
class Site:
    """What a page is rendered from: the site's variables, and what is published beside the page."""

    variables: dict[str, Any] = field(default_factory=dict)
    download: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Every variable, those of the example site where this one has none of its own."""
        return copy.deepcopy({**_GTR, **self.variables, "download": {**_DOWNLOAD, **self.download}})


def ports(base: int, relay: int) -> dict[str, Any]:
    """Return a site's variables for other ports; its list follows them as an inventory's does."""
    return {"rustdesk_port": base, "rustdesk_relay_port": relay}


_ACME = {
    "rustdesk_host": "hilfe.acme.example",
    "rustdesk_download_url": "https://files.acme.example/hilfe",
    "rustdesk_contact": {"company": "Müller & Söhne <\"Acme\"> 'x' GmbH", "email": "it@acme.example"},
    "rustdesk_country": "CH",
}
_ACME_DOWNLOAD = {"launcher_name": "rustdesk-acme.exe", "archives": _DOWNLOAD["archives"][:1], "signature": ""}

SITES = {
    "gtr": Site(),
    "acme": Site(_ACME, {**_ACME_DOWNLOAD, "signature_public_key": ""}),
    "ports": Site(
        {
            **_ACME,
            **ports(31116, 31217),
            "rustdesk_relay_server": "relay.acme.example:31217",
            "rustdesk_api": "https://api.acme.example",
            "rustdesk_country": "",
        },
        {**_ACME_DOWNLOAD, "released": ""},
    ),
    "relays": Site(
        {
            **_ACME,
            "rustdesk_relays": ["relay1.acme.example", "[2001:db8::17]:21117"],
            "rustdesk_country": "XK",
            "rustdesk_contact": {
                "company": "Acme",
                "email": "it@acme.example",
                "phone": "+41 (0)44 123",
                "portal": "https://portal.acme.example/",
            },
        },
        {**_ACME_DOWNLOAD, "signature": "SHA256SUMS.asc", "signature_public_key": "0123 4567 89AB"},
    ),
}


def render(sites: dict[str, Site], directory: Path) -> None:
    """Render a page for each site, into a directory of its name.

    Raises:
        RuntimeError: Ansible failed; the message is what it said.
    """
    hosts = {
        name: {"ansible_connection": "local", "output": str(directory / name), **site.settings}
        for name, site in sites.items()
    }
    inventory = directory / "sites.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", f"--inventory={inventory}", str(PLAY)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or "WARNING" in done.stdout + done.stderr:
        raise RuntimeError(done.stdout + done.stderr)


@dataclass(frozen=True)
class Page:
    """One language of a site's page."""

    site: str
    language: str
    text: str

    @property
    def root(self) -> etree._Element:
        """The document, read as strictly as XML is: the templates close every element and escape every value."""
        return etree.fromstring(self.text.encode("utf-8"), etree.XMLParser(resolve_entities=False, no_network=True))

    @property
    def words(self) -> str:
        """What a reader sees, every run of white space a single space."""
        return " ".join(" ".join(str(words) for words in self.root.itertext()).split())

    def texts(self, xpath: str) -> list[str]:
        """Return attribute values, or the words of elements."""
        found = self.root.xpath(xpath)
        assert isinstance(found, list)
        return [str(one) if isinstance(one, str) else "".join(one.itertext()) for one in found]


def read(directory: Path, site: str, language: str) -> Page:
    """Return a page that `render` has written."""
    return Page(site, language, (directory / site / language / "index.html").read_text(encoding="utf-8"))


def main() -> int:
    """Render the given site, for a look: ``python tests/unit/bundle/pages.py DIRECTORY [SITE…]``."""
    directory = Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    render({name: SITES[name] for name in sys.argv[2:] or SITES}, directory)
    sys.stdout.write(json.dumps(sorted(str(path.relative_to(directory)) for path in directory.rglob("*.*"))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
