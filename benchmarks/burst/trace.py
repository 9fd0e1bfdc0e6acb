"""The tasks that all arms get: when each is sent, how long it takes. The same seed draws the same ones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

#: Tasks take as long as a log-normal distribution says, cut off at both ends: most are short, some long.
MEAN_SECONDS = 60.0
_SPREAD = 0.7
SHORTEST_SECONDS = 5.0
LONGEST_SECONDS = 270.0
#: A task's calls of the model, one after the other, each as long as the others.
CALLS = 4


@dataclass(frozen=True)
class Burst:
    """Tasks that come all at once, evenly within their seconds."""

    at: float
    tasks: int
    seconds: float

    @property
    def end(self) -> float:
        """When the last has been sent."""
        return self.at + self.seconds


@dataclass(frozen=True)
class Shape:
    """What a trace is drawn from, in seconds of production."""

    seconds: float = 1800
    """For how long tasks are sent."""
    horizon: float = 2160
    """Until when is measured: what is not done by then counts as not done, and what still runs is paid."""
    a_second: float = 0.08
    """Tasks that come besides the bursts, each by itself (a Poisson process)."""
    bursts: tuple[Burst, ...] = (Burst(120, 80, 45), Burst(720, 40, 60), Burst(1200, 100, 60))


QUICK = Shape(seconds=240, horizon=360, bursts=(Burst(60, 40, 30),))


@dataclass(frozen=True)
class Arrival:
    """One task."""

    at: float
    seconds: float


def draw(shape: Shape, seed: int) -> list[Arrival]:
    """A trace, by time."""
    random_ = random.Random(seed)  # noqa: S311 - chance, not secrecy
    times = list(_poisson(random_, shape))
    for burst in shape.bursts:
        times += [burst.at + random_.random() * burst.seconds for _ in range(burst.tasks)]
    return [Arrival(at, _seconds(random_)) for at in sorted(times)]


def _poisson(random_: random.Random, shape: Shape) -> list[float]:
    times: list[float] = []
    at = random_.expovariate(shape.a_second)
    while at < shape.seconds:
        times.append(at)
        at += random_.expovariate(shape.a_second)
    return times


def _seconds(random_: random.Random) -> float:
    middle = math.log(MEAN_SECONDS) - _SPREAD**2 / 2
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, random_.lognormvariate(middle, _SPREAD)))
