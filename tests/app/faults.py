"""What goes wrong on purpose: rules that a test sets while a stand-in of a provider runs."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Rule(BaseModel):
    """When something goes wrong, and what; each stand-in says which kinds it knows."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    match: str = ""
    """A part of the subject: of a model's name, or of `<action> <queue>`. Empty matches all."""
    probability: float = Field(default=1, ge=0, le=1)
    next: int | None = Field(default=None, ge=1)
    """How often at most; None for always."""
    status: int = Field(default=500, ge=400, le=599)
    retry_after: float | None = Field(default=None, ge=0)
    """Seconds, sent as the header Retry-After."""
    seconds: float | None = Field(default=None, ge=0)
    """How long a delay or a hang takes."""
    after: float = Field(default=0.5, ge=0, le=1)
    """The share of the answer that comes before it is cut; 0 for none of it, not even the status."""
    fired: int = 0


_RULES = TypeAdapter(list[Rule])


class Faults:
    """The rules in force, tried in their order; the first that matches and is drawn fires.

    Args:
        kinds: the kinds that are known.
        seed: the same seed draws the same faults for the same requests in the same order.
    """

    def __init__(self, kinds: frozenset[str], seed: int = 0) -> None:
        self.rules: list[Rule] = []
        self._kinds = kinds
        self._random = random.Random(seed)  # noqa: S311 - chance, not secrecy

    def set(self, rules: list[Any]) -> None:
        """Replaces all rules; each is a Rule or what makes one.

        Raises:
            ValueError: a kind or a field is unknown, or a value is out of its range.
        """
        checked = _RULES.validate_python(rules)
        for rule in checked:
            if rule.kind not in self._kinds:
                raise ValueError(f"kind is {rule.kind!r}: allowed are {', '.join(sorted(self._kinds))}")
        self.rules = checked

    def pick(self, subject: str, kinds: Collection[str] | None = None) -> Rule | None:
        """The rule that this subject falls under now; only one of `kinds`, if they are given."""
        for rule in self.rules:
            if kinds is not None and rule.kind not in kinds:
                continue
            if rule.match not in subject or (rule.next is not None and rule.fired >= rule.next):
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            rule.fired += 1
            return rule
        return None

    def as_json(self) -> dict[str, Any]:
        return {"rules": [rule.model_dump() for rule in self.rules]}
