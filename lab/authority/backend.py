"""The part of the lab's certificate authority that signs: what serles asks its backends for.

It runs on the machine ``outside``, with the library that serles brings.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

HOME = Path("/srv/authority")
DAYS = 90
OWN_NAME = "outside.lab.test"


def _builder(
    names: list[str], key: Any, issuer: x509.Name | None = None, signer: Any = None
) -> x509.CertificateBuilder:
    """Describe a certificate; without an issuer, that of the authority itself."""
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    authority = issuer is None
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer or key), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
            critical=True,
        )
    )
    if authority:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def prepare() -> None:
    """Make the authority's certificate, and one for its own address."""
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    certificate = _builder(["The lab's authority"], root.public_key()).sign(root, hashes.SHA256())
    (HOME / "ca.key").write_bytes(_private(root))
    (HOME / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    leaf = _builder([OWN_NAME], own.public_key(), certificate.subject, root.public_key()).sign(root, hashes.SHA256())
    (HOME / "own.key").write_bytes(_private(own))
    (HOME / "own.pem").write_bytes(leaf.public_bytes(Encoding.PEM))


class Backend:
    """Signs what the authority has found to be in order."""

    def __init__(self, _config: Any) -> None:
        self.key = load_pem_private_key((HOME / "ca.key").read_bytes(), None)
        self.certificate = x509.load_pem_x509_certificate((HOME / "ca.pem").read_bytes())

    def sign(self, csr: bytes, subjectDN: str, subjectAltNames: list[str], email: str) -> tuple[str, None]:  # noqa: ARG002, N803 - serles calls them so
        """Return the certificate and its chain."""
        request = x509.load_pem_x509_csr(csr)
        builder = _builder(list(subjectAltNames), request.public_key(), self.certificate.subject, self.key.public_key())
        signed = builder.sign(self.key, hashes.SHA256())  # type: ignore[arg-type]  # it is the one made above
        chain = signed.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)
        return chain.decode(), None


if __name__ == "__main__":
    prepare()
