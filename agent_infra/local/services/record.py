"""services.json: what was started, where it answers, and which memory moto has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_infra.local.environment import LocalEnvironment, write_private

Entry = dict[str, Any]


class UnreadableError(ValueError):
    """The file is not what was written; its text says why."""


@dataclass
class Record:
    """What the file says."""

    generation: str | None = None
    services: dict[str, Entry] = field(default_factory=dict)


def read(environment: LocalEnvironment, texts: Mapping[str, tuple[str, ...]]) -> Record:
    """What was written down.

    Args:
        environment: whose.
        texts: what an entry must have beside its process and its port, by the service's name.

    Raises:
        UnreadableError: the file is damaged.
    """
    try:
        content = json.loads(environment.services_file.read_text())
    except FileNotFoundError:
        return Record()
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from None
    return parse(content, texts)


def parse(content: Any, texts: Mapping[str, tuple[str, ...]]) -> Record:
    """Checks what the file says.

    Raises:
        UnreadableError: something in it is missing or of another type.
    """
    if not isinstance(content, dict) or not isinstance(content.get("services"), dict):
        raise UnreadableError("it has no `services`")
    generation = content.get("generation")
    if not isinstance(generation, str | None):
        raise UnreadableError("its `generation` is not a text")
    for name, entry in content["services"].items():
        kinds: dict[str, type] = {"pid": int, "port": int, **dict.fromkeys(texts.get(name, ()), str)}
        if not isinstance(entry, dict) or not isinstance(entry.get("created"), int | float):
            raise UnreadableError(f"its entry for {name} is incomplete")
        wrong = [key for key, kind in kinds.items() if not isinstance(entry.get(key), kind)]
        if wrong:
            raise UnreadableError(f"its entry for {name} has no valid {', '.join(wrong)}")
    return Record(generation, content["services"])


def write(environment: LocalEnvironment, record: Record) -> None:
    content = {"generation": record.generation, "services": record.services}
    write_private(environment.services_file, json.dumps(content, indent=1))


def set_aside(file: Path) -> Path:
    """Renames a damaged file; nothing of it is lost."""
    number = 1
    while (aside := file.with_name(f"{file.name}.corrupt-{number}")).exists():
        number += 1
    return file.replace(aside)
