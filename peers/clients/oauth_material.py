"""Makes what the OAuth walks need to find on disk: a machine's key, and a certificate for loopback.

oauth_material.py FOLDER: writes key.pem and jwks.json (P-256), ca.pem, tls.pem and tls.key.
"""

import base64
import datetime
import ipaddress
import json
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOME = Path(sys.argv[1])
DAY = datetime.timedelta(days=1)


def written(name, key):
    HOME.joinpath(name).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(subject, key, issuer, signer, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - DAY).not_valid_after(now + 7 * DAY)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def number(value):
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()


HOME.mkdir(parents=True, exist_ok=True)
public = written("key.pem", ec.generate_private_key(ec.SECP256R1())).public_key().public_numbers()
jwk = {"kty": "EC", "crv": "P-256", "x": number(public.x), "y": number(public.y)}
jwk |= {"kid": "one", "alg": "ES256", "use": "sig"}
HOME.joinpath("jwks.json").write_text(json.dumps({"keys": [jwk]}))

authority = ec.generate_private_key(ec.SECP256R1())
own = written("tls.key", ec.generate_private_key(ec.SECP256R1()))
is_authority = [(x509.BasicConstraints(ca=True, path_length=0), True)]
HOME.joinpath("ca.pem").write_bytes(
    certificate("walkers", authority, "walkers", authority, is_authority)
)
names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
extensions = [
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (x509.SubjectAlternativeName(names), False),
]
HOME.joinpath("tls.pem").write_bytes(
    certificate("localhost", own, "walkers", authority, extensions)
)
