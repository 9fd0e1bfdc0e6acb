"""`Secrets`: an environment's secrets in AWS Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.aws.alarms import Alarms, Watch, watch
from agent_infra.aws.keys import account_root, own_key
from agent_infra.aws.rotation import Rotation
from agent_infra.aws.secret_policies import account_of, key_statements, read_statements, resource_policy
from agent_infra.aws.secrets_args import Planned, Replica, SecretsArgs, SecretsOptions, as_json, check_stem
from agent_infra.component import ArgsError, Component, MaybeOutput, Problem

__all__ = ["Replica", "Rotation", "Secrets", "SecretsArgs", "SecretsOptions"]

#: A version without a label is removed after about a hundred others; a refresh would then forget the one made
#: here, and the next `up` write `{}` over what people or a rotation put in. A label of its own keeps it.
_KEPT_STAGES = ["AWSCURRENT", "agent-infra-first"]
#: Letters and digits: about 285 bits.
_DRAWN_CHARACTERS = 48


class Secrets(Component):
    """The secrets of one environment, each a JSON object: shared ones, and those of one agent type.

    Each has a policy of its own that refuses whoever comes without TLS or from another account. A secret
    costs 0.40 USD a month, and 0.05 USD per 10,000 calls.

    Raises:
        ArgsError: an argument is wrong.
    """

    arns: dict[str, pulumi.Output[str]]
    """Each secret's ARN, by `<key>` or `<agent type>/<key>`."""
    versions: dict[str, pulumi.Output[str]]
    """What this program last wrote into each, as an id: it changes when the content here does, and tells
    nothing of it. What is put in by hand or by rotation does not change it."""
    kms_key_arn: pulumi.Output[str] | None
    """The key that readers must be allowed to use; None where AWS's managed one encrypts."""

    def __init__(
        self,
        name: str,
        args: SecretsArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = SecretsArgs.parse(args, owner=f"Secrets {name!r}")
        planned = args.planned()
        if wrong := [
            Problem(one.path, problem) for one in planned if (problem := check_stem(f"{name}-{one.suffix}"))
        ]:
            raise ArgsError(f"Secrets {name!r}", wrong)
        super().__init__("Secrets", name, opts, tags=args.tags)
        self._args = args
        self._asked = pulumi.InvokeOutputOptions(parent=self)
        self._account = aws.get_caller_identity_output(opts=self._asked).account_id
        self.kms_key_arn = self._key()
        self._policy = policies.document(*resource_policy(account=self._account, readers=self._readers()))
        self.arns = {}
        self.versions = {}
        for one in planned:
            self._secret(one)
        self.register_outputs({"arns": self.arns, "versions": self.versions, "kmsKeyArn": self.kms_key_arn})

    def read_statements(self, *paths: str) -> list[dict[str, Any]]:
        """The least that a role needs to read some of the secrets; without arguments, all of them.

        Args:
            paths: `<key>` or `<agent type>/<key>`, as in `arns`.

        Raises:
            ValueError: there is no such secret.
        """
        for path in paths:
            if path not in self.arns:
                raise ValueError(
                    f"{path!r} is none of the secrets; say one of {', '.join(sorted(self.arns))}"
                )
        return read_statements(
            [self.arns[path] for path in paths or self.arns],
            key_arns=() if self.kms_key_arn is None else [self.kms_key_arn],
        )

    def of_agent(self, agent: str) -> dict[str, pulumi.Output[str]]:
        """The ARNs of one agent type's own secrets, by their keys; the shared ones are not among them."""
        prefix = f"{agent}/"
        return {path.removeprefix(prefix): arn for path, arn in self.arns.items() if path.startswith(prefix)}

    def _key(self) -> pulumi.Output[str] | None:
        if self._args.kms_key_arn is not None:
            return pulumi.Output.from_input(self._args.kms_key_arn)
        if self._args.encryption == "aws-managed":
            return None
        key = own_key(
            self,
            f"{self._name}-key",
            description=f"Encrypts the secrets of {self._name}",
            recovery_days=self._args.recovery_days,
            statements=key_statements(
                root=account_root(self),
                region=aws.get_region_output(opts=self._asked).region,
                readers=self._args.readers,
            ),
            # Without its key a secret cannot be read, and going back to AWS's key does not take the
            # secrets along (the provider sends no removal of a key): deleting it must be a decision.
            protect=self._args.recovery_days > 0,
        )
        return key.arn

    def _readers(self) -> list[MaybeOutput[str]]:
        """The readers; one of another account is refused where only AWS's managed key encrypts."""
        if self.kms_key_arn is not None:
            return list(self._args.readers)

        def checked(known: list[str]) -> str:
            account, reader = known
            if account_of(reader) != account:
                raise ArgsError(
                    f"Secrets {self._name!r}",
                    [
                        Problem(
                            "readers",
                            f"{reader} is a role of another account, and AWS's managed key is for this one "
                            "alone; say `encryption: own-key` or `kms_key_arn`",
                        )
                    ],
                )
            return reader

        return [pulumi.Output.all(self._account, reader).apply(checked) for reader in self._args.readers]

    def _secret(self, one: Planned) -> None:
        args = self._args
        child = f"{self._name}-{one.suffix}"
        told = {"environment": args.environment, "agent": one.agent}
        secret = aws.secretsmanager.Secret(
            child,
            name=args.physical_name(one),
            description=one.description,
            kms_key_id=self.kms_key_arn,
            recovery_window_in_days=args.recovery_days,
            replicas=[
                aws.secretsmanager.SecretReplicaArgs(region=replica.region, kms_key_id=replica.kms_key_arn)
                for replica in args.replicas
            ]
            or None,
            tags=self._tags(child, **{key: value for key, value in told.items() if value is not None}),
            opts=self._opts(),
        )
        aws.secretsmanager.SecretPolicy(
            child,
            secret_arn=secret.arn,
            policy=self._policy,
            block_public_policy=True,
            opts=self._opts(),
        )
        where = f"Secrets {self._name!r}: {one.path}"
        content = (
            self._first_content(one.path)
            if one.content is None
            else pulumi.Output.secret(one.content).apply(lambda content: as_json(where, content))
        )
        version = aws.secretsmanager.SecretVersion(
            child,
            secret_id=secret.id,
            secret_string=content,
            version_stages=_KEPT_STAGES if one.content is None else None,
            opts=self._opts(
                ignore_changes=["secretString", "versionStages"] if one.content is None else None
            ),
        )
        self.arns[one.path] = secret.arn
        self.versions[one.path] = version.version_id
        if rotation := args.rotation.get(one.path):
            self._rotate(child, one, rotation, secret=secret, needed=[version])

    def _first_content(self, path: str) -> pulumi.Output[str]:
        """What a secret starts with that people fill. Every run draws anew, and the first drawn is kept."""
        name = self._args.generated.get(path)
        if name is None:
            return pulumi.Output.secret("{}")
        drawn = aws.secretsmanager.get_random_password_output(
            password_length=_DRAWN_CHARACTERS, exclude_punctuation=True, opts=self._asked
        )
        return pulumi.Output.secret(drawn.random_password.apply(lambda value: json.dumps({name: value})))

    def _rotate(
        self,
        child: str,
        one: Planned,
        rotation: Rotation,
        *,
        secret: aws.secretsmanager.Secret,
        needed: list[pulumi.Resource],
    ) -> None:
        if rotation.allow_invoke:
            needed.append(
                aws.lambda_.Permission(
                    f"{child}-rotation",
                    action="lambda:InvokeFunction",
                    function=rotation.lambda_arn,
                    principal="secretsmanager.amazonaws.com",
                    source_account=self._account,
                    opts=self._opts(),
                )
            )
        rules: dict[str, Any] = {"automatically_after_days": rotation.days}
        if rotation.schedule is not None:
            rules = {"schedule_expression": rotation.schedule}
            if rotation.window_hours is not None:
                rules["duration"] = f"{rotation.window_hours}h"
        aws.secretsmanager.SecretRotation(
            child,
            secret_id=secret.id,
            rotation_lambda_arn=rotation.lambda_arn,
            rotation_rules=aws.secretsmanager.SecretRotationRotationRulesArgs(**rules),
            rotate_immediately=rotation.immediately,
            opts=self._opts(depends_on=needed),
        )
        self._alarm(one, rotation, self._args.alarms)

    def _alarm(self, one: Planned, rotation: Rotation, alarms: Alarms | None) -> None:
        failed = Watch(
            name=f"{one.suffix}-rotation",
            metric="Errors",
            threshold=0,
            statistic="Sum",
            period=300,
            periods=1,
            description=(
                f"The function that rotates the secret {one.path} fails: the old content stays. Look into "
                "the function's log, mend it, then `aws secretsmanager rotate-secret --secret-id <arn>`."
            ),
        )
        function = pulumi.Output.from_input(rotation.lambda_arn).apply(lambda arn: arn.split(":")[6])
        watch(self, [failed], alarms=alarms, namespace="AWS/Lambda", dimensions={"FunctionName": function})
