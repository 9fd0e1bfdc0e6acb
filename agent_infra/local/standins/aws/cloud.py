"""The way to the local cloud: boto3 clients, the errors they raise, and what the provider was told."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.standins.aws.values import at
from agent_infra.local.standins.server import StandinError

if TYPE_CHECKING:
    from agent_infra.local.standins.aws.records import Records

ACCOUNT = "123456789012"
PARTITION = "aws"
_GONE = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$")
_CONFIG = Config(
    retries={"total_max_attempts": 2, "mode": "standard"},
    connect_timeout=5,
    read_timeout=60,
    s3={"addressing_style": "path"},
    max_pool_connections=32,
)


class CallError(StandinError):
    """AWS refused a call."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code


class Gone(CallError):
    """What the call is about does not exist."""


class Cloud:
    """One region of the local cloud, for one provider's configuration. Safe to use from several threads."""

    def __init__(
        self,
        environment: LocalEnvironment,
        records: Records,
        region: str,
        clients: dict[tuple[str, str], Any],
        lock: threading.Lock,
    ) -> None:
        self.environment = environment
        self.records = records
        self.region = region
        self._clients = clients
        self._lock = lock

    def client(self, service: str) -> Any:
        """The boto3 client of a service, made once."""
        with self._lock:
            key = (service, self.region)
            if key not in self._clients:
                session: Any = boto3.session.Session(
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106  moto takes any
                    region_name=self.region,
                )
                self._clients[key] = session.client(
                    service, endpoint_url=self.entry("moto")["url"], config=_CONFIG
                )
            return self._clients[key]

    def entry(self, service: str) -> dict[str, Any]:
        """Where a local service is."""
        try:
            return self.environment.service(service)
        except LocalError as error:
            raise StandinError(str(error)) from None

    def call(self, service: str, operation: str, /, **params: Any) -> Any:
        """One API call.

        Raises:
            Gone: what it is about does not exist.
            CallError: anything else that AWS refused.
        """
        if operation == "set_queue_attributes":
            params = self._with_policy(params)
        try:
            return getattr(self.client(service), operation)(**params)
        except ClientError as error:
            code, message = str(at(error.response, "Error.Code")), str(at(error.response, "Error.Message"))
            kind = Gone if _GONE.search(code) or "does not exist" in message else CallError
            raise kind(operation, code, message) from None
        except ParamValidationError as error:
            text = re.sub(r", value: .*?, type:", ", type:", str(error), flags=re.DOTALL)
            raise CallError(operation, "ParamValidation", text) from None
        except BotoCoreError as error:
            raise StandinError(
                f"{operation}: the local cloud did not answer ({type(error).__name__}): "
                "`agent-infra up` starts it again."
            ) from None

    def _with_policy(self, params: dict[str, Any]) -> dict[str, Any]:
        """moto drops a queue's policy when other attributes are set; AWS keeps it, so it is said again."""
        if "Policy" in params["Attributes"]:
            return params
        read = self.call(
            "sqs", "get_queue_attributes", QueueUrl=params["QueueUrl"], AttributeNames=["Policy"]
        )
        policy = read.get("Attributes", {}).get("Policy")
        kept = {"Policy": policy} if policy else {}
        return {**params, "Attributes": {**kept, **params["Attributes"]}}

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{PARTITION}:{service}:{self.region}:{ACCOUNT}:{resource}"
