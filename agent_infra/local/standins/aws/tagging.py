"""Writes and reads tags the way a row says."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud, Gone
from agent_infra.local.standins.aws.table import Row
from agent_infra.local.standins.aws.values import at, filled, put, tag_list, tag_map
from agent_infra.local.standins.server import Properties


def tags_of(row: Row) -> str:
    """Under which the tags of a type are recorded."""
    return f"tags of {row.type}"


def write_tags(cloud: Cloud, row: Row, known: Properties, old: dict[str, str], new: dict[str, str]) -> None:
    """Sets what is new or changed, and takes away what is no more."""
    style = row.tags
    if style is None:
        return
    if style.recorded:
        cloud.records.put(tags_of(row), known["id"], dict(new))
        return
    if style.whole:
        if new and new != old:
            params = filled(style.write.params, known)
            put(params, style.parameter, tag_list(new, style.key, style.value))
            cloud.call(row.service, style.write.operation, **params)
        elif old and not new:
            cloud.call(row.service, style.remove.operation, **filled(style.remove.params, known))
        return
    written = {key: value for key, value in new.items() if old.get(key) != value}
    removed = {key: value for key, value in old.items() if key not in new}
    if removed:
        keys: Any = tag_list(removed, style.key, style.value) if style.remove_whole else list(removed)
        params = {**filled(style.remove.params, known), style.keys_parameter: keys}
        cloud.call(row.service, style.remove.operation, **params)
    if written:
        tags: Any = written if style.as_map else tag_list(written, style.key, style.value)
        params = {**filled(style.write.params, known), style.parameter: tags}
        cloud.call(row.service, style.write.operation, **params)


def read_tags(cloud: Cloud, row: Row, found: Any, known: Properties) -> dict[str, str]:
    """The live tags, AWS's own left out."""
    style = row.tags
    if style is None:
        return {}
    if style.recorded:
        later = cloud.records.get(tags_of(row), known["id"])
        if later is not None:
            return later
    if style.read is None:
        return tag_map(at(found, style.live), style.key, style.value)
    try:
        answer = cloud.call(row.service, style.read.operation, **filled(style.read.params, known))
    except Gone:  # S3's way of saying that there are no tags
        return {}
    return tag_map(at(answer, style.read.result), style.key, style.value)
