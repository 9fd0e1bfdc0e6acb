"""How many pods of a kind run, and by what that is decided."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from agent_infra.component import Args


class Replicas(Args):
    """How many pods run: from `min` to `max` an autoscaler decides; where they are equal there is none."""

    min: int = Field(default=3, ge=1, le=1000)
    max: int = Field(default=10, ge=1, le=1000)
    target_cpu: int = Field(default=70, ge=1, le=100)
    """The share of the CPU request, in percent, that the autoscaler aims at."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; lower min or raise max")
        return self
