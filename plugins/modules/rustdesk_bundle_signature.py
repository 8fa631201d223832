#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Sign a list of checksums with minisign or GnuPG."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_signature
short_description: Sign a list of checksums with minisign or GnuPG
description:
  - Writes C(<path>.minisig), or C(<path>.asc) and the public key as C(<path>.key.asc).
  - A signature of GnuPG that is there and right stays, as it has its time in it; one of minisign is the same each
    time.
  - The password reaches the program on its standard input only. GnuPG works in a directory of its own that is removed.
options:
  path:
    description: The file that is signed.
    type: path
    required: true
  method:
    description: What signs it.
    type: str
    choices: [minisign, gpg]
    required: true
  key_file:
    description: The secret key, of minisign or as C(gpg --export-secret-keys) writes it.
    type: path
    required: true
  password:
    description: Its password.
    type: str
    default: ""
  comment:
    description: What minisign signs along with the file and shows to whoever checks it.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    details: In check mode the key is not tried.
  diff_mode:
    support: none
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Sign the checksums
  rustdesk_bundle_signature:
    path: dist/SHA256SUMS
    method: minisign
    key_file: /root/minisign.key
    password: "{{ vaulted_password }}"
    comment: rustdesk-acme 1.4.9-0f3a9c21
"""

RETURN = r"""
signature:
  description: The file with the signature.
  returned: always
  type: str
  sample: dist/SHA256SUMS.minisig
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_build import write_if_other

SUFFIXES = {"minisign": ".minisig", "gpg": ".asc"}
PUBLIC_KEY = ".key.asc"


def given_the_password(command: list[str], password: str) -> tuple[int, str, str]:
    """Run a program with a password on its standard input; return its status, output and errors.

    AnsibleModule.run_command fails where a program ends without having read all of it, as one does that takes
    offence at its key file first, and what the program says is lost.
    """
    done = subprocess.run(  # noqa: S603
        command, input=f"{password}\n", capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return done.returncode, done.stdout, done.stderr


def minisign(module: AnsibleModule, program: str, path: Path, fresh: Path) -> str:
    """Sign with minisign; return what it says against it, or ""."""
    params = module.params
    command = [program, "-S", "-q", "-s", params["key_file"], "-m", str(path), "-x", str(fresh)]
    command += ["-t", params["comment"], "-c", f"signature of {path.name}"]
    code, out, err = given_the_password(command, params["password"])
    # It asks for the password on its standard output.
    return (err or out).replace("Password:", "").strip() or "it does not say why" if code else ""


def gpg(module: AnsibleModule, program: str, path: Path, fresh: Path, home: Path) -> str:
    """Sign with GnuPG; return what it says against it, or "". A signature that is there and right is taken over."""
    common = [program, "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    password = module.params["password"]
    code, _out, err = given_the_password(
        [*common, "--passphrase-fd", "0", "--import", module.params["key_file"]], password
    )
    if code:
        return err.strip()
    existing = path.with_name(path.name + SUFFIXES["gpg"])
    if existing.is_file():
        code, _out, _err = module.run_command([*common, "--verify", str(existing), str(path)])
        if code == 0:
            shutil.copyfile(existing, fresh)
            return ""
    sign = ["--passphrase-fd", "0", "--armor", "--detach-sign", "--output", str(fresh), str(path)]
    code, _out, err = given_the_password([*common, *sign], password)
    return err.strip() or "it does not say why" if code else ""


def exported(module: AnsibleModule, program: str, home: Path) -> bytes:
    """Return the public part of the key, which customers need."""
    code, out, err = module.run_command([program, "--homedir", str(home), "--batch", "--armor", "--export"])
    if code or not out:
        module.fail_json(msg=f"gpg does not export the public key of {module.params['key_file']}: {err.strip()}")
    return str(out).encode()


def sign(module: AnsibleModule, program: str, path: Path) -> dict[str, bytes]:
    """Return what belongs beside a file, by what is added to its name, or fail with what the program says."""
    # Short: the socket of gpg's agent is in it, and a socket's path has an end.
    home = Path(tempfile.mkdtemp(prefix="sign-"))
    try:
        fresh = home / "signature"
        public: dict[str, bytes] = {}
        if module.params["method"] == "minisign":
            said = minisign(module, program, path, fresh)
        else:
            said = gpg(module, program, path, fresh, home)
            public = {} if said else {PUBLIC_KEY: exported(module, program, home)}
            agent = module.get_bin_path("gpgconf")
            if agent:
                module.run_command([agent, "--homedir", str(home), "--kill", "all"])
        if said:
            text = said.replace(str(home), "")
            if module.params["password"]:
                text = text.replace(module.params["password"], "…")
            module.fail_json(msg=f"{module.params['method']} does not sign with {module.params['key_file']}: {text}")
        return {SUFFIXES[module.params["method"]]: fresh.read_bytes(), **public}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["minisign", "gpg"], "required": True},
            "key_file": {"type": "path", "required": True, "no_log": False},
            "password": {"type": "str", "default": "", "no_log": True},
            "comment": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    method, path = module.params["method"], Path(module.params["path"])
    signature = path.with_name(path.name + SUFFIXES[method])
    program = module.get_bin_path(method)
    if program is None:
        module.fail_json(msg=f"{method} is not installed on the controller; install it, or sign nothing")
    if module.check_mode:
        module.exit_json(changed=not signature.exists(), signature=str(signature))
    try:
        written = [
            write_if_other(path.with_name(path.name + end), text) for end, text in sign(module, program, path).items()
        ]
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror or error}")
    module.exit_json(changed=any(written), signature=str(signature))


if __name__ == "__main__":
    main()
