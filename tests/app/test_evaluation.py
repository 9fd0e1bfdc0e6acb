"""`agent-app evaluate`: an agent's score, as a canary reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from agent_app.evaluation import Case

HELLO = {"prompt": "Hello, I am Ada.", "contains": ["ADA"]}


def evaluate(cases: Any, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent_app", "evaluate"],
        env={
            "AGENT_APP_ENVIRONMENT": "local",
            "AGENT_APP_EVALUATION_CASES": cases if isinstance(cases, str) else json.dumps(cases),
            **more,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_last_line_is_the_share_of_cases_that_pass() -> None:
    wrong = {"prompt": "Hello, I am Ada.", "excludes": ["ada"]}
    ended = evaluate({"cases": [HELLO, HELLO, HELLO, wrong]})
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "0.75"
    assert "Hello, I am Ada." not in ended.stderr


def test_a_score_below_the_least_is_a_status_of_its_own() -> None:
    wrong = {"prompt": "Hello, I am Ada.", "excludes": ["ada"]}
    for least, status in ((0.5, 0), (0.6, 3)):
        ended = evaluate({"cases": [HELLO, wrong], "min_score": least})
        assert (ended.returncode, ended.stdout.splitlines()[-1]) == (status, "0.5")


def test_an_agent_that_fails_passes_nothing() -> None:
    ended = evaluate(
        {"cases": [HELLO]},
        AGENT_APP_MODEL="openai:gpt-5-mini",
        AGENT_APP_MODEL_ATTEMPTS="1",
        OPENAI_API_KEY="no-key-at-all",
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize(
    ("cases", "told"),
    [
        ("", "AGENT_APP_EVALUATION_CASES is not"),
        ({"cases": []}, "cases: Value should have at least 1 item"),
        ({"cases": [{"prompt": "x", "must": "y"}]}, "cases.0.must"),
        ({"agent": "nobody", "cases": [HELLO]}, "there is no agent 'nobody'; known: "),
    ],
)
def test_cases_that_cannot_be_asked_are_told_without_a_score(cases: Any, told: str) -> None:
    ended = evaluate(cases)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert not ended.stdout or not ended.stdout.splitlines()[-1].replace(".", "").isdigit()


def test_letters_case_makes_no_difference_and_all_parts_count() -> None:
    case = Case(prompt="x", contains=["Four", "2"], excludes=["five"])
    assert case.passes("2 + 2 is FOUR")
    assert not case.passes("it is four")
    assert not case.passes("2 + 2 is four, not Five")
