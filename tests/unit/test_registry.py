"""`Registry`: tags that never move, and old images that go."""

from __future__ import annotations

import json

from agent_infra import (
    Registry,
)
from tests.unit.components import made


def test_a_registry_never_moves_a_tag_and_forgets_old_images() -> None:
    recorded = made(Registry, {"keep_images": 5})
    inputs = recorded.one("aws:ecr/repository:Repository").inputs
    assert inputs["imageTagMutability"] == "IMMUTABLE"
    assert inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(recorded.one("aws:ecr/lifecyclePolicy:LifecyclePolicy").inputs["policy"])
    assert [rule["selection"]["countNumber"] for rule in policy["rules"]] == [14, 5]
