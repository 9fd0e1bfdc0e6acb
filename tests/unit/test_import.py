"""Importing the library costs nothing until something of it is used."""

from __future__ import annotations

import subprocess
import sys

import agent_infra


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_importing_the_package_imports_no_provider() -> None:
    heavy = "('pulumi', 'pulumi_aws', 'pydantic')"
    assert run(f"import agent_infra, sys; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_a_component_is_imported_when_it_is_first_used() -> None:
    code = "import sys; from agent_infra import WorkQueue; print('pulumi_aws' in sys.modules)"
    assert run(code) == "True"


def test_the_command_loads_what_a_simulated_cluster_takes_only_for_who_has_one() -> None:
    heavy = "('httpx', 'cryptography.x509', 'agent_infra.local.cluster.control')"
    code = "import agent_infra.automation, agent_infra.cli.main, sys; "
    assert run(f"{code}print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_every_public_name_is_there() -> None:
    assert sorted(agent_infra._MODULE_OF) == sorted(agent_infra.__all__)
    for name in agent_infra.__all__:
        assert getattr(agent_infra, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(agent_infra, "RedisCach")
