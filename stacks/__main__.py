"""The one program of every environment: settings in, a platform with its fleets out."""

from __future__ import annotations

import os

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

from agent_infra import AgentPlatform, AgentPlatformArgs, ArgsError, Settings, SettingsError, secret_variables

#: Set by `agent-infra ... --rehearse`: these settings are tried on this machine, to their end.
REHEARSAL = "AGENT_INFRA_REHEARSAL"


def _settings() -> Settings:
    try:
        settings = Settings.load(
            get_config_env(),
            pulumi.get_stack(),
            project=pulumi.get_project(),
            secret_keys=get_config_secret_keys_env(),
        )
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    return settings.for_rehearsal() if os.environ.get(REHEARSAL) == "1" else settings


def main() -> None:
    settings = _settings()
    args = AgentPlatformArgs(
        settings=settings, project_dir="..", variables=secret_variables(settings, os.environ)
    )
    try:
        platform = AgentPlatform("agents", args)
    except (ArgsError, FileNotFoundError) as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in platform.outputs.items():
        pulumi.export(name, value)


main()
