"""What the engine is given to deploy to this machine."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent_infra.local.environment import LocalEnvironment, LocalError, plainly
from agent_infra.local.workspace import PASSPHRASE, prepare, variables, without_proxy


@pytest.fixture
def environment(tmp_path: Path) -> LocalEnvironment:
    made = LocalEnvironment(tmp_path / "local")
    prepare(made)
    return made


def test_the_users_own_passphrase_does_not_win(
    environment: LocalEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSPHRASE, raising=False)
    assert PASSPHRASE not in variables(environment, tool_dirs=[])
    monkeypatch.setenv(PASSPHRASE, "that of another stack")
    assert variables(environment, tool_dirs=[])[PASSPHRASE] == environment.passphrase_file.read_text()


def test_objects_go_to_files_or_to_the_cluster_which_then_is_asked_how_a_canary_does(
    environment: LocalEnvironment,
) -> None:
    files = variables(environment, tool_dirs=[])
    simulated = variables(environment, tool_dirs=[], kubeconfig=Path("/c/kubeconfig"))
    assert "LocalCluster" in files["AGENT_INFRA_CLUSTER"]
    assert "AGENT_INFRA_KUBECONFIG" not in files
    assert simulated["AGENT_INFRA_KUBECONFIG"] == "/c/kubeconfig"
    assert "AGENT_INFRA_CLUSTER" not in simulated


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    assert without_proxy({"PATH": "/bin"}) == {}
    told = without_proxy({"HTTP_PROXY": "http://proxy", "NO_PROXY": "intranet"})
    assert told == dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost,intranet")


def test_the_passphrase_and_the_state_are_the_users_alone(environment: LocalEnvironment) -> None:
    before = environment.passphrase_file.read_text()
    prepare(environment)
    assert environment.passphrase_file.read_text() == before
    assert environment.passphrase_file.stat().st_mode & 0o077 == 0
    assert environment.root.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, r"The disk that has /place is full: free some space"),
        (errno.EACCES, r"/place: Permission denied. Mend that"),
    ],
)
def test_what_the_system_refuses_is_told_with_the_way_out(number: int, told: str) -> None:
    def refuse() -> None:
        raise OSError(number, "Permission denied")

    with pytest.raises(LocalError, match=told), plainly(Path("/place")):
        refuse()


def test_a_broken_connection_is_no_fault_of_the_place() -> None:
    def leave() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), plainly(Path("/place")):
        leave()
