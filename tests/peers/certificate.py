"""A certificate of 127.0.0.1 that an authority of its own signed, for servers of tests that are not in Rust.

Usage: certificate.py FOLDER. Writes authority.pem (whom to trust), certificate.pem and key.pem.
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def signed(name: str, of, by, extension) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number()).public_key(of.public_key())
    builder = builder.subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
    builder = builder.issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")]))
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    return builder.add_extension(extension, critical=True).sign(by, hashes.SHA256())


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # What is trusted must not be what the server shows: rustls tells them apart.
    root = signed("authority", authority, authority, x509.BasicConstraints(ca=True, path_length=None))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    shown = signed("127.0.0.1", server, authority, address)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "authority.pem").write_bytes(root.public_bytes(pem))
    (folder / "certificate.pem").write_bytes(shown.public_bytes(pem))
    (folder / "key.pem").write_bytes(server.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


main()
