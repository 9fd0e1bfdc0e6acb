"""What a process holds of one budget."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from datetime import date

from agent_app.llm.budget import Scope


@dataclass(eq=False)
class Pool:
    """What this process holds of one budget in one month."""

    scope: Scope
    month: date
    limit: int
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    free: int = 0
    reserved: int = 0
    settled: int = 0
    #: What Postgres was told last.
    flushed: int = 0
    version: int = 0
    opened: bool = False
    remaining: int = 0
    wanted: int = 0
    used_at: float = field(default_factory=time.monotonic)
    told_at: float = 0.0
    refused_until: float = 0.0
    refused: int = 0
    refused_soon: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
