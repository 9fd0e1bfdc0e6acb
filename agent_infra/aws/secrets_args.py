"""What can be said about an environment's secrets, and how they are called."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pulumi
from pydantic import Field, field_validator, model_validator

from agent_infra.aws.alarms import Alarms
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.rotation import Rotation
from agent_infra.aws.secret_policies import RoleArn
from agent_infra.component import Args, MaybeOutput, shaped

#: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
_LONGEST_NAME = 512
_LARGEST_CONTENT = 65_536
_SHORTEST_RECOVERY_DAYS = 7
#: What Pulumi puts behind a name that it makes up: a dash and seven characters.
_MADE_UP_SUFFIX = 8
#: AWS puts a dash and six characters behind a name in its ARN; a name of that shape is taken for an ARN.
_ARN_SUFFIX = re.compile(r".*-[A-Za-z0-9]{6}")

SecretKey = Annotated[
    str, shaped(r"[A-Za-z0-9_+=.@-]{1,128}", "up to 128 letters, digits and _+=.@-, without a slash")
]
AgentType = Annotated[
    str,
    shaped(
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        "up to 40 lower-case letters, digits and dashes, a letter first and no dash last",
    ),
]
RegionName = Annotated[str, shaped(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region, such as eu-west-1")]
#: The name that a value has in a secret's JSON object.
ValueName = Annotated[str, shaped(r"[A-Za-z0-9_.-]{1,64}", "up to 64 letters, digits and _.-")]
Content = pulumi.Output[Any] | None


class Replica(Args):
    """A copy of each secret in another region, kept the same by AWS; 0.40 USD a month a secret."""

    region: RegionName
    kms_key_arn: KmsKeyArn | None = None
    """A key of one's own in that region; AWS's managed one there, where it is not said."""

    @model_validator(mode="after")
    def _of_its_region(self) -> Self:
        if self.kms_key_arn is not None and self.kms_key_arn.split(":")[3] != self.region:
            raise ValueError(
                f"kms_key_arn {self.kms_key_arn} is a key of another region than {self.region}; say one there"
            )
        return self


class SecretsOptions(Args):
    """What an environment may say about its secrets."""

    encryption: Literal["aws-managed", "own-key"] = "aws-managed"
    """`aws-managed`: AWS's key `aws/secretsmanager`, free, for this account alone. `own-key`: a key of one's
    own (about 1 USD a month and 0.03 USD per 10,000 calls), with a policy and an audit trail of its own;
    readers then need `kms:Decrypt`. To `own-key` changes in place; back takes a step by hand first."""
    naming: Literal["generated", "by-path"] = "generated"
    """`generated`: Pulumi makes the secrets' names in AWS up. `by-path`: `<environment>/<key>` and
    `<environment>/<agent type>/<key>`. **Changing it replaces the secrets**: those that are filled by hand
    start anew as `{}`."""
    replicas: Sequence[Replica] = ()
    """Copies in other regions. Added and removed in place."""

    @field_validator("replicas")
    @classmethod
    def _once_each(cls, replicas: Sequence[Replica]) -> Sequence[Replica]:
        regions = [replica.region for replica in replicas]
        if twice := sorted({region for region in regions if regions.count(region) > 1}):
            raise ValueError(f"the region {twice[0]} is said more than once; leave one replica of it")
        return replicas


class SecretsArgs(SecretsOptions):
    """The arguments of `Secrets`."""

    values: Mapping[SecretKey, Content] = {}
    """Each secret's name and its content, a mapping such as {"OPENAI_API_KEY": ...} as an `Output`;
    with None it starts as `{}`, is filled by hand, and what is in it is never touched."""
    agents: Mapping[AgentType, Mapping[SecretKey, Content]] = {}
    """The secrets of each agent type alone, said as `values`; `values` are the whole environment's."""
    generated: Mapping[str, ValueName] = {}
    """Which secrets start with a value that Secrets Manager draws, and not as `{}`: by `<key>` or `<agent
    type>/<key>` the value's name. They are those with the content None. It is drawn once, with the secret."""
    environment: str | None = None
    """Whose secrets these are, such as prod: a tag on each, and the first part of names `by-path`."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A key that is there already, in place of one that `encryption: own-key` makes. Changes in place."""
    rotation: Mapping[str, Rotation] = {}
    """Which secrets rotate, by `<key>` or `<agent type>/<key>`; they are those with the content None."""
    readers: Sequence[MaybeOutput[RoleArn]] = ()
    """Roles that every one of these secrets' own policies lets read it: needed for roles of other accounts
    alone, which cannot read with AWS's managed key. AWS refuses a role that does not exist."""
    recovery_days: int = Field(default=30, ge=0, le=30)
    """How long a deleted secret can be brought back: 7 to 30 days, or 0 for not at all. Its name is not free
    for that long. A key of one's own is protected from deletion, unless this is 0."""
    alarms: Alarms | None = None
    """Whom to tell when a rotation function fails; None makes no alarms."""
    tags: Mapping[str, str] = {}

    @field_validator("recovery_days")
    @classmethod
    def _that_aws_takes(cls, days: int) -> int:
        if 0 < days < _SHORTEST_RECOVERY_DAYS:
            raise ValueError(
                f"say {_SHORTEST_RECOVERY_DAYS} to 30, which Secrets Manager takes, or 0 for no way back"
            )
        return days

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.kms_key_arn is not None and self.encryption == "own-key":
            raise ValueError(
                "kms_key_arn is a key that is there already, and encryption own-key makes one; leave one of "
                "them out"
            )
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if self.naming == "by-path" and self.environment is None:
            raise ValueError(
                "naming by-path begins with the environment's name; say `environment`, such as prod"
            )
        children: dict[str, str] = {}
        for one in self.planned():
            if other := children.get(one.suffix):
                raise ValueError(
                    f"the secrets {other!r} and {one.path!r} would both be {one.suffix!r} in the stack; "
                    "rename one"
                )
            children[one.suffix] = one.path
            if self.naming == "by-path":
                check_name(self.physical_name(one))
        return self

    @model_validator(mode="after")
    def _the_program_writes_none_of_them(self) -> Self:
        known = {one.path: one for one in self.planned()}
        for argument, paths in (("rotation", self.rotation), ("generated", self.generated)):
            for path in paths:
                if path not in known:
                    raise ValueError(
                        f"{argument} names {path!r}, which is none of the secrets; say one of "
                        f"{', '.join(sorted(known)) or 'those in values, of which there are none'}"
                    )
                if known[path].content is None:
                    continue
                way_out = ", and put the first one in by hand" if argument == "rotation" else ""
                raise ValueError(
                    f"{argument} of {path!r} and its content in the program would undo each other; say None "
                    f"as its content{way_out}"
                )
        return self

    def planned(self) -> list[Planned]:
        """Every secret that is made, the environment's own first."""
        own = [Planned(None, key, content) for key, content in self.values.items()]
        return own + [
            Planned(agent, key, content)
            for agent, contents in self.agents.items()
            for key, content in contents.items()
        ]

    def physical_name(self, secret: Planned) -> str | None:
        """The secret's name in AWS; None where Pulumi makes it up."""
        return f"{self.environment}/{secret.path}" if self.naming == "by-path" else None


