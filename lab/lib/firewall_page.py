"""Keeps what docs/firewall.md shows equal to what the role exports: one port list, written once.

``python lab/lib/firewall_page.py`` writes the page's generated parts anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from console import ROOT

PAGE = ROOT / "docs" / "firewall.md"
SITE = "inventories/gtr"
_PART = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[a-z0-9.-]+) -->\n)(?P<body>.*?)(?P<end><!-- end of generated -->)", re.DOTALL
)
_LANGUAGES = {".sh": "sh", ".cmd": "bat", ".ps1": "powershell", ".nft": "sh", ".txt": "text"}


def export(directory: Path, *variables: str) -> None:
    """Render the exports of the example site.

    Raises:
        RuntimeError: the playbook failed; the message is what it said.
    """
    given = [f"rustdesk_firewall_exports_dir={directory}", *variables]
    done = subprocess.run(  # noqa: S603
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            f"--inventory={ROOT / SITE}",
            str(ROOT / "playbooks" / "firewall-exports.yml"),
            *(word for variable in given for word in ("--extra-vars", variable)),
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def filled(text: str, exports: Path) -> str:
    """Return a page with every generated part as the exports have it."""

    def part(match: re.Match[str]) -> str:
        content = (exports / match["name"]).read_text(encoding="utf-8")
        language = _LANGUAGES.get(Path(match["name"]).suffix)
        body = f"```{language}\n{content.rstrip()}\n```\n" if language else f"\n{content.rstrip()}\n\n"
        return match["begin"] + body + match["end"]

    return _PART.sub(part, text)


def parts(text: str) -> list[str]:
    """Return the names of a page's generated parts."""
    return [match["name"] for match in _PART.finditer(text)]


def main() -> int:
    """Write the page's generated parts anew."""
    with tempfile.TemporaryDirectory() as directory:
        export(Path(directory))
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), Path(directory)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
