"""Values that may hold `Output`s."""

from __future__ import annotations

from typing import Any

import pulumi
from hypothesis import given
from hypothesis import strategies as st

from agent_infra.outputs import computed
from tests.unit.recording import record

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_known_is_computed_at_once(value: Any) -> None:
    assert computed(value, lambda known: [known]) == [value]


def test_what_is_not_known_yet_is_filled_in_where_it_was() -> None:
    def program() -> Any:
        first, second = pulumi.Output.from_input("a"), pulumi.Output.from_input({"b": 1})
        return computed({"x": [first, "plain"], "y": {"z": second}}, lambda known: known)

    assert record(program).result == {"x": ["a", "plain"], "y": {"z": {"b": 1}}}


def test_what_follows_from_a_secret_is_secret() -> None:
    def program() -> Any:
        made = computed(["plain", pulumi.Output.secret("hidden")], "-".join)
        assert isinstance(made, pulumi.Output)
        return pulumi.Output.from_input(made.is_secret())

    assert record(program).result is True
