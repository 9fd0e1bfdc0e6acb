"""The certificates of a simulated cluster."""

from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from agent_infra.local.cluster import certificates, kubeconfigs
from agent_infra.local.cluster.certificates import CERTIFICATES, Certificate
from agent_infra.local.cluster.options import Places


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cluster") / "certificates"
    assert certificates.ensure(directory)
    return directory


def now() -> datetime.datetime:
    """Not that of the import: a long run makes its certificates later."""
    return datetime.datetime.now(datetime.UTC)


def load(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def policy(directory: Path, authority: str) -> PolicyBuilder:
    return PolicyBuilder().store(Store([load(directory, authority)])).time(now())


@pytest.mark.parametrize("wanted", [c for c in CERTIFICATES if c.serves], ids=lambda c: c.name)
def test_a_server_is_known_by_its_names_and_by_loopback_alone(made: Path, wanted: Certificate) -> None:
    found = load(made, wanted.name)
    for host in ("localhost", *wanted.hosts):
        policy(made, wanted.authority).build_server_verifier(x509.DNSName(host)).verify(found, [])
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.0.1"]
    with pytest.raises(VerificationError):
        policy(made, wanted.authority).build_server_verifier(x509.DNSName("example.com")).verify(found, [])


@pytest.mark.parametrize("wanted", [c for c in CERTIFICATES if c.asks], ids=lambda c: c.name)
def test_a_client_says_who_it_is_and_in_which_groups(made: Path, wanted: Certificate) -> None:
    found = load(made, wanted.name)
    found.verify_directly_issued_by(load(made, wanted.authority))
    subject = found.subject
    assert [part.value for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [wanted.user]
    groups = [part.value for part in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert tuple(groups) == wanted.groups
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage


def test_only_the_administrator_is_a_master() -> None:
    assert [c.name for c in CERTIFICATES if "system:masters" in c.groups] == ["admin"]


def test_who_is_trusted_by_the_cluster_is_not_trusted_by_etcd_or_the_front_proxy(made: Path) -> None:
    admin = load(made, "admin")
    for authority in ("etcd-ca", "front-proxy-ca"):
        with pytest.raises((ValueError, VerificationError)):
            policy(made, authority).build_client_verifier().verify(admin, [])


def test_private_files_are_their_owners_alone_and_no_authority_keeps_its_key(made: Path) -> None:
    files = [made, *made.rglob("*")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files if file.is_file()} == {0o600}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files if file.is_dir()} == {0o700}
    assert not [file for file in files if file.name.endswith("ca.key")]


def test_what_is_valid_is_kept(made: Path) -> None:
    before = (made / "admin.key").read_bytes()
    assert not certificates.ensure(made)
    assert (made / "admin.key").read_bytes() == before


def test_all_are_made_anew_a_month_before_they_end(made: Path, tmp_path: Path) -> None:
    directory = tmp_path / "certificates"
    certificates.ensure(directory, now=now() - datetime.timedelta(days=340))
    old = load(directory, "ca").serial_number
    assert certificates.ensure(directory)
    assert load(directory, "ca").serial_number != old


@pytest.mark.parametrize("name", ["etcd.crt", "keda.key", "service-accounts.key", "edition.json"])
def test_a_missing_or_damaged_file_makes_all_of_them_anew(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "certificates"
    certificates.ensure(directory)
    (directory / name).write_text("not this")
    assert certificates.ensure(directory)
    (directory / name).unlink()
    assert certificates.ensure(directory)
    assert not certificates.ensure(directory)


def test_a_kubeconfig_can_be_copied_and_is_its_owners_alone(tmp_path: Path) -> None:
    places = Places(tmp_path)
    certificates.ensure(places.certificates)
    kubeconfigs.write(places, name="agent-infra-local", server="https://127.0.0.1:4000")
    content = json.loads(places.kubeconfig.read_text())
    (cluster,) = content["clusters"]
    assert cluster["cluster"]["server"] == "https://127.0.0.1:4000"
    assert str(tmp_path) not in places.kubeconfig.read_text()
    for file in (places.kubeconfig, places.kubeconfig_of("keda")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
