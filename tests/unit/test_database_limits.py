"""How many connections there are and who may keep how many: it never promises too much."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra.aws.database_limits import (
    RESERVED,
    connections_of_capacity,
    connections_of_memory,
    memory_gib,
    pool_size,
)

processes = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 200), min_size=1)


@pytest.mark.parametrize(
    ("instance_class", "gib"),
    [
        ("db.t4g.micro", 1),
        ("db.t4g.medium", 4),
        ("db.m7g.large", 8),
        ("db.m7g.16xlarge", 256),
        ("db.r8g.xlarge", 32),
    ],
)
def test_an_instance_class_says_its_memory(instance_class: str, gib: int) -> None:
    assert memory_gib(instance_class) == gib


@pytest.mark.parametrize(("units", "aws_says"), [(1, 189), (4, 823), (8, 1669), (16, 3360), (32, 5000)])
def test_aurora_never_takes_less_than_is_counted_on(units: float, aws_says: int) -> None:
    counted = connections_of_capacity(1, units)
    assert 0.85 * aws_says <= counted <= aws_says


def test_an_aurora_database_that_may_be_tiny_has_a_bound_of_its_own() -> None:
    assert connections_of_capacity(0, 64) == connections_of_capacity(0.5, 64) == 2000


@settings(max_examples=50)
@given(st.floats(1, 2000), processes, st.one_of(st.none(), st.integers(0, 100)))
def test_what_all_processes_keep_fits_or_is_refused(
    gib: float, fleets: dict[str, int], wanted: int | None
) -> None:
    connections = connections_of_memory(gib)
    try:
        size = pool_size(connections, fleets, wanted=wanted)
    except ValueError as error:
        assert str(connections) in str(error)
        least = 2 if wanted is None else wanted
        assert sum(fleets.values()) * least > connections - RESERVED
    else:
        assert sum(fleets.values()) * size <= connections - RESERVED
        assert size == wanted or (wanted is None and 2 <= size <= 10)
