"""What every component shares: how its arguments are stated and checked, and how its children are made."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, Union, get_args, get_origin

import pulumi
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from agent_infra.bookkeeping import keep_linear

T = TypeVar("T")

#: A plain value, which is checked at once, or one that only the update will know.
MaybeOutput = Union[T, pulumi.Output[T]]  # noqa: UP007 - `|` cannot be subscripted as a generic alias in 3.11

#: The longest part of a wrong value that an error repeats.
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input: where, and what in a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ArgsError(ValueError):
    """A component's arguments are wrong; every problem is named at once."""

    def __init__(self, owner: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{owner}: {problem}" for problem in problems))


class Problems(ValueError):
    """What a check of several things found, each to be told on its own; for validators."""

    def __init__(self, found: Sequence[Problem]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(map(str, found)))


class Args(BaseModel):
    """The base of every component's arguments: immutable, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @classmethod
    def parse(cls, value: Self | Mapping[str, Any], *, owner: str) -> Self:
        """The arguments themselves, or a plain mapping checked into them.

        Raises:
            ArgsError: the mapping is wrong.
        """
        if isinstance(value, cls):
            return value
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise ArgsError(owner, problems(error, cls)) from None


def problems(
    error: ValidationError,
    model: type[BaseModel],
    *,
    hidden: Callable[[Sequence[str]], bool] | None = None,
) -> list[Problem]:
    """A validation error as sentences; of an input that may be an `Output`, only the plain side is told.

    `hidden` says of which names the value must not be repeated.
    """
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        names, parent = _follow(detail["loc"], model)
        if any("Output" in str(part) for part in detail["loc"]) or _other_side(detail):
            continue
        if isinstance(several := detail.get("ctx", {}).get("error"), Problems):
            for problem in several.found:
                path = ".".join([*names, *([problem.path] if problem.path else [])])
                found.setdefault(path, []).append(problem.message)
            continue
        sentence = _sentence(detail, parent, shown=hidden is None or not hidden(names))
        found.setdefault(".".join(names), []).append(sentence)
    return [Problem(path, " or ".join(dict.fromkeys(messages))) for path, messages in found.items()]


def _other_side(detail: Any) -> bool:
    """Whether this only says that a value is not the other thing that it might have been."""
    inside_a_union = any(part in {"str", "int"} for part in detail["loc"])
    return inside_a_union and detail["type"].endswith("_type") and isinstance(detail["input"], Mapping)


#: pydantic's sentences that speak of Python, for people who write YAML.
_SENTENCES = {
    "dict_type": "it must be a mapping of names to values",
    "mapping_type": "it must be a mapping of names to values",
    "model_type": "it must be a mapping of names to values",
    "sequence_str": "it must be a list",
    "sequence_type": "it must be a list",
    "is_instance_of": "it must be a list",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "float_type": "it must be a number",
}


def _sentence(detail: Any, parent: type[BaseModel] | None, *, shown: bool) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        # The value of an unknown name is never repeated: it may be a misplaced secret.
        return unknown_name(str(detail["loc"][-1]), sorted(parent.model_fields) if parent else [])
    if kind == "missing":
        return "is required"
    if kind == "is_instance_of" and "Output" in detail["ctx"]["class"]:
        return "must be a pulumi.Output, so that its value can be secret"
    text = _SENTENCES.get(kind) or detail["msg"].removeprefix("Value error, ")
    if not text[:2].isupper():  # a name in capitals keeps them
        text = f"{text[:1].lower()}{text[1:]}"
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        text += "; put it in quotes"
    if isinstance(value, BaseModel | Mapping):
        return text
    repeated = repr(value)
    if len(repeated) > _SHOWN_CHARACTERS:
        repeated = f"{repeated[:_SHOWN_CHARACTERS]}..."
    return f"{repeated} is wrong: {text}" if shown else f"is wrong: {text}"


def unknown_name(name: str, known: Sequence[str], *, prefix: str = "") -> str:
    """What is wrong with a name that nothing has: the likely one, and those that are allowed."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {prefix + close[0]!r}? Allowed" if close else "allowed"
    return f"is not known; {hint}: {', '.join(prefix + item for item in known)}"


def shaped(pattern: str, say: str) -> AfterValidator:
    """Checks a text against a pattern; `say` tells people what is allowed, as in "such as 250m"."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"say {say}")
        return text

    return AfterValidator(check)


def secret(value: pulumi.Output[T]) -> pulumi.Output[T]:
    """The same, marked secret."""
    return pulumi.Output.secret(value)


def _follow(loc: Sequence[str | int], model: type[BaseModel]) -> tuple[list[str], type[BaseModel] | None]:
    """The names that the user wrote, without pydantic's names of union members, and the innermost model."""
    names: list[str] = []
    here: Any = model
    parent: type[BaseModel] | None = model
    for part in loc:
        if part == "[key]":
            continue
        parent = next((member for member in _members(here) if _is_model(member)), None)
        if parent is not None and part in parent.model_fields:
            here = parent.model_fields[str(part)].annotation
        elif (inner := _element(here)) is not None and not _is_tag(part, here):
            here = inner
        elif _is_tag(part, here):
            here = next((member for member in _members(here) if _tag(member) == part), here)
            continue
        names.append(str(part))
    return names, parent


def _members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in _members(member))
    return (annotation,)


def _element(annotation: Any) -> Any:
    """What a list or mapping holds."""
    for member in _members(annotation):
        arguments = get_args(member)
        origin = get_origin(member)
        if isinstance(origin, type) and issubclass(origin, Mapping | Sequence) and arguments:
            return arguments[-1]
    return None


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _tag(member: Any) -> str:
    return str(getattr(member, "__name__", member))


def _is_tag(part: str | int, annotation: Any) -> bool:
    """Whether a part of a location is pydantic's name for a member of a union."""
    members = _members(annotation)
    if len(members) < 2 or not isinstance(part, str):
        return False
    return "[" in part or part in {"str", "int", "float", "bool"} or part in map(_tag, members)


def _token(kind: str) -> str:
    return f"agent-infra:index:{kind}"


class Component(pulumi.ComponentResource):
    """The base of every component: its children are its own, and carry its tags.

    The caller's options go to the component alone; Pulumi hands on what is inherited (providers,
    protection, transforms).
    """

    def __init__(
        self,
        kind: str,
        name: str,
        opts: pulumi.ResourceOptions | None,
        *,
        tags: Mapping[str, str] | None = None,
        formerly: Sequence[str] = (),
    ) -> None:
        """`formerly` are kinds that this one had; stacks that were made with them upgrade in place."""
        aliases = [pulumi.Alias(type_=_token(former)) for former in formerly]
        if aliases:
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=aliases))
        keep_linear()
        super().__init__(_token(kind), name, None, opts)
        self._name = name
        self._base_tags = {"managed-by": "agent-infra", **(tags or {})}

    def _opts(self, **options: Any) -> pulumi.ResourceOptions:
        """The options of a child."""
        return pulumi.ResourceOptions(parent=self, **options)

    def _tags(self, child: str, **more: str) -> dict[str, str]:
        """The tags of a taggable child; `Name` is what AWS's console shows."""
        return {"Name": child, **self._base_tags, **more}
