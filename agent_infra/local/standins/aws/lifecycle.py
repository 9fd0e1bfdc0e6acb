"""Interprets a row: creates, reads, updates and deletes one resource through boto3."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import recorded
from agent_infra.local.standins.aws.cloud import ACCOUNT, Cloud, Gone
from agent_infra.local.standins.aws.table import Row, Setter
from agent_infra.local.standins.aws.tagging import read_tags, tags_of, write_tags
from agent_infra.local.standins.aws.values import (
    at,
    differing,
    filled,
    is_zero,
    overlaid,
    put,
    without,
)
from agent_infra.local.standins.server import UNKNOWN, Found, Partial, Properties, StandinError

DefaultTags = dict[str, str]


def planned(row: Row, inputs: Properties, defaults: DefaultTags) -> Properties:
    """What a preview can say of a resource to be made; no call is made."""
    state = {**dict.fromkeys(row.output_names, UNKNOWN), **inputs}
    for name, spec in row.inputs.items():
        if spec.computed:
            state.setdefault(name, UNKNOWN)
        if spec.inner_outputs and isinstance(state.get(name), dict):
            state[name] = {**dict.fromkeys(spec.inner_outputs, UNKNOWN), **state[name]}
    if "tags" in row.known:
        state["tagsAll"] = {**defaults, **(inputs.get("tags") or {})}
    return state


def create(
    cloud: Cloud, row: Row, name: str, inputs: Properties, defaults: DefaultTags
) -> tuple[str, Properties]:
    """Makes the resource.

    Raises:
        Partial: it exists, and something that follows its creation failed.
    """
    if row.recorded:
        id, made = recorded.create(cloud, row, inputs, defaults)
        if row.after_create:
            try:
                row.after_create(cloud, name, id, inputs)
            except StandinError:
                cloud.records.remove(row.type, id)
                raise
        return id, made
    tags = {**defaults, **(inputs.get("tags") or {})}
    id = _create(cloud, row, name, inputs, tags)
    known = {**inputs, "id": id}
    try:
        for setter in row.setters:
            if setter.at_create:
                _apply(cloud, row, setter, known, set(setter.names), creating=True)
        if row.tags and tags and not row.tags.create_parameter:
            live = read(cloud, row, id, known, tags=False) or {}
            write_tags(cloud, row, {**known, **live}, {}, tags)
        if row.after_create:
            row.after_create(cloud, name, id, inputs)
        state = read(cloud, row, id, known)
    except StandinError as error:
        raise Partial(
            f"it was made as {id}, but then: {error}", id=id, state={**inputs, "tagsAll": tags}
        ) from None
    if state is None:
        raise StandinError(f"{row.type} {id} was made and cannot be read back; run `agent-infra up` again.")
    return id, _presented(cloud, row, id, _settled(row, inputs, state, tags))


def _create(cloud: Cloud, row: Row, name: str, inputs: Properties, tags: DefaultTags) -> str:
    if row.create_with:
        return row.create_with(cloud, name, inputs)
    if row.create is None:
        raise StandinError(f"{row.type} has no way of being made in its table row.")
    params = filled(row.create.params, inputs)
    for key, spec in row.inputs.items():
        if spec.api and inputs.get(key) is not None:
            value = spec.to(inputs[key]) if spec.to else inputs[key]
            if value is not None:
                put(params, spec.api, value)
    if row.tags and row.tags.create_parameter and tags:
        params[row.tags.create_parameter] = _tags_for(row, tags)
    response = cloud.call(row.service, row.create.operation, **params)
    made = at(response, row.create.result)
    made = made if isinstance(made, dict) else {}
    id: str = filled(row.id, {**inputs, **made})
    return id


def _tags_for(row: Row, tags: DefaultTags) -> Any:
    if row.tags is None or row.tags.as_map:
        return tags
    return [{row.tags.key: key, row.tags.value: value} for key, value in tags.items()]


def _apply(
    cloud: Cloud, row: Row, setter: Setter, known: Properties, changed: set[str], *, creating: bool = False
) -> None:
    sent: dict[str, Any] = {}
    for name, path in setter.names.items():
        if not setter.whole and name not in changed:
            continue
        spec, value = row.input(name), known.get(name)
        if value is None and not creating:
            value = spec.reset
        elif value is not None and spec.to:
            value = spec.to(value)
        if value is not None and not (creating and value == "" and not setter.whole):
            put(sent, path, value)
    if sent:
        cloud.call(row.service, setter.operation, **{**filled(setter.params, known), **sent})


def read(cloud: Cloud, row: Row, id: str, known: Properties, *, tags: bool = True) -> Properties | None:
    """Everything the live resource says, by property name; None when it is gone."""
    if row.recorded:
        return cloud.records.get(row.type, id)
    parts = id.split(row.id_separator, max(len(row.id_parts) - 1, 0))
    values = {
        **dict(zip(row.id_parts, parts, strict=False)),
        **known,
        "id": id,
        "region": cloud.region,
        "account": ACCOUNT,
    }
    try:
        if row.read_with:
            live = row.read_with(cloud, id, values)
            found: Any = live
        else:
            found = _live_object(cloud, row, values)
            live = None if found is None else _said(row, found, values)
        if live is None:
            return None
        if "region" in row.known:
            live["region"] = cloud.region
        if row.more:
            live.update(row.more(cloud, id, found, {**values, **live}))
        if row.exists_by and live.get(row.exists_by) is None:
            return None
        if row.tags and tags:
            live["tagsAll"] = read_tags(cloud, row, found, {**values, **live})
    except Gone:
        return None
    return live


def _live_object(cloud: Cloud, row: Row, values: Properties) -> Any:
    if row.read is None:
        raise StandinError(f"{row.type} has no way of being read in its table row.")
    found = at(
        cloud.call(row.service, row.read.operation, **filled(row.read.params, values)), row.read.result
    )
    if isinstance(found, list):
        found = found[0] if found else None
    path, over = row.gone_when
    if path and str(at(found, path)).lower() in over:
        return None
    return found


def _said(row: Row, found: Any, values: Properties) -> Properties:
    live: Properties = {key: values[key] for key in row.id_parts if key in values}
    for name, spec in row.inputs.items():
        path = spec.api if spec.live is None else spec.live
        value = at(found, path) if path else None
        if value is not None:
            live[name] = spec.back(value) if spec.back else value
    for name, path in row.outputs.items():
        value = filled(path, {**values, **live}) if "{" in path else at(found, path)
        if value is not None:
            live[name] = value
    return live


def _settled(row: Row, inputs: Properties, live: Properties, tags: DefaultTags | None = None) -> Properties:
    """The state: what is live, in the program's own words where they mean the same."""
    state = {**inputs, **live}
    for name, value in inputs.items():
        if name in live and row.agrees(name, value, live[name]):
            state[name] = overlaid(live[name], value)
    if "tags" in row.known:
        state["tagsAll"] = live.get("tagsAll", tags or {})
    return state


