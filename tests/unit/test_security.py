"""docs/security.md: every control has a state, and every one that is met names a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATES = {"met by default", "met by a setting", "not applicable"}
SERVICES = {"EC2", "ECR", "EKS", "ElastiCache", "IAM", "KMS", "RDS", "S3", "SecretsManager", "SQS"}


def rows() -> list[tuple[str, str, str, str, str]]:
    """Control, what it asks, state, how, test."""
    found = []
    for line in (ROOT / "docs" / "security.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and re.fullmatch(r"[A-Za-z0-9]+\.\d+", cells[0]):
            found.append((cells[0], cells[1], cells[2], cells[3], cells[4]))
    return found


@cache
def names_in(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def test_the_table_covers_every_service_and_each_control_once() -> None:
    controls = [row[0] for row in rows()]
    assert {control.partition(".")[0] for control in controls} >= SERVICES
    assert len(controls) == len(set(controls))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_control_is_met_by_a_test_that_exists_or_does_not_apply(
    row: tuple[str, str, str, str, str],
) -> None:
    _control, asks, state, how, test = row
    assert state in STATES
    assert asks
    assert how, "how it is met, or why it does not apply"
    if state == "not applicable":
        return
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", test)
    assert named, "a met control names its test"
    for file, name in named:
        assert name in names_in(ROOT / file), f"{file} has no {name}"
