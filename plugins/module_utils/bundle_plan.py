# SPDX-License-Identifier: MIT
"""What the preflight of the role rustdesk_bundle looks at, and what it returns.

Runs on the controller.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ansible.module_utils import bundle_inputs
from ansible.module_utils.bundle_certificates import of_no_use, to_be_made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.module_utils.bundle_inputs import Inputs

PACKAGES = ("nginx", "certbot", "python3-cryptography")
"""Packages that the role needs on a host, whatever its variables."""


def given_pem(texts: Mapping[str, str]) -> str:
    """Return what the role writes of a certificate and its key that are on the controller."""
    return "".join(texts[name].rstrip() + "\n" for name in ("certificate_key_file", "certificate_file"))


def look(inputs: Inputs) -> tuple[str, dict[str, Any]]:
    """Return the module that looks at the host, and its arguments."""
    present = inputs["state"] == "present"
    return "rustdesk_bundle_info", {
        "root": inputs["root"],
        "server_name": bundle_inputs.server_name(inputs) or "none",
        "site": inputs["site"],
        "challenges": inputs["challenges"],
        "lineage": inputs["lineage"],
        "ports": [int(inputs["http_port"]), bundle_inputs.https_port(inputs)] if present else [],
        "files": inputs["files"],
        "certificate": inputs["certificate"] or None,
        "key": inputs["certificate_key"] or None,
        "packages": list(PACKAGES),
    }


def controller(inputs: Inputs) -> dict[str, Any]:
    """Return what the role needs to know of the controller."""
    builds = inputs["state"] == "present" and not inputs["release"]
    return {
        "clients": bundle_inputs.clients(inputs) if builds else [],
        # Programs find nothing in the directories that Ansible looks into.
        "signing": {name: inputs["paths"][name] for name in bundle_inputs.SIGNING_FILES},
    }


def known(inputs: Inputs, host: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the role needs to know besides what the host has said."""
    moved = _authority_moved(inputs, host)
    return controller(inputs) | {
        "certificate_pending": _certificate_pending(inputs, host) or moved,
        "certificate_moved": bool(moved),
    }


def _authority_moved(inputs: Inputs, host: Mapping[str, Any]) -> str:
    """Say from whom certbot has the certificate when that is not who is to issue it; "" otherwise."""
    issuer = host["authority"]
    if inputs["state"] == "absent" or inputs["tls"] != "acme" or issuer in ("", inputs["acme_directory"]):
        return ""
    return f"it is from {issuer}"


def _certificate_pending(inputs: Inputs, host: Mapping[str, Any]) -> str:
    """Say why the certificate has to be brought, made or requested; "" when it has not."""
    if inputs["state"] == "absent":
        return ""
    certificate = host["certificate"]
    if inputs["tls"] == "given":
        if not inputs["certificate_file"]:
            return ""
        given = hashlib.sha256(given_pem(inputs["texts_of"]).encode()).hexdigest()
        return "another one is given" if host["files"][inputs["certificate"]] != given else ""
    host_name = bundle_inputs.server_name(inputs)
    if inputs["tls"] == "acme":
        # certbot renews it by itself in time.
        return of_no_use(certificate["pem"], certificate["fault"], host_name, inputs["now"])
    return to_be_made(certificate["pem"], certificate["fault"], host_name, inputs["now"])