def _presented(cloud: Cloud, row: Row, id: str, state: Properties) -> Properties:
    state = {**state, **row.present(cloud, id, state)} if row.present else state
    return {key: value for key, value in state.items() if key != "id"}


def found(
    cloud: Cloud, row: Row, id: str, inputs: Properties, state: Properties, defaults: DefaultTags
) -> Found | None:
    """What a refresh or an import finds."""
    importing = not inputs and not state
    live = read(cloud, row, id, {**state, **inputs})
    if live is None:
        return None
    now: Properties = {}
    for name in [*row.inputs, *row.unsimulated]:
        spec, value = row.input(name), live.get(name)
        if name in inputs:
            kept = name not in live or row.agrees(name, inputs[name], value)
            now[name] = inputs[name] if kept else without(value, spec.inner_outputs)
        elif importing:
            value = spec.default if value is None else without(value, spec.inner_outputs)
            if not is_zero(value) or (value is False and spec.default is True):
                now[name] = value
        elif name in live and not spec.computed and differing(state.get(name), value, spec.form):
            now[name] = value
    if "region" in inputs:
        now["region"] = inputs["region"]
    if "tags" in row.known:
        tags = _own_tags(inputs.get("tags") or {}, live.get("tagsAll") or {}, defaults)
        if tags or "tags" in inputs:
            now["tags"] = tags
    seen = {**state, **_settled(row, now, live)}
    id = live.pop("id", id)
    seen.pop("id", None)
    return Found(id=id, inputs=now, state=_presented(cloud, row, id, seen))


