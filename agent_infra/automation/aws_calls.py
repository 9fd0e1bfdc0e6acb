"""boto3 clients of an environment's AWS, real or on this machine, and their errors with a way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agent_infra.automation.errors import AutomationError
from agent_infra.local.environment import LocalEnvironment

#: What AWS says where the credentials, not the call, are at fault.
_UNKNOWN_CALLER = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


class AwsRefused(AutomationError):
    """AWS refused a call; `code` is its own name for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Clients:
    """Makes each client of one environment once."""

    def __init__(self, environment: str, *, region: str | None, local: LocalEnvironment | None) -> None:
        self._environment = environment
        self._made: dict[str, Any] = {}
        with told(environment):
            self._session, self._options = _session(region, local)

    def __call__(self, service: str) -> Any:
        if service not in self._made:
            with told(self._environment):
                self._made[service] = self._session.client(service, **self._options)
        return self._made[service]


def _session(region: str | None, local: LocalEnvironment | None) -> tuple[Any, Mapping[str, Any]]:
    boto3 = _boto3()
    from botocore.config import Config

    retries: Any = {"total_max_attempts": 3, "mode": "standard"}
    if local is None:
        return boto3.session.Session(region_name=region), {"config": Config(retries=retries)}
    session = boto3.session.Session(
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - moto takes any
        region_name=region or "us-east-1",
    )
    # A proxy that the user has set is not for this machine's own addresses.
    config = Config(retries=retries, connect_timeout=5, read_timeout=30, proxies={"http": ""})
    return session, {"config": config, "endpoint_url": local.service("moto")["url"]}


def _boto3() -> Any:
    try:
        import boto3
    except ImportError:
        raise AutomationError(
            "boto3 is not installed, and it is what calls AWS here: pip install 'agent-infra[local]' "
            "(or boto3 alone, where nothing runs on this machine)."
        ) from None
    return boto3


@contextmanager
def told(environment: str) -> Iterator[None]:
    """Every error of boto3 as a sentence with the way out.

    Raises:
        AwsRefused: AWS refused the call.
        AutomationError: there are no credentials, or nobody answers.
    """
    _boto3()
    from botocore import exceptions as boto

    try:
        yield
    except (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.ProfileNotFound,
        boto.SSOError,
        boto.TokenRetrievalError,
    ) as error:
        raise AutomationError(
            f"There are no AWS credentials for {environment!r} ({error}): log in as for `pulumi up` "
            "(`aws sso login`, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        ) from None
    except boto.NoRegionError:
        raise AutomationError(
            f"It is not known in which region {environment!r} is: say `aws:region` in its settings file."
        ) from None
    except boto.ClientError as error:
        raise _refused(environment, error) from None
    except boto.BotoCoreError as error:
        raise AutomationError(
            f"AWS does not answer for {environment!r} ({error}): an environment on this machine is started "
            "by `agent-infra up`; for one in the cloud, look at the network and any proxy."
        ) from None


def _refused(environment: str, error: Any) -> AwsRefused:
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))
    if code in _NO_QUEUE:
        text = (
            f"A queue of {environment!r} is in its state and not in AWS: run `agent-infra up` (or `refresh`)."
        )
    elif code in _UNKNOWN_CALLER:
        text = f"AWS does not accept the credentials for {environment!r} ({code}): log in again."
    elif code in _REFUSED:
        text = f"{error.operation_name} is not allowed in {environment!r}: {message or code}"
    else:
        text = f"{error.operation_name} failed in {environment!r}: {code}: {message}"
    return AwsRefused(text, code)
