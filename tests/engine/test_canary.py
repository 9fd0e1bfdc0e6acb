"""A canary with the real engine, real processes of the agent service and real requests."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment, UpdateFailed
from agent_infra.local import fleets
from agent_infra.local.fleets.cluster import LocalCluster
from tests.engine.conftest import local_program

pytestmark = pytest.mark.engine

PROGRAM = """
import json
import pulumi
from agent_infra import AgentFleet

AgentFleet("support", {
    "image": "agent-app:local",
    "require_digest": False,
    "environment_name": "local",
    "replicas": {"min": 2, "max": 2},
    "rollout": {
        "strategy": "canary",
        "steps": [{"weight": 30, "minutes": 0.2}, {"weight": 50, "minutes": 0.2}],
        "analysis": {"min_requests": 10},
    },
    "kubernetes_secrets": {"vendor": {"key": pulumi.Output.secret("no-key-at-all")}},
    **json.loads(pulumi.Config().require("said")),
})
"""
#: A model that nobody serves: every chat fails, and the processes themselves are well.
BAD = {
    "llm": {"model": "openai:gpt-5-mini", "openai_base_url": "http://127.0.0.1:9/v1", "attempts": 1},
    "secret_environment": {"OPENAI_API_KEY": {"name": "vendor", "key": "key"}},
}
EVALUATED = {
    "strategy": "canary",
    "analysis": {
        "evaluation": {
            "cases": [
                {"prompt": "My name is Ada.", "contains": ["ada"]},
                {"prompt": "My name is Ada.", "contains": ["Grace Hopper"]},
            ]
        }
    },
}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Load:
    """Chats with whatever answers at the fleet's address, all the time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.statuses: Counter[int] = Counter()

    def _chat(self) -> int:
        body = json.dumps({"message": "hello"}).encode()
        request = urllib.request.Request(
            f"{self._address}/v1/chat", data=body, headers={"content-type": "application/json"}
        )
        try:
            with DIRECT.open(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        deadline = time.monotonic() + 600

        def keep_asking() -> None:
            while not over.is_set() and time.monotonic() < deadline:
                self.statuses[self._chat()] += 1
                time.sleep(0.03)

        askers = [threading.Thread(target=keep_asking) for _ in range(2)]
        for asker in askers:
            asker.start()
        try:
            yield
        finally:
            over.set()
            for asker in askers:
                asker.join()


def say(environment: Environment, **said: Any) -> None:
    file = environment.project.settings_file(environment.name)
    config = {"aws:region": "eu-central-1", "canary:said": json.dumps(said)}
    file.write_text(json.dumps({"config": config}))


def ended(environment: Environment) -> None:
    """The canary has no pods; the supervisor is told so first, and writes it down when it has looked."""
    assert environment.local is not None
    until = time.monotonic() + 15
    while (seen := fleets.status(environment.local).fleets["support-canary"].desired) != 0:
        assert time.monotonic() < until, f"{seen} canary pods are still asked for"
        time.sleep(0.1)


def test_a_bad_revision_is_taken_back_while_the_old_one_serves_and_a_good_one_takes_over(
    tmp_path: Path,
) -> None:
    with local_program(tmp_path, "canary", PROGRAM) as environment:
        assert environment.local is not None
        say(environment, log_level="info")
        first = environment.up()
        address = first.endpoints["support"]
        before = fleets.status(environment.local).fleets["support"]
        ended(environment)

        load = Load(address)
        say(environment, **BAD)
        with load.running(), pytest.raises(UpdateFailed) as failed:
            environment.up()
        assert "the api's error rate" in str(failed.value)
        assert "is allowed" in str(failed.value)
        answers = load.statuses
        # The canary had its share of the requests, and failed them; nothing else did.
        assert 0 < sum(number for status, number in answers.items() if status != 200) < answers[200]
        now = fleets.status(environment.local)
        assert now.fleets["support"].replicas == before.replicas
        ended(environment)

        # The same again is tried again, and not simply taken for deployed.
        assert environment.preview().changed > 0

        load = Load(address)
        say(environment, log_level="warning")
        with load.running():
            environment.up()
        assert set(load.statuses) == {200}
        now = fleets.status(environment.local)
        assert now.fleets["support"].revision != before.revision
        assert now.fleets["support"].ready == 2
        ended(environment)

        # As an `up` that was killed leaves it: the next one ends it, though nothing changed.
        LocalCluster(environment.local).scale("support-canary", 1)
        assert environment.up().changed == 0
        ended(environment)

        # A score that is too low keeps a revision from any traffic.
        say(environment, log_level="error", rollout=EVALUATED)
        with pytest.raises(UpdateFailed, match=r"its evaluation scored 0\.5, and 0\.8 is the least"):
            environment.up()
        after = fleets.status(environment.local).fleets["support"]
        assert (after.revision, after.ready) == (now.fleets["support"].revision, 2)
