"""Who calls a model, and how a call can fail."""

from __future__ import annotations

from dataclasses import dataclass

from agent_app.problems import Problem


@dataclass(frozen=True)
class Caller:
    """For whom a model is called: limits, budgets and costs are told apart by these."""

    agent: str
    #: The API key's name or the OIDC subject; never the key.
    key: str


class LlmProblem(Problem):
    """No model answered; the request or the task may be tried again."""


class PromptTooLong(Problem):
    """The guard refused the prompt (413); trying it again does not help."""


class LimitReached(LlmProblem):
    """The vendor's quota, as declared, was used up for longer than the call may wait (503, Retry-After)."""


class BudgetExhausted(LlmProblem):
    """This month's money is spent or reserved (429, Retry-After)."""
