"""The command ``rustdesk-utils``: key pairs and a look at a server's TCP ports."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

from nacl.bindings import (
    crypto_sign,
    crypto_sign_keypair,
    crypto_sign_open,
    crypto_sign_PUBLICKEYBYTES,
    crypto_sign_SECRETKEYBYTES,
)
from nacl.exceptions import BadSignatureError

from .keys import decode_base64, encode_base64

if TYPE_CHECKING:
    from collections.abc import Sequence

HELP = """Usage:
    rustdesk-utils [command]

Available Commands:
    genkeypair                                   Generate a new keypair
    validatekeypair [public key] [secret key]    Validate an existing keypair
    doctor [rustdesk-server]                     Check for server connection problems
"""
PORTS = (
    (21114, "API"),
    (21115, "hbbs extra port for nat test"),
    (21116, "hbbs"),
    (21117, "hbbr tcp"),
    (21118, "hbbs websocket"),
    (21119, "hbbr websocket"),
)


class InvalidPairError(Exception):
    """The two texts are not a key pair."""


def _decode(text: str, kind: str, size: int) -> bytes:
    try:
        key = decode_base64(text)
    except ValueError as error:
        raise InvalidPairError(f"Invalid {kind} key") from error
    if len(key) != size:
        raise InvalidPairError(f"Invalid {kind.capitalize()} key")
    return key


def validate_pair(public: str, secret: str) -> None:
    """Sign and verify with a pair in base64; raise InvalidPairError when that does not work out."""
    secret_key = _decode(secret, "secret", crypto_sign_SECRETKEYBYTES)
    public_key = _decode(public, "public", crypto_sign_PUBLICKEYBYTES)
    try:
        crypto_sign_open(crypto_sign(b"a message", secret_key), public_key)
    except BadSignatureError as error:
        raise InvalidPairError("Key pair is INVALID") from error


def _help(problem: str = "") -> int:
    print(f"ERROR: {problem}\n\n{HELP}" if problem else HELP, end="")
    return 1


def _generate() -> int:
    public, secret = crypto_sign_keypair()
    print(f"Public Key:  {encode_base64(public)}")
    print(f"Secret Key:  {encode_base64(secret)}")
    return 0


def _validate(arguments: Sequence[str]) -> int:
    if len(arguments) < 2:
        return _help("You must supply both the public and the secret key")
    try:
        validate_pair(*arguments[:2])
    except InvalidPairError as error:
        print(error)
        return 1
    print("Key pair is VALID")
    return 0


def _check_port(ip: str, port: int, purpose: str) -> None:
    start = time.monotonic()
    try:
        socket.create_connection((ip, port)).close()
    except OSError:
        print(f"TCP Port {port} ({purpose}): ERROR")
    else:
        print(f"TCP Port {port} ({purpose}): OK in {int((time.monotonic() - start) * 1000)} ms")


def _check_address(ip: str, name: str | None) -> None:
    address = ipaddress.ip_address(ip)
    print(f"\nChecking IP address: {ip}")
    print(f"Is IPV4: {str(address.version == 4).lower()}")
    print(f"Is IPV6: {str(address.version == 6).lower()}")
    reverse = socket.gethostbyaddr(ip)[0]
    if name is not None:
        verdict = "MATCHES server address" if reverse == name else f"DOESN'T MATCH server address '{name}'"
        print(f"Reverse DNS lookup: '{reverse}' {verdict}")
    for port, purpose in PORTS:
        _check_port(ip, port, purpose)


def _doctor(arguments: Sequence[str]) -> int:
    if not arguments:
        return _help("You must supply the rustdesk-server address")
    name = arguments[0].strip().lower()
    print(f"Checking server:  {name}\n")
    try:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            ips = list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(name, None)))
            print(f"Found {len(ips)} IP addresses: ")
            for ip in ips:
                print(f" - {ip}")
            for ip in ips:
                _check_address(ip, name)
        else:
            _check_address(name, None)
    except OSError as error:
        sys.stderr.write(f"lookup failed: {error}\n")
        sys.stdout.flush()
        os.abort()  # as upstream does, which does not expect an address without a name
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``rustdesk-utils`` and return its exit code."""
    command, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    match command.lower():
        case "genkeypair":
            return _generate()
        case "validatekeypair":
            return _validate(arguments)
        case "doctor":
            return _doctor(arguments)
        case _:
            return _help()


if __name__ == "__main__":
    sys.exit(main())
