"""What one pod may use of its node."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from agent_infra.component import Args
from agent_infra.fleet.quantity import cpu_millis, memory_bytes


def _cpu(text: str) -> str:
    cpu_millis(text)
    return text


def _memory(text: str) -> str:
    memory_bytes(text)
    return text


Cpu = Annotated[str, AfterValidator(_cpu)]
Memory = Annotated[str, AfterValidator(_memory)]


class Resources(Args):
    """What one pod may use. The requests are reserved for it; above the limits it is slowed or ended."""

    cpu: Cpu = "250m"
    memory: Memory = "256Mi"
    cpu_limit: Cpu = "500m"
    memory_limit: Memory = "512Mi"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for request, limit, measure in (
            ("cpu", "cpu_limit", cpu_millis),
            ("memory", "memory_limit", memory_bytes),
        ):
            if measure(getattr(self, request)) > measure(getattr(self, limit)):
                raise ValueError(
                    f"{request} {getattr(self, request)} is above {limit} {getattr(self, limit)}; "
                    "lower the request or raise the limit"
                )
        return self
