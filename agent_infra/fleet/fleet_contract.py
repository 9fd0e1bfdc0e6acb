"""A fleet's task contract, out of every place where one of its numbers can be said."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from agent_infra.contract import ContractError, TaskContract, task_contract
from agent_infra.fleet.contract_args import ContractOverrides

#: The container that the service runs in.
CONTAINER = "agent"
TASK_TIMEOUT, DRAIN = "AGENT_APP_TASK_TIMEOUT", "AGENT_APP_DRAIN_SECONDS"
HOLD, POLL, AGENTS = "AGENT_APP_VISIBILITY_SECONDS", "AGENT_APP_POLL_SECONDS", "AGENT_APP_AGENTS"
_CHECKED = (TASK_TIMEOUT, DRAIN, HOLD, POLL, AGENTS)
_OVER_THE_GRACE = "extra_pod_spec.terminationGracePeriodSeconds"


class _Said:
    """What was said of each number, and where; what is wrong with it."""

    def __init__(self, overrides: ContractOverrides) -> None:
        self.numbers: dict[str, Any] = overrides.model_dump(exclude_none=True)
        self.places = {name: f"contract.{name}" for name in self.numbers}
        self.problems: list[str] = []

    def say(self, name: str, value: Any, place: str) -> None:
        number = self.number(value, place)
        if number is None:
            return
        whole = int(number)
        if whole != number:
            self.problems.append(f"{place} is {value}: say whole seconds")
        elif self.numbers.setdefault(name, whole) != whole:
            self.problems.append(
                f"{self.places[name]} is {self.numbers[name]} and {place} is {whole}, and both are {name}: "
                "say it in one place"
            )
        self.places.setdefault(name, place)

    def number(self, value: Any, place: str) -> float | None:
        """A plain number; None, and a problem, where it is none."""
        if isinstance(value, pulumi.Output):
            self.problems.append(
                f"{place} is known only while `up` runs, and the task contract is checked before: say a "
                "plain number"
            )
        elif isinstance(value, bool) or not re.fullmatch(r"\d{1,9}(\.\d*)?", str(value).strip()):
            self.problems.append(f"{place} is no number of seconds: say one such as 300")
        else:
            return float(str(value))
        return None


def fleet_contract(
    task_timeout: int,
    *,
    overrides: ContractOverrides,
    pod_spec: Mapping[str, Any],
    environment: Mapping[str, Any],
    secret_environment: Mapping[str, Any],
    queue_visibility: int | None = None,
) -> TaskContract:
    """The numbers that pods, queue and service all get.

    Raises:
        ContractError: two of the numbers contradict each other, wherever they were said.
    """
    said = _Said(overrides)
    if queue_visibility is not None:
        said.say("visibility", queue_visibility, "the queue's visibility")
    if "terminationGracePeriodSeconds" in pod_spec:
        said.say("grace", pod_spec["terminationGracePeriodSeconds"], _OVER_THE_GRACE)
    _say_pre_stop(said, pod_spec)
    variables = {**environment, **_container_environment(pod_spec)}
    for name in _CHECKED:
        if name in secret_environment:
            said.problems.append(
                f"{name} comes from a Kubernetes secret, and the task contract is checked before: say it as "
                "a plain environment variable, or leave it out"
            )
    for number, variable in (("drain", DRAIN), ("hold", HOLD)):
        if variable in variables:
            said.say(number, variables[variable], variable)
    try:
        contract = task_contract(task_timeout, **said.numbers)
    except ContractError as error:
        raise ContractError(
            [*said.problems, *(_placed(each, said.places) for each in error.contradictions)]
        ) from None
    said.problems.extend(_service_contradictions(contract, variables, said))
    if said.problems:
        raise ContractError(said.problems)
    return contract


def own_pre_stop(pod_spec: Mapping[str, Any]) -> bool:
    """Whether the pod spec says a `preStop` itself, or that there is none."""
    return _pre_stop(pod_spec) is not _UNSAID


_UNSAID: Any = object()


def _pre_stop(pod_spec: Mapping[str, Any]) -> Any:
    container = _container(pod_spec)
    if "lifecycle" not in container:
        return _UNSAID
    lifecycle = container["lifecycle"] or {"preStop": None}
    return lifecycle.get("preStop", _UNSAID) if isinstance(lifecycle, Mapping) else _UNSAID


def _say_pre_stop(said: _Said, pod_spec: Mapping[str, Any]) -> None:
    hook = _pre_stop(pod_spec)
    place = f"extra_pod_spec.containers.{CONTAINER}.lifecycle.preStop"
    if hook is _UNSAID:
        return
    if hook is None:
        said.say("pre_stop", 0, place)
    elif isinstance(hook, Mapping) and isinstance(hook.get("sleep"), Mapping):
        said.say("pre_stop", hook["sleep"].get("seconds"), f"{place}.sleep.seconds")
    elif "pre_stop" not in said.numbers:
        said.problems.append(
            f"{place} may take any time, and the grace has to cover it: say the most seconds that it takes "
            "as contract.pre_stop"
        )


def _container(pod_spec: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = pod_spec.get("containers")
    if isinstance(containers, Sequence):
        for container in containers:
            if isinstance(container, Mapping) and container.get("name") == CONTAINER:
                return container
    return {}


def _container_environment(pod_spec: Mapping[str, Any]) -> dict[str, Any]:
    entries = _container(pod_spec).get("env") or ()
    return {entry["name"]: entry.get("value") for entry in entries if "name" in entry}


def _service_contradictions(
    contract: TaskContract, variables: Mapping[str, Any], said: _Said
) -> Iterator[str]:
    """What the service is told besides, and must agree."""
    longest = contract.task_timeout
    if TASK_TIMEOUT in variables:
        seconds = said.number(variables[TASK_TIMEOUT], TASK_TIMEOUT)
        if seconds is not None and seconds > longest:
            yield _too_long(TASK_TIMEOUT, seconds, longest)
    if POLL in variables:
        seconds = said.number(variables[POLL], POLL)
        if seconds is not None and seconds > contract.drain:
            yield (
                f"{POLL} {seconds:g} is {seconds - contract.drain:g} seconds longer than drain "
                f"{contract.drain}, in which a poll has to end: say {min(contract.drain, 20)} or less"
            )
    agents = variables.get(AGENTS)
    if isinstance(agents, pulumi.Output):
        yield (
            f"{AGENTS} is known only while `up` runs, and the task contract is checked before: say it as a "
            "plain text"
        )
    elif isinstance(agents, str):
        for name, seconds in _timeouts(agents):
            if seconds > longest:
                yield _too_long(f"the timeout of {name!r} in {AGENTS}", seconds, longest)


def _too_long(what: str, seconds: float, longest: int) -> str:
    return (
        f"{what} is {seconds:g}, {seconds - longest:g} seconds longer than task_timeout {longest}, for which "
        f"pods and queue wait: say a task_timeout of {math.ceil(seconds)} or more, or {longest} or less there"
    )


def _timeouts(agents: str) -> Iterator[tuple[str, float]]:
    """The agent types' own limits; what is no such JSON is for the service to refuse."""
    try:
        types = json.loads(agents)
    except ValueError:
        return
    for name, its in types.items() if isinstance(types, Mapping) else ():
        timeout = its.get("timeout") if isinstance(its, Mapping) else None
        if isinstance(timeout, int | float) and not isinstance(timeout, bool):
            yield name, timeout


def _placed(contradiction: str, places: Mapping[str, str]) -> str:
    """With the places where its numbers were said, but for those that are called so."""
    named = [
        f"{name} is said by {place}"
        for name, place in places.items()
        if place != f"contract.{name}" and re.search(rf"\b{name} \d", contradiction)
    ]
    return f"{contradiction} ({'; '.join(named)})" if named else contradiction