def _own_tags(inputs: DefaultTags, live: DefaultTags, defaults: DefaultTags) -> DefaultTags:
    return {key: value for key, value in live.items() if key in inputs or defaults.get(key) != value}


def update(
    cloud: Cloud,
    row: Row,
    id: str,
    olds: Properties,
    state: Properties,
    news: Properties,
    defaults: DefaultTags,
) -> Properties:
    """Makes an existing resource what the new inputs say.

    Raises:
        Partial: some of it was done.
    """
    changed = {
        name
        for name in [*row.inputs, *row.unsimulated]
        if differing(olds.get(name), news.get(name), row.input(name).form)
    }
    tags = {**defaults, **(news.get("tags") or {})}
    if row.recorded:
        updated = recorded.update(cloud, row, id, state, news, tags)
        if row.after_update:
            row.after_update(cloud, id, {**state, **olds}, news, changed)
        return updated
    known = {**{key: value for key, value in state.items() if key not in changed}, **news, "id": id}
    try:
        if row.update_with:
            row.update_with(cloud, id, {**state, **olds}, news, changed)
        for setter in row.setters:
            if changed & set(setter.names):
                _apply(cloud, row, setter, known, changed)
        if row.tags:
            write_tags(cloud, row, known, state.get("tagsAll") or {}, tags)
        if row.after_update:
            row.after_update(cloud, id, {**state, **olds}, news, changed)
    except Gone as error:
        raise recorded.is_gone(row, id, str(error)) from None
    live = read(cloud, row, id, known)
    if live is None:
        raise recorded.is_gone(row, id)
    settled = {**_without_inputs(row, state), **_settled(row, news, live, tags)}
    return _presented(cloud, row, id, settled)


def _without_inputs(row: Row, state: Properties) -> Properties:
    return {key: value for key, value in state.items() if key not in row.known}


def updated_preview(row: Row, state: Properties, news: Properties, defaults: DefaultTags) -> Properties:
    """What a preview can say of a resource to be changed; no call is made."""
    planned_state = {**state, **news}
    for name in row.known:
        if name in planned_state and name not in news and not row.input(name).computed:
            planned_state.pop(name)
    for name, spec in row.inputs.items():
        old, new = state.get(name), news.get(name)
        if spec.inner_outputs and isinstance(old, dict) and isinstance(new, dict):
            planned_state[name] = {**{key: old.get(key) for key in spec.inner_outputs}, **new}
    if "tags" in row.known:
        planned_state["tagsAll"] = {**defaults, **(news.get("tags") or {})}
    return planned_state


def delete(cloud: Cloud, row: Row, id: str, inputs: Properties, state: Properties) -> None:
    """Deletes the resource; one that is gone already is fine."""
    known = {**state, **inputs, "id": id}
    if row.recorded:
        cloud.records.remove(row.type, id)
        if row.after_delete:
            row.after_delete(cloud, id, known)
        return
    try:
        if row.before_delete:
            row.before_delete(cloud, id, known)
        if row.delete_with:
            row.delete_with(cloud, id, known)
        elif row.delete:
            cloud.call(row.service, row.delete.operation, **filled(row.delete.params, known))
    except Gone:
        pass
    if row.tags and row.tags.recorded:
        cloud.records.remove(tags_of(row), id)
    if row.after_delete:
        row.after_delete(cloud, id, known)
