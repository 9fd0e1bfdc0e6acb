"""A conversation with a fleet's agent over its HTTP API."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from agent_infra.automation import AutomationError, Environment
from agent_infra.local import fleets

_TIMEOUT_SECONDS = 120


def address(environment: Environment, fleet: str | None) -> str:
    """Where a fleet of an environment on this machine answers.

    Raises:
        AutomationError: nothing runs, the name is not known, or the environment is in the cloud.
    """
    if environment.local is None:
        raise AutomationError(
            f"The fleets of {environment.name!r} are inside its cluster: forward a port "
            "(`kubectl -n agents port-forward service/FLEET 8080:80`) and say --url http://127.0.0.1:8080."
        )
    services = fleets.status(environment.local).services
    if not services:
        raise AutomationError(f"No fleet runs in {environment.name!r}: `agent-infra up` starts them.")
    if fleet is None and len(services) == 1:
        return next(iter(services.values())).address
    if fleet not in services:
        problem = f"There is no fleet {fleet!r}" if fleet else "There are several fleets"
        raise AutomationError(f"{problem}: say --fleet with one of {', '.join(sorted(services))}.")
    return services[fleet].address


class ApiKey:
    """What lets a request in: given, or looked up once a fleet has asked for it."""

    def __init__(self, variable: str | None, look_up: Callable[[], str]) -> None:
        """`variable` names the environment variable that holds it.

        Raises:
            AutomationError: the variable is not set.
        """
        self.value = os.environ.get(variable) if variable else None
        self._look_up = look_up
        if variable and not self.value:
            raise AutomationError(
                f"{variable} is not set: --api-key-env names the variable that holds the key."
            )

    def found_for(self, at: str) -> str:
        """The key, looked up for an address that only its fleet listens to.

        Raises:
            AutomationError: there is none that may be read, or the address is no place for it.
        """
        if not (at.startswith("https://") or _is_own(at)):
            raise AutomationError(
                f"{at} asks for an API key, and http to another machine would tell everybody in between: say "
                "an https:// address, or --api-key-env to send one all the same."
            )
        self.value = self._look_up()
        return self.value


def talk(at: str, message: str | None, *, key: ApiKey, session: str | None, as_json: bool) -> None:
    """One question and its answer, or without a message a conversation until end of input."""
    if message is not None:
        _tell(_ask(at, message, session, key), as_json=as_json)
        return
    sys.stderr.write(f"Talking to {at}. Ctrl-D ends.\n")
    while True:
        try:
            said = input("> ")
        except EOFError:
            return
        if said.strip():
            answer = _ask(at, said, session, key)
            session = answer["session_id"]
            _tell(answer, as_json=as_json)


def _tell(answer: dict[str, Any], *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(answer) if as_json else str(answer["reply"])) + "\n")
    sys.stdout.flush()


def _ask(at: str, message: str, session: str | None, key: ApiKey) -> dict[str, Any]:
    if not at.startswith(("http://", "https://")):
        raise AutomationError(f"{at!r} is not an address: say --url http://HOST:PORT.")
    body = {"message": message, **({"session_id": session} if session else {})}
    try:
        try:
            return _sent(at, body, key.value)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.UNAUTHORIZED or key.value is not None:
                raise
        return _sent(at, body, key.found_for(at))
    except urllib.error.HTTPError as error:
        raise AutomationError(f"{at} answered {error.code}: {_detail(error)}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise AutomationError(
            f"{at} does not answer ({reason}): `agent-infra status` shows what runs."
        ) from None


def _sent(at: str, body: Mapping[str, str], key: str | None) -> dict[str, Any]:
    allowed = {} if key is None else {"authorization": f"Bearer {key}"}
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{at.rstrip('/')}/v1/chat",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", **allowed},
    )
    with _opener(at).open(request, timeout=_TIMEOUT_SECONDS) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _opener(at: str) -> urllib.request.OpenerDirector:
    """A proxy that the user has set is not asked for this machine's own addresses."""
    return urllib.request.build_opener(*[urllib.request.ProxyHandler({})] if _is_own(at) else [])


def _is_own(at: str) -> bool:
    return urllib.parse.urlsplit(at).hostname in {"127.0.0.1", "localhost", "::1"}


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return str(problem.get("detail") or problem.get("title") or problem)
    except ValueError:
        return str(error.reason)
