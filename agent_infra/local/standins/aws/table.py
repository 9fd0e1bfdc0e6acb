"""What a row of the table says about one resource type. Rows are data; `lifecycle.py` interprets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_infra.local.standins.aws.nested import KEYS
from agent_infra.local.standins.aws.values import PLAIN, agrees
from agent_infra.local.standins.server import Properties

if TYPE_CHECKING:
    from agent_infra.local.standins.aws.cloud import Cloud

MOTO_DROPS = "accepted and kept in the state; moto has no such setting"
NO_EFFECT = "it only concerns how the official provider works"


@dataclass(frozen=True)
class Input:
    """One input property: where it goes in the create call and where a live resource says it."""

    #: Dotted path in the create call; empty: the create call does not take it.
    api: str = ""
    #: Dotted path in the live object; None: the same as `api`; empty: a `Row.more` says it, or nobody.
    live: str | None = None
    required: bool = False
    replaces: bool = False
    #: Nested paths that force a replacement, where the property itself does not.
    replaces_at: tuple[str, ...] = ()
    #: What the official provider fills in.
    default: Any = None
    #: AWS chooses a value when none is given, so leaving it out is not a change.
    computed: bool = False
    form: str = PLAIN
    to: Callable[[Any], Any] | None = None
    back: Callable[[Any], Any] | None = None
    #: Dotted paths inside the value that only AWS says; an import leaves them out.
    inner_outputs: tuple[str, ...] = ()
    #: What an update sends when the property was taken away; None: nothing.
    reset: Any = None


@dataclass(frozen=True)
class Call:
    """One API call: the operation, parameters (templates over inputs and `id`), where the result is."""

    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""


@dataclass(frozen=True)
class Setter:
    """A call that sets some properties of what exists: the properties that changed, or all it names."""

    operation: str
    #: Property to dotted path in the call.
    names: Mapping[str, str]
    params: Mapping[str, Any]
    #: Also after the creation, for what the create call does not take.
    at_create: bool = False
    #: Send all the named properties that are set, not only the changed ones.
    whole: bool = False


@dataclass(frozen=True)
class Tags:
    """How tags are written and read; the tags themselves go into `parameter`."""

    write: Call
    remove: Call
    #: A call that lists them, or None where the live object holds them at `live`.
    read: Call | None = None
    live: str = "Tags"
    parameter: str = "Tags"
    keys_parameter: str = "TagKeys"
    as_map: bool = False
    key: str = "Key"
    value: str = "Value"
    #: The removal takes whole tags, not their keys.
    remove_whole: bool = False
    #: moto has no place for later changes: they are recorded.
    recorded: bool = False
    #: Each write replaces all the tags there are.
    whole: bool = False
    #: The create call's own parameter, where tags cannot wait.
    create_parameter: str = ""


@dataclass(frozen=True)
class AutoName:
    """The physical name that is made from the logical one when the program gives none."""

    property: str = "name"
    limit: int = 255
    lower: bool = False
    prefix: str = ""
    prefix_property: str = ""


@dataclass(frozen=True)
class Row:
    """One resource type."""

    type: str
    service: str
    inputs: Mapping[str, Input]
    #: Output property to its dotted path in the live object, or to a template over inputs and outputs.
    outputs: Mapping[str, str] = field(default_factory=dict)
    #: Outputs that `more` gives; named here so that a preview knows of them.
    more_outputs: str = ""
    create: Call | None = None
    #: Template over the inputs and the create call's result.
    id: str = "{name}"
    read: Call | None = None
    delete: Call | None = None
    setters: tuple[Setter, ...] = ()
    tags: Tags | None = None
    autoname: AutoName | None = None
    #: Inputs that are kept in the state and go nowhere: name to reason.
    unsimulated: Mapping[str, str] = field(default_factory=dict)
    #: Those of them that force a replacement.
    unsimulated_replaces: str = ""
    #: Why the whole type is only recorded, where moto has none of it.
    recorded: str = ""
    #: Parts of an import's id, in order, separated by `id_separator`.
    id_parts: tuple[str, ...] = ()
    id_separator: str = ":"
    delete_before_replace: bool = False
    #: A dotted path and what it says when the live object is about to be no more.
    gone_when: tuple[str, tuple[str, ...]] = ("", ())
    #: A property without which the live object is no such resource, as a policy inside a queue.
    exists_by: str = ""
    #: What the state says in place of the live values, such as where the real database listens.
    present: Callable[[Cloud, str, Properties], Properties] | None = None
    # What is irregular. Each replaces or follows the regular step.
    prepare: Callable[[Properties], list[tuple[str, str]]] | None = None
    create_with: Callable[[Cloud, str, Properties], str] | None = None
    after_create: Callable[[Cloud, str, str, Properties], None] | None = None
    read_with: Callable[[Cloud, str, Properties], Properties | None] | None = None
    more: Callable[[Cloud, str, Properties, Properties], Properties] | None = None
    update_with: Callable[[Cloud, str, Properties, Properties, set[str]], None] | None = None
    after_update: Callable[[Cloud, str, Properties, Properties, set[str]], None] | None = None
    before_delete: Callable[[Cloud, str, Properties], None] | None = None
    delete_with: Callable[[Cloud, str, Properties], None] | None = None
    after_delete: Callable[[Cloud, str, Properties], None] | None = None

    @property
    def known(self) -> set[str]:
        """Every input property this type accepts."""
        region = set() if self.service == "iam" else {"region"}
        return {*self.inputs, *self.unsimulated, *region} | ({"tags"} if self.tags else set())

    def input(self, name: str) -> Input:
        replaces = name == "region" or name in self.unsimulated_replaces.split()
        return self.inputs.get(name) or Input(replaces=replaces)

    def agrees(self, name: str, given: Any, live: Any) -> bool:
        """Whether a live property is what the program said."""
        return agrees(given, live, self.input(name).form, structured=name in self.nested)

    @property
    def nested(self) -> Mapping[str, str]:
        """The keys inside structured inputs: path to names, those that are required with a `*`."""
        return KEYS.get(self.type, {})

    @property
    def output_names(self) -> set[str]:
        tags = {"tagsAll"} if "tags" in self.known else set()
        return {*self.outputs, *self.more_outputs.split()} | tags


def because(reason: str, names: str) -> dict[str, str]:
    """The same reason for several properties."""
    return dict.fromkeys(names.split(), reason)