@dataclass(frozen=True)
class Planned:
    """One secret to make."""

    agent: str | None
    key: str
    content: Content

    @property
    def path(self) -> str:
        """By what it is known: `llm`, or `support/llm` where it is one agent type's."""
        return self.key if self.agent is None else f"{self.agent}/{self.key}"

    @property
    def suffix(self) -> str:
        """What is behind the component's name in the stack."""
        return self.path.replace("/", "-")

    @property
    def description(self) -> str:
        return f"{self.key}, as JSON" if self.agent is None else f"{self.key} of {self.agent}, as JSON"


def check_name(name: str | None) -> None:
    """Whether Secrets Manager takes a name.

    Raises:
        ValueError: it does not.
    """
    if name is None:
        return
    if len(name) > _LONGEST_NAME or re.fullmatch(r"[A-Za-z0-9/_+=.@-]+", name) is None:
        raise ValueError(
            f"{name!r} cannot be a secret's name: say up to {_LONGEST_NAME} letters, digits and /_+=.@-"
        )
    if _ARN_SUFFIX.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be a secret's name: AWS takes a dash and six characters at its end for the end "
            f"of an ARN; say such as {name.rpartition('-')[0]}_{name.rpartition('-')[2]}"
        )


def check_stem(child: str) -> str | None:
    """What is wrong with a name that Pulumi completes, if anything."""
    if len(child) + _MADE_UP_SUFFIX > _LONGEST_NAME:
        longest = _LONGEST_NAME - _MADE_UP_SUFFIX
        return f"{child!r} is too long for a secret's name; say up to {longest} characters"
    return None


def as_json(where: str, content: Any) -> str:
    """A secret's content as it is stored: a JSON object.

    Raises:
        ValueError: it is something else, or too large; the content is not repeated.
    """
    if not isinstance(content, Mapping):
        raise ValueError(  # noqa: TRY004 - a wrong value, as all of them
            f"{where}: its content is a {type(content).__name__}; say a mapping of names to values, such as "
            '{"OPENAI_API_KEY": ...}'
        )
    try:
        text = json.dumps(content)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: its content has a value that JSON has no form for; say texts") from None
    size = len(text.encode())
    if size > _LARGEST_CONTENT:
        raise ValueError(
            f"{where}: its content has {size} bytes and Secrets Manager takes {_LARGEST_CONTENT}; "
            "split it into several secrets"
        )
    return text
