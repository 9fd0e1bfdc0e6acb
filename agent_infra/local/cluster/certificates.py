"""A cluster's certificates: made afresh all together, for names on this machine alone.

There are three authorities, because whoever holds a certificate of one is let in where that one is trusted:
the cluster's own; etcd's, behind which there is no RBAC; and the front proxy's, whose word on who a user is
is taken. Their private keys are not kept: nothing can be signed later, everything is made anew instead.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Authority = Literal["ca", "etcd-ca", "front-proxy-ca"]
AUTHORITIES: tuple[Authority, ...] = ("ca", "etcd-ca", "front-proxy-ca")
#: What they sign and how it is trusted has this number; another one makes everything anew.
_EDITION = 2
_VALID = datetime.timedelta(days=365)
_RENEWED_BEFORE = datetime.timedelta(days=30)
#: A clock that is a little behind must not find them not yet valid.
_LEEWAY = datetime.timedelta(minutes=5)
_EDITION_FILE = "edition.json"


@dataclass(frozen=True)
class Certificate:
    """One certificate: whose it is, and what it may be used for."""

    name: str
    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """What a server is called, beside localhost and 127.0.0.1; its own name alone for none."""
    serves: bool = False
    asks: bool = True
    authority: Authority = "ca"


def _service(name: str, namespace: str) -> tuple[str, ...]:
    return tuple(f"{name}{end}" for end in ("", f".{namespace}", f".{namespace}.svc"))


#: Users have their rights by RBAC: Kubernetes' own roles give them, and those of objects/rbac.py.
CERTIFICATES: tuple[Certificate, ...] = (
    Certificate("admin", "agent-infra:admin", groups=("system:masters",)),
    Certificate("etcd", "etcd", serves=True, authority="etcd-ca"),
    Certificate("etcd-client", "kube-apiserver", authority="etcd-ca"),
    Certificate(
        "kube-apiserver",
        "kube-apiserver",
        hosts=(*_service("kubernetes", "default"), "kubernetes.default.svc.cluster.local"),
        serves=True,
        asks=False,
    ),
    Certificate("kubelet-client", "kube-apiserver-kubelet-client"),
    Certificate("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
    Certificate("kube-controller-manager", "system:kube-controller-manager", serves=True),
    Certificate("kube-scheduler", "system:kube-scheduler", serves=True),
    Certificate("kwok", "agent-infra:kwok", serves=True),
    Certificate(
        "metrics-server",
        "agent-infra:metrics-server",
        hosts=_service("metrics-server", "kube-system"),
        serves=True,
    ),
    Certificate(
        "keda",
        "agent-infra:keda",
        hosts=(
            *_service("keda-operator", "kube-system"),
            *_service("keda-metrics-apiserver", "kube-system"),
        ),
        serves=True,
    ),
    Certificate("argo-rollouts", "agent-infra:argo-rollouts"),
)
SERVICE_ACCOUNTS = "service-accounts"


def ensure(directory: Path, *, now: datetime.datetime | None = None) -> bool:
    """Makes every certificate where one is missing, damaged, old or soon out of date; True if it did."""
    moment = now or datetime.datetime.now(datetime.UTC)
    if _valid(directory, moment):
        return False
    made = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True, mode=0o700)
    try:
        _make(made, moment)
        shutil.rmtree(directory, ignore_errors=True)
        made.replace(directory)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return True


def _valid(directory: Path, moment: datetime.datetime) -> bool:
    names = [*AUTHORITIES, *(certificate.name for certificate in CERTIFICATES)]
    try:
        if json.loads((directory / _EDITION_FILE).read_text()) != _EDITION:
            return False
        for name in names:
            found = x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())
            if not found.not_valid_before_utc <= moment < found.not_valid_after_utc - _RENEWED_BEFORE:
                return False
        keys = [*(certificate.name for certificate in CERTIFICATES), SERVICE_ACCOUNTS]
        for name in keys:
            serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    return True


def _make(directory: Path, moment: datetime.datetime) -> None:
    signers = {name: _authority(directory, name, moment) for name in AUTHORITIES}
    for certificate in CERTIFICATES:
        _signed(directory, certificate, signers[certificate.authority], moment)
    accounts = ec.generate_private_key(ec.SECP256R1())
    _write_key(directory / f"{SERVICE_ACCOUNTS}.key", accounts)
    public = accounts.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(directory / f"{SERVICE_ACCOUNTS}.pub", public)
    # KEDA's operator and adapter look for their certificates under these names in a directory of their own.
    keda = directory / "keda"
    keda.mkdir(mode=0o700)
    for theirs, ours in (("ca.crt", "ca.crt"), ("tls.crt", "keda.crt"), ("tls.key", "keda.key")):
        _write(keda / theirs, (directory / ours).read_bytes())
    _write(directory / _EDITION_FILE, json.dumps(_EDITION).encode())


_Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _authority(directory: Path, name: str, moment: datetime.datetime) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"agent-infra local {name}")])
    usage = _usage(signs_certificates=True)
    builder = (
        _builder(subject, subject, key.public_key(), moment)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    _write(directory / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _signed(directory: Path, wanted: Certificate, signer: _Signer, moment: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in wanted.groups),
            x509.NameAttribute(NameOID.COMMON_NAME, wanted.user),
        ]
    )
    purposes = [
        *([ExtendedKeyUsageOID.SERVER_AUTH] if wanted.serves else []),
        *([ExtendedKeyUsageOID.CLIENT_AUTH] if wanted.asks else []),
    ]
    authority, authority_key = signer
    builder = (
        _builder(subject, authority.subject, key.public_key(), moment)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    if wanted.serves:
        builder = builder.add_extension(_alternatives(wanted.hosts), critical=False)
    signed = builder.sign(authority_key, hashes.SHA256())
    _write(directory / f"{wanted.name}.crt", signed.public_bytes(serialization.Encoding.PEM))
    _write_key(directory / f"{wanted.name}.key", key)


def _alternatives(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names = [x509.DNSName(host) for host in ("localhost", *hosts)]
    return x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, moment: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _LEEWAY)
        .not_valid_after(moment + _VALID)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, content)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
