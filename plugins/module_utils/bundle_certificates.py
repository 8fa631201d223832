# SPDX-License-Identifier: MIT
"""What is wrong with a certificate that a site is to have.

Runs on the controller, where Ansible brings the library for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON = timedelta(days=30)
"""How long before its end the role makes a new certificate where it makes them."""


def chain_faults(pem: str, key: str, host: str, now: float) -> Iterator[tuple[bool, str]]:
    """Yield every fault of a certificate, and whether it is one of its key.

    Args:
        pem: the certificate with its chain.
        key: its private key; "" leaves that out.
        host: the name of the site.
        now: seconds since 1970.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        yield False, "is not a certificate in PEM form; give what the authority has issued, with its chain"
        return
    own = chain[0]
    yield from ((False, fault) for fault in (*_time_faults(own, now), *_name_faults(own, host)))
    for issued, issuer in zip(chain, chain[1:]):
        if issued.issuer != issuer.subject:
            yield (
                False,
                (
                    "has a chain in the wrong order; put the site's certificate first, and after each the one that "
                    "issued it"
                ),
            )
            break
    if key:
        yield from ((True, fault) for fault in _key_faults(own, key))


def _time_faults(certificate: x509.Certificate, now: float) -> Iterator[str]:
    moment = datetime.fromtimestamp(now, timezone.utc)
    end, start = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    if end <= moment:
        yield f"has expired on {end:%Y-%m-%d %H:%M} UTC; give a new one"
    if start > moment:
        yield f"is not valid before {start:%Y-%m-%d %H:%M} UTC; wait for that, or set the controller's clock"


def _name_faults(certificate: x509.Certificate, host: str) -> Iterator[str]:
    if not covers(certificate, host):
        names = ", ".join(names_of(certificate)) or "no host"
        yield f"is for {names} and not for {host}, so browsers would refuse it; give one for {host}"


def _key_faults(certificate: x509.Certificate, text: str) -> Iterator[str]:
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        yield "has a password, which nginx could not give; take it off, and vault the file instead"
        return
    except ValueError:
        yield "is not a private key in PEM form; give the certificate's"
        return
    if _public(key.public_key()) != _public(certificate.public_key()):
        yield "is not the key of the certificate; give the one that it was requested with"


def _public(key: object) -> bytes:
    content: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return content


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the names of hosts that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(extension.value.get_values_for_type(x509.DNSName))


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is for a host; a * stands for one label (RFC 6125 section 6.4.3)."""
    wanted = {host.lower(), "*." + host.lower().partition(".")[2]}
    return any(name.lower() in wanted for name in names_of(certificate))


def of_no_use(pem: str, fault: str, host: str, now: float) -> str:
    """Say why a certificate that is renewed in time serves nobody all the same; "" when it does."""
    if fault or not pem:
        return fault or "there is none"
    own = x509.load_pem_x509_certificates(pem.encode())[0]
    # A controller whose clock is behind is no reason.
    later = max(now, own.not_valid_before_utc.timestamp())
    return next(iter((*_name_faults(own, host), *_time_faults(own, later))), "")


def to_be_made(pem: str, fault: str, host: str, now: float) -> str:
    """Say why a certificate has to be made, or requested, now; "" when the one that is there will do."""
    if fault or not pem:
        return fault or "there is none"
    later = now + SOON.total_seconds()
    return next((text for _at_key, text in chain_faults(pem, "", host, later)), "")
