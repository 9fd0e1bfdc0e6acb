"""What the fleet's page and example promise: a fleet in a few lines, and arguments that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent_infra import AgentFleet, AgentFleetArgs, SecretKey
from tests.unit.fleet_objects import IMAGE, QUEUE, Object, named, objects_of
from tests.unit.recording import record

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/components/agent-fleet.md").read_text()
NAMES = {
    "AgentFleet": AgentFleet,
    "AgentFleetArgs": AgentFleetArgs,
    "SecretKey": SecretKey,
    "IMAGE": IMAGE,
}
README = (ROOT / "README.md").read_text()
SEED, WHOLE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]


def lines_of(program: str) -> int:
    """How many lines there are but for imports, exports and what is said to the reader."""
    body = [
        node
        for node in ast.parse(program).body
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
    ]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in body)


def made_by(program: str, **names: Any) -> list[Object]:
    def run() -> None:
        exec(program, {**NAMES, **names})  # noqa: S102 - the page's own text

    return objects_of(record(run))


def test_the_seeds_three_manifests_are_five_lines_at_most() -> None:
    assert lines_of(SEED) <= 5
    made = made_by(SEED)
    service = named(made, "Service", "agent")["spec"]
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(80, 8000)]
    scaler = named(made, "HorizontalPodAutoscaler", "agent")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    (metric,) = scaler["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    (container,) = named(made, "Deployment", "agent")["spec"]["template"]["spec"]["containers"]
    key = {"secretKeyRef": {"name": "agent-secrets", "key": "llm-api-key"}}
    assert {"name": "LLM_API_KEY", "valueFrom": key} in container["env"]


def test_the_readmes_program_is_a_fleet_of_three_lines() -> None:
    section = README.split("## In your own program")[1]
    program = section.split("```python\n")[1].split("```")[0]
    assert lines_of(program) == 3
    made = made_by(program)
    scaler = named(made, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    assert named(made, "Deployment")["metadata"]["namespace"] == "agents"
    assert named(made, "Service")["spec"]["ports"]


def test_a_whole_fleet_is_ten_lines_at_most() -> None:
    assert lines_of(WHOLE) <= 10
    made = made_by(
        WHOLE,
        cache=SimpleNamespace(url="rediss://cache.example:6379/0", secret_arn="arn:cache"),
        database=SimpleNamespace(url="postgresql://db.example/agents", secret_arn="arn:database"),
        queue=SimpleNamespace(**QUEUE),
        secrets=SimpleNamespace(arns={"llm": "arn:llm"}),
    )
    assert len([each for each in made if each["kind"] == "Deployment"]) == 2
    assert named(made, "Ingress")["spec"]["rules"][0]["host"] == "support.example.com"


def test_the_example_is_a_fleet_of_ten_lines_at_most() -> None:
    program = (ROOT / "examples/agent_fleet/__main__.py").read_text()
    assert lines_of(program[program.index("key = ") :]) <= 10


def test_every_argument_that_the_page_names_is_one() -> None:
    table = PAGE.split("| argument | default | what it is |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert len(names) > 20
    assert names <= set(AgentFleetArgs.model_fields)
