"""What many fleets have in common is said once: how a fleet's own settings are laid over the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import BaseModel, ValidationError, create_model

from agent_infra.component import Args
from agent_infra.parts import FleetSettings, LlmSettings

if TYPE_CHECKING:

    class FleetDefaults(Args):
        """What fleets have that do not say otherwise: `FleetSettings` without `llm`, nothing required."""

else:
    #: Without the checks of a whole fleet, which hold for what a fleet makes of them.
    FleetDefaults = create_model(
        "FleetDefaults",
        __base__=Args,
        **{
            name: (
                field.rebuild_annotation() | None if field.is_required() else field.rebuild_annotation(),
                None,
            )
            for name, field in FleetSettings.model_fields.items()
            if name != "llm"
        },
    )

#: Of these a `null` takes one of the defaults' entries away: their names are the user's own.
_FREE = frozenset(
    name
    for name, field in FleetSettings.model_fields.items()
    if isinstance(origin := get_origin(field.annotation), type) and issubclass(origin, Mapping)
)


def with_defaults(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings with `fleet_defaults` and `llm` beneath each fleet's own.

    Mappings are merged, all else is replaced. A default that is wrong is left out: it is told where it is
    said, and not once more for each fleet.
    """
    fleets = values.get("fleets")
    defaults = _right(values.get("fleet_defaults"), FleetDefaults)
    llm = _right(values.get("llm"), LlmSettings)
    if llm:
        defaults = {**defaults, "llm": llm}
    if not defaults or not isinstance(fleets, Mapping):
        return values
    return {**values, "fleets": {name: _of_fleet(defaults, fleet) for name, fleet in fleets.items()}}


def _of_fleet(defaults: Mapping[str, Any], fleet: Any) -> Any:
    own = _said(fleet)
    if own is None:
        return fleet
    result = laid_over(defaults, own)
    if result.get("worker") is None and "queue" not in own:
        # The queue's defaults are for those that have workers.
        result.pop("queue", None)
    for name in _FREE & result.keys() & defaults.keys():
        common = _said(defaults[name]) or {}
        if isinstance(result[name], Mapping):
            result[name] = {
                key: item for key, item in result[name].items() if item is not None or key not in common
            }
    return result


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, what is above first; where both have a mapping, both of it."""
    result = dict(below)
    for key, value in above.items():
        low, high = _said(result.get(key)), _said(value)
        result[key] = value if low is None or high is None else laid_over(low, high)
    return result


def _said(value: Any) -> Mapping[str, Any] | None:
    """A mapping, or what was said of a model; None of anything else."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in value.model_fields_set}
    return value if isinstance(value, Mapping) else None


def _right(value: Any, model: type[BaseModel]) -> Mapping[str, Any]:
    """What of it is right by itself."""
    said = _said(value)
    if said is None:
        return {}
    try:
        model.model_validate(said)
    except ValidationError as error:
        places = [detail["loc"] for detail in error.errors(include_url=False)]
        if () in places:
            return {}
        wrong = {place[0] for place in places}
        return {name: item for name, item in said.items() if name not in wrong}
    return said
