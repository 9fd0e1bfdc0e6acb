"""All that is wrong with the settings, told at once, before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent_app.secrets import LlmKeys, of_environment
from agent_app.settings import PREFIX, Settings, SettingsError

#: What a role cannot do without.
_NEEDS = {"serve": (), "work": ("queue_url", "database_url"), "migrate": ("database_url",), "evaluate": ()}


class _Wrong:
    """What was found; a sentence each."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except SettingsError as error:
            self.said += str(error).splitlines()

    def end(self) -> None:
        if self.said:
            raise SettingsError("\n".join(dict.fromkeys(self.said)))


def load(role: str) -> Settings:
    """The settings for `serve`, `work`, `migrate` or `evaluate`, with the agents and models that they name.

    Where the models' keys are in a secret, it is read later, and `check_models` then tells of the models.

    Raises:
        SettingsError: one message for all that is wrong.
    """
    found = Settings.read()
    settings, wrong = found.settings, _Wrong()
    with wrong.noting():
        _check_role(role, settings)
    if role != "migrate":
        with wrong.noting():
            _check_agents(settings)
        if settings.llm_secret_arn is None:
            with wrong.noting():
                check_models(settings, of_environment(settings))
    found.add(wrong.said)
    if found.said:
        raise SettingsError("\n".join(found.said))
    return settings


def check_models(settings: Settings, keys: LlmKeys) -> None:
    """Raises SettingsError for all models that cannot be used, and for budgets of those without a price."""
    from agent_app.llm import vendors
    from agent_app.llm.prices import Prices

    wanted: list[tuple[str | None, str]] = [(name, "FALLBACK_MODELS") for name in settings.fallback_models]
    wanted += [
        (its.model or settings.model, "AGENTS" if its.model else "MODEL") for its in settings.agents.values()
    ]
    if settings.embedding_model is not None:
        wanted.append((settings.embedding_model, "EMBEDDING_MODEL"))
    wrong, names = _Wrong(), []
    for name, setting in wanted:
        with wrong.noting():
            names.append(":".join(vendors.choose(name, keys, f"{PREFIX}{setting}")))
    with wrong.noting():
        Prices(settings).check(settings, names)
    wrong.end()


def _check_role(role: str, settings: Settings) -> None:
    missing = [f"{PREFIX}{name.upper()}" for name in _NEEDS[role] if getattr(settings, name) is None]
    wrong = _Wrong()
    if missing:
        both = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set"
        wrong.said.append(f"{both}: `agent-app {role}` cannot do without.")
    if role == "serve":
        with wrong.noting():
            settings.require_auth()
    wrong.end()


def _check_agents(settings: Settings) -> None:
    from agent_app.agents.agent import load as load_agent

    wrong = _Wrong()
    for name, its in settings.agents.items():
        with wrong.noting():
            load_agent(name, its)
    wrong.end()
